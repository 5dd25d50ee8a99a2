"""Which items are worth scoring exactly, and their vectors as one block of numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.errors import Reason, RejectEvent
from config.vocabulary import Attributes, Background, FusionStrategy, ItemId, Modality, RankingMethod
from fusion.boosts import Facts
from fusion.index.layout import fused_vector
from fusion.index.protocol import FUSED, Item, SearchReport, VectorIndex, VectorSearch
from fusion.request import RankingRequest
from fusion.similarity import Matrix, unit_rows

FUSED_DEEPER: Final = 3
"""How much deeper the fused set is searched: it alone knows items that are good everywhere and best nowhere. In one
shapeless cloud of 3,000 items this lifts the places of a weighted mean that are as in exact search from 0.955 to 0.99,
for a fifth more candidates; where items cluster both give all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Items in the order of their ids.

    Args:
        vectors: Shape (modalities, items, dims), float32; zeros where an item lacks the modality.
        present: Shape (modalities, items).
        fused: Shape (items, dims): each item's mean over all its modalities, also those not searched.
        occurred_ms: Event time of each item's newest version.
    """

    ids: Sequence[ItemId]
    attributes: Sequence[Attributes]
    modalities: Sequence[Modality]
    vectors: NDArray[np.float32]
    present: NDArray[np.bool_]
    fused: Matrix
    occurred_ms: Sequence[int] = ()

    def facts(self, asked_at_ms: int) -> Facts:
        """What boosts look at."""
        return Facts(ids=self.ids, attributes=self.attributes, occurred_ms=self.occurred_ms, asked_at_ms=asked_at_ms)

    def taken(self, places: NDArray[np.intp]) -> "Candidates":
        """Those at some places, which are in order."""
        chosen = places.tolist()
        return replace(
            self,
            ids=[self.ids[place] for place in chosen],
            attributes=[self.attributes[place] for place in chosen],
            vectors=self.vectors[:, places],
            present=self.present[:, places],
            fused=self.fused[places],
            occurred_ms=[self.occurred_ms[place] for place in chosen],
        )


def searched_modalities(request: RankingRequest, index: VectorIndex) -> list[Modality]:
    """The item modalities that count, in a fixed order.

    Raises:
        RejectEvent: When the request names one that the index never holds, or leaves none.
    """
    named = request.search_in if request.search_in is not None else index.modalities
    if unknown := sorted(named - index.modalities):
        message = f"this model does not index {', '.join(unknown)}: choose from {', '.join(sorted(index.modalities))}"
        raise RejectEvent(Reason.UNSUPPORTED_MODALITY, message, field="search_in")
    counted = [modality for modality in sorted(named) if request.weights.get(modality, 1.0) > 0]
    if not counted:
        message = "all modalities searched have weight 0: give one of them a weight"
        raise RejectEvent(Reason.INVALID_EVENT, message, field="fusion.weights")
    return counted


def plan_searches(
    request: RankingRequest,
    modalities: Sequence[Modality],
    backgrounds: Mapping[tuple[Modality, Modality], Background],
) -> list[VectorSearch]:
    """Searches whose union holds the best of the fused ranking.

    Each modality's set is asked for what is near each part, and for what is near all parts together: there the query is
    the parts' sum by weight over the background's deviation, whose order is that of the summed calibration to first
    order, negative parts included. The fused set is asked for the same, and for what the profile is near to.
    """
    # What comes first then need not lie nearest; and a pool must hold the same whatever a quantised search missed.
    reordered = request.near is not None or request.boosts or request.boost_by
    diverse = request.ranking is not RankingMethod.TOP_K
    depth = 2 * request.depth if reordered or diverse else request.depth

    def search(target: Modality | str, vector: Matrix) -> VectorSearch:
        count = depth * FUSED_DEEPER if target == FUSED else depth
        return VectorSearch(
            target=target,
            vector=vector.astype(np.float32),
            count=count,
            filter=request.filter,
            deadline=request.deadline,
        )

    deeper = request.depth + len(request.exclude)  # what a user has seen is what lies nearest to their taste
    planned = [search(target, query) for target in modalities for query in _queries(request, target, backgrounds)]
    together = _together(request, dict.fromkeys(_part_modalities(request), 1.0))
    if len(modalities) > 1 and len(together):
        planned.append(search(FUSED, together))
    planned += [replace(search(FUSED, vector), count=deeper) for vector in _directions(request)]
    if request.profile is not None and not request.signals and (request.personalise > 0 or not request.parts):
        planned.append(search(FUSED, request.profile.astype(np.float64)))
    return planned


def _directions(request: RankingRequest) -> list[Matrix]:
    """Where a recommendation's signals point, and where it steps aside to."""
    vectors = [signal.vector for signal in request.signals if signal.vector is not None]
    vectors += [request.explore.direction] if request.explore is not None else []
    return [vector.astype(np.float64) for vector in vectors]


def named_ids(request: RankingRequest) -> list[ItemId]:
    """Items that a boost or a signal names, but for the excluded ones, in order."""
    named = request.boosts.keys() | {item_id for signal in request.signals for item_id in signal.scores}
    return sorted(named - request.exclude)


def _part_modalities(request: RankingRequest) -> set[Modality]:
    return {part.modality for part in request.parts}


def _queries(
    request: RankingRequest, target: Modality, backgrounds: Mapping[tuple[Modality, Modality], Background]
) -> list[Matrix]:
    # In fusion of lists a negative part's list counts as well.
    ranks_all = request.strategy in {FusionStrategy.RRF, FusionStrategy.DBSF}
    queries = [part.vector.astype(np.float64) for part in request.parts if part.weight > 0 or ranks_all]
    deviations = {modality: backgrounds[modality, target].std for modality in _part_modalities(request)}
    if len(request.parts) > 1 or not queries:
        together = _together(request, deviations)
        queries += [together] if len(together) else []
    return queries


def _together(request: RankingRequest, deviations: Mapping[Modality, float]) -> Matrix:
    """The parts' sum by weight over deviation, shape (dims,); of shape (0,) when they cancel out or there are none."""
    if not request.parts:
        return np.zeros(0)
    weights = np.array([part.weight / deviations[part.modality] for part in request.parts])
    total: Matrix = weights @ unit_rows(np.stack([part.vector for part in request.parts]))
    return total if np.linalg.norm(total) > 1e-9 * np.abs(weights).sum() else np.zeros(0)


def found_ids(report: SearchReport, request: RankingRequest) -> list[ItemId]:
    """Every item that any search found or a boost names, but for the excluded ones, in order."""
    found = {neighbour.item_id for neighbours in report.neighbours for neighbour in neighbours}
    return sorted(found - request.exclude)


def first_stretches(
    report: SearchReport, searches: Sequence[VectorSearch], stretches: int, candidates: Candidates
) -> NDArray[np.intp]:
    """The stretch of the list, from 1, from which on each candidate may be chosen; shape (candidates,).

    The n-th of them counts what the first n of so many parts of every list hold. What a boost names may be chosen from
    the beginning.
    """
    first: dict[ItemId, int] = {}
    if stretches > 1:
        for neighbours, search in zip(report.neighbours, searches, strict=True):
            for place, neighbour in enumerate(neighbours):
                stretch = place * stretches // search.count + 1
                first[neighbour.item_id] = min(stretch, first.get(neighbour.item_id, stretch))
    return np.array([first.get(item_id, 1) for item_id in candidates.ids], np.intp)


def holds_everything(report: SearchReport, searches: Sequence[VectorSearch]) -> bool:
    """Whether deeper searches would find nothing new: no list of a modality is as long as it was asked to be."""
    whole = [len(found) < search.count for found, search in zip(report.neighbours, searches, strict=False)]
    of_modality = [short for short, search in zip(whole, searches, strict=False) if search.target != FUSED]
    return all(of_modality or whole)


def assemble(items: Mapping[ItemId, Item], modalities: Sequence[Modality], dims: int) -> Candidates:
    """Lay items out for scoring; those with none of the modalities are left out."""
    kept = [items[item_id] for item_id in sorted(items) if not items[item_id].vectors.keys().isdisjoint(modalities)]
    held = {modality for item in kept for modality in item.vectors} | set(modalities)
    blocks = {modality: _block(kept, modality, dims) for modality in sorted(held)}
    present = np.array([[modality in item.vectors for item in kept] for modality in modalities], np.bool_)
    return Candidates(
        ids=[item.item_id for item in kept],
        attributes=[item.attributes for item in kept],
        modalities=list(modalities),
        vectors=np.stack([blocks[modality] for modality in modalities]),
        present=present.reshape(len(modalities), len(kept)),
        fused=_means(kept, np.sum(list(blocks.values()), axis=0, dtype=np.float64)),
        occurred_ms=[item.version.occurred_at_ms for item in kept],
    )


def _block(items: Sequence[Item], modality: Modality, dims: int) -> NDArray[np.float32]:
    block = np.zeros((len(items), dims), np.float32)
    places = [place for place, item in enumerate(items) if modality in item.vectors]
    if places:
        block[places] = np.stack([items[place].vectors[modality] for place in places])
    return block


def _means(items: Sequence[Item], sums: Matrix) -> Matrix:
    """Rows as ``fused_vector`` gives them, which is asked only where an item's vectors cancel out."""
    for place in np.flatnonzero(np.linalg.norm(sums, axis=1) < 1e-6).tolist():
        sums[place] = fused_vector(items[place].vectors)
    return unit_rows(sums)
