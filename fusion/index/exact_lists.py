"""Exact nearest neighbours among items at hand: what the index in memory does, for the few that a filter selects."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Modality
from fusion.index.layout import fused_vector
from fusion.index.protocol import FUSED, Item, Neighbour, VectorSearch

_DECIMALS = 12
"""Rounded, so that equal vectors tie wherever in the matrix they lie and whatever order BLAS adds in."""


def exact_list(items: Sequence[Item], search: VectorSearch) -> list[Neighbour]:
    """Rank items by cosine to a search's vector: best first, ties by id; those that lack its modality are left out.

    Args:
        items: In the order of their ids.
        search: Its filter is not looked at.
    """
    if search.target == FUSED:
        kept, rows = list(items), [fused_vector(item.vectors) for item in items]
    else:
        target = Modality(search.target)
        kept = [item for item in items if target in item.vectors]
        rows = [item.vectors[target] for item in kept]
    if not kept:
        return []
    cosines = _cosines(np.stack(rows), search.vector)
    best = np.argsort(-cosines, kind="stable")[: search.count].tolist()
    return [Neighbour(item_id=kept[place].item_id, cosine=float(cosines[place])) for place in best]


def _cosines(rows: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float64]:
    exact, query = rows.astype(np.float64), vector.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(query)
    return np.asarray(np.round(exact @ query / lengths, _DECIMALS), np.float64)
