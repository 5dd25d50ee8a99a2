"""The exact index in memory: the oracle that Redis is measured against, and an index for small collections."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import ItemId, Modality, ModelRef, Version
from fusion.index.checks import check_change, check_search
from fusion.index.filters import parse_filter
from fusion.index.layout import fused_vector
from fusion.index.protocol import (
    FUSED,
    Item,
    Neighbour,
    ReadReport,
    SearchReport,
    Tombstone,
    VectorSample,
    VectorSearch,
    WriteOutcome,
)


@dataclass(frozen=True, slots=True)
class _Table:
    """One vector set: ids in order and their unit vectors, float64 of shape (items, dims)."""

    ids: list[ItemId]
    rows: NDArray[np.float64]


class MemoryVectorIndex:
    """Exact nearest neighbours by matrix product. One process, one event loop; nothing survives it.

    Args:
        model: The model whose vectors it holds.
        dims: Length of its vectors.
        modalities: What items may have.
    """

    def __init__(self, model: ModelRef, dims: int, modalities: Collection[Modality] = tuple(Modality)) -> None:
        self._model = model
        self._dims = dims
        self._modalities = frozenset(modalities)
        self._versions: dict[ItemId, Version] = {}
        self._items: dict[ItemId, Item] = {}
        self._whole: dict[ItemId, Item] = {}
        self._tables: dict[str, _Table] = {}
        self._random = np.random.default_rng()

    @property
    def model(self) -> ModelRef:
        """The model whose vectors it holds."""
        return self._model

    @property
    def dims(self) -> int:
        """Length of its vectors."""
        return self._dims

    @property
    def modalities(self) -> frozenset[Modality]:
        """The modalities it may hold."""
        return self._modalities

    async def write(self, changes: Sequence[Item | Tombstone]) -> list[WriteOutcome]:
        """Apply each change that is newer than what is stored; see ``VectorIndex.write``."""
        for change in changes:
            check_change(change, self._dims, self._modalities)
        return [self._apply(change) for change in changes]

    def _apply(self, change: Item | Tombstone) -> WriteOutcome:
        stored = self._versions.get(change.item_id)
        if stored is not None and change.version <= stored:
            return WriteOutcome.STALE
        self._versions[change.item_id] = change.version
        if isinstance(change, Item):
            self._items[change.item_id] = replace(change, segments=())
            self._whole[change.item_id] = change
        else:
            self._items.pop(change.item_id, None)
            self._whole.pop(change.item_id, None)
        self._tables.clear()
        return WriteOutcome.APPLIED

    async def search(self, searches: Sequence[VectorSearch]) -> SearchReport:
        """Rank every item that the filter selects; see ``VectorIndex.search``."""
        for search in searches:
            check_search(search, self._dims, self._modalities)
        selected: dict[str, Callable[[ItemId], bool]] = {}
        for search in searches:
            selected.setdefault(search.filter, self._selector(search.filter))
        return SearchReport(neighbours=[self._nearest(search, selected[search.filter]) for search in searches])

    def _selector(self, source: str) -> Callable[[ItemId], bool]:
        if not source.strip():
            return lambda _: True
        wanted = parse_filter(source)
        chosen = {item_id for item_id, item in self._items.items() if wanted.matches(item.attributes)}
        return chosen.__contains__

    def _nearest(self, search: VectorSearch, selected: Callable[[ItemId], bool]) -> list[Neighbour]:
        table = self._table(str(search.target))
        vector = search.vector.astype(np.float64)
        # Rounded, so that equal vectors tie wherever in the matrix they lie and whatever order BLAS adds in.
        cosines = np.round(table.rows @ (vector / np.linalg.norm(vector)), 12)
        keep = np.fromiter((selected(item_id) for item_id in table.ids), np.bool_, len(table.ids))
        best = [place for place in np.argsort(-cosines, kind="stable") if keep[place]][: search.count]
        return [Neighbour(item_id=table.ids[place], cosine=float(cosines[place])) for place in best]

    def _table(self, target: str) -> _Table:
        if target not in self._tables:
            self._tables[target] = self._build(target)
        return self._tables[target]

    def _build(self, target: str) -> _Table:
        vectors = {
            item_id: fused_vector(item.vectors) if target == FUSED else item.vectors[Modality(target)]
            for item_id, item in self._items.items()
            if target == FUSED or target in item.vectors
        }
        ids = sorted(vectors)  # a stable sort by score then breaks ties by id
        rows = np.array([vectors[item_id] for item_id in ids], np.float64).reshape(len(ids), self._dims)
        return _Table(ids, rows / np.linalg.norm(rows, axis=1, keepdims=True))

    async def fetch(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """Read items; unknown and deleted ids are absent."""
        return {item_id: self._items[item_id] for item_id in item_ids if item_id in self._items}

    async def fetch_whole(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """Read items with their segments; see ``VectorIndex.fetch_whole``."""
        return {item_id: self._whole[item_id] for item_id in item_ids if item_id in self._whole}

    async def versions(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Version]:
        """The versions of the last writes, deletions included."""
        return {item_id: self._versions[item_id] for item_id in item_ids if item_id in self._versions}

    async def read(self, item_ids: Sequence[ItemId], *, deadline: float | None = None) -> ReadReport:
        """Read items; nothing can be away, or late."""
        return ReadReport(items=await self.fetch(item_ids))

    async def scan_ids(self, count: int) -> list[ItemId]:
        """Up to ``count`` item ids."""
        return list(self._items)[:count]

    async def sample_vectors(self, modality: Modality, count: int) -> VectorSample:
        """Vectors of random items; see ``VectorIndex.sample_vectors``."""
        having = [item for item in self._items.values() if modality in item.vectors]
        chosen = [having[place] for place in self._random.permutation(len(having))[:count]]
        return VectorSample.of(chosen, modality, self._dims)

    async def counts(self) -> dict[Modality, int]:
        """How many items have each modality."""
        return {
            modality: sum(modality in item.vectors for item in self._items.values())
            for modality in sorted(self._modalities)
        }

    async def check(self) -> None:
        """Always there."""

    async def close(self) -> None:
        """Nothing to give back."""
