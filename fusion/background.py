"""The background of a pair of modalities, estimated from vectors that are in use, and blended with what shipped.

Near-duplicates of the query are matches and no background, so the highest cosines are trimmed. The estimate and the
prior meet by pseudo-counts: the prior weighs as much as ``prior_items`` sampled items, so a small index changes it
little and a large one replaces it. With neither there is no background, and ``fusion.calibration`` takes the pair for
independent directions.

Queries are not like items of their modality: people ask with a word and index a paragraph. So a table is made in two
steps. Items stand in for queries and move what shipped, cautiously; then what people really asked moves that.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Background, Modality
from fusion.index.protocol import VectorSample
from fusion.similarity import unit_rows

TRIMMED: Final = 0.01
"""Share of the highest cosines that is left out: matches and near-duplicates, at about one relevant item in a hundred.
Of a bell curve this lowers the deviation by some 4 %, for every pair alike."""

FEWEST: Final = 8
"""A sample of fewer queries or items says nothing of a distribution."""

STAND_IN_PRIOR: Final = 1024.0
"""What the shipped background counts for against items that stand in for queries: with a sample of 512 they move it by
a third. On the built-in corpus half as much took 0.012 of nDCG@10 from the text queries until some had been asked."""


def estimate_table(
    items: Mapping[Modality, VectorSample],
    queries: Mapping[Modality, NDArray[np.float32]],
    prior: Mapping[tuple[Modality, Modality], Background],
) -> dict[tuple[Modality, Modality], Background]:
    """Estimate the background of every pair of a query's and an item's modality.

    Args:
        items: A random sample of each modality of the index.
        queries: Vectors (q, dims) that people asked with lately, by modality; may lack any.
        prior: What the model shipped with.

    Returns:
        The prior, moved by what was seen. A pair of which nothing is known is absent.
    """
    table = dict(prior)
    for item, sample in items.items():
        for query in Modality:
            found = _estimate_pair(items.get(query), queries.get(query), sample, prior.get((query, item)))
            if found is not None:
                table[query, item] = found
    return table


def _estimate_pair(
    stand_ins: VectorSample | None,
    asked: NDArray[np.float32] | None,
    items: VectorSample,
    prior: Background | None,
) -> Background | None:
    if stand_ins is not None:
        own = _belongs(stand_ins, items)
        prior = estimate_background(stand_ins.vectors, items.vectors, prior=prior, prior_items=STAND_IN_PRIOR, own=own)
    return prior if asked is None else estimate_background(asked, items.vectors, prior=prior)


def _belongs(one: VectorSample, other: VectorSample) -> NDArray[np.bool_]:
    """(one, other), true where both are of the same item."""
    places = {item_id: place for place, item_id in enumerate(other.item_ids)}
    same = np.zeros((len(one.item_ids), len(other.item_ids)), np.bool_)
    for row, item_id in enumerate(one.item_ids):
        if item_id in places:
            same[row, places[item_id]] = True
    return same


def estimate_background(
    queries: NDArray[np.float32],
    items: NDArray[np.float32],
    *,
    prior: Background | None = None,
    prior_items: float = 100.0,
    own: NDArray[np.bool_] | None = None,
) -> Background | None:
    """Estimate a pair's background from samples.

    Args:
        queries: (q, dims); recent queries, or items of that modality as stand-ins.
        items: (n, dims); a random sample of the index.
        prior: What the model shipped with.
        prior_items: Samples that the prior counts for; of queries and items the fewer count.
        own: (q, n), true where a query and an item belong together; those cosines are left out.

    Returns:
        The blend; the prior alone from fewer than eight queries or items, None if there is none either.
    """
    cosines = unit_rows(queries.astype(np.float64)) @ unit_rows(items.astype(np.float64)).T
    kept = np.sort(cosines[np.ones_like(cosines, np.bool_) if own is None else ~own])
    kept = kept[: len(kept) - int(TRIMMED * len(kept))]
    fewer = min(len(queries), len(items))
    if fewer < FEWEST or len(kept) < FEWEST or kept.std() < 1e-6:
        return prior
    found = Background(mean=float(kept.mean()), std=float(kept.std()))
    return found if prior is None else _blend(found, prior, fewer / (fewer + prior_items))


def _blend(found: Background, prior: Background, share: float) -> Background:
    """Mean and deviation of a mixture would widen where the means differ: each is averaged on its own."""
    return Background(
        mean=share * found.mean + (1.0 - share) * prior.mean, std=share * found.std + (1.0 - share) * prior.std
    )
