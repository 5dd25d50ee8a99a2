"""The background of a pair of modalities, estimated from vectors that are in use, and blended with what shipped.

Near-duplicates of the query are matches and no background, so the highest cosines are trimmed. The estimate and the
prior meet by pseudo-counts: the prior weighs as much as ``prior_items`` sampled items, so a small index changes it
little and a large one replaces it. With neither there is no background, and ``fusion.calibration`` takes the pair for
independent directions.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Background
from fusion.similarity import unit_rows

TRIMMED: Final = 0.01
"""Share of the highest cosines that is left out: matches and near-duplicates, at about one relevant item in a hundred.
Of a bell curve this lowers the deviation by some 4 %, for every pair alike."""

FEWEST_ITEMS: Final = 8
"""A sample of fewer items says nothing of a distribution."""


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
        prior_items: Sampled items that the prior counts for.
        own: (q, n), true where a query and an item belong together; those cosines are left out.

    Returns:
        The blend; the prior alone from fewer than eight items or without any cosine, None if there is none either.
    """
    cosines = unit_rows(queries.astype(np.float64)) @ unit_rows(items.astype(np.float64)).T
    kept = np.sort(cosines[np.ones_like(cosines, np.bool_) if own is None else ~own])
    kept = kept[: len(kept) - int(TRIMMED * len(kept))]
    if len(items) < FEWEST_ITEMS or len(kept) < FEWEST_ITEMS or kept.std() < 1e-6:
        return prior
    found = Background(mean=float(kept.mean()), std=float(kept.std()))
    return found if prior is None else _blend(found, prior, len(items) / (len(items) + prior_items))


def _blend(found: Background, prior: Background, share: float) -> Background:
    """Mean and deviation of a mixture would widen where the means differ: each is averaged on its own."""
    return Background(
        mean=share * found.mean + (1.0 - share) * prior.mean, std=share * found.std + (1.0 - share) * prior.std
    )
