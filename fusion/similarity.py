"""How vectors are compared, for many items at once; every similarity is in [0, 1] and higher is nearer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured
from config.vocabulary import Similarity

Matrix = NDArray[np.float64]

_DECIMALS = 9
"""Cosines are rounded to this: what BLAS adds in another order for another set of candidates must not part equal
items or order near ones by chance; float32 vectors carry less than this anyway."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Queries against items.

    Args:
        cosines: In [-1, 1], shape (…, queries, items): what calibration and search work on.
        similarities: The same shape, in [0, 1]: what results show.
    """

    cosines: Matrix
    similarities: Matrix


def unit_rows(vectors: NDArray[np.floating]) -> Matrix:
    """Rows of length 1, float64; rows of zeros stay zeros."""
    rows = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0), np.float64)


def compare(
    queries: NDArray[np.floating],
    items: NDArray[np.floating],
    similarity: Similarity,
    dimension_weights: Matrix | None = None,
) -> Compared:
    """Compare every query with every item.

    Args:
        queries: Shape (queries, dims).
        items: Shape (…, items, dims).
        similarity: Cosine s and weighted cosine give (1 + s) / 2; a Euclidean distance d of unit vectors gives
            1 - d / 2. Euclidean order is cosine order on unit vectors, only the numbers shown differ.
        dimension_weights: Shape (dims,), not negative; read by weighted cosine, which is plain cosine without them.

    Raises:
        Misconfigured: When the weights do not fit the vectors.
    """
    if similarity is Similarity.WEIGHTED_COSINE and dimension_weights is not None:
        scale = np.sqrt(_checked(dimension_weights, queries.shape[-1]))
        queries, items = queries * scale, items * scale
    cosines = np.clip(unit_rows(queries) @ np.swapaxes(unit_rows(items), -1, -2), -1.0, 1.0).round(_DECIMALS)
    if similarity is Similarity.EUCLIDEAN:
        return Compared(cosines, 1.0 - np.sqrt(2.0 - 2.0 * cosines) / 2.0)
    return Compared(cosines, (1.0 + cosines) / 2.0)


def _checked(weights: Matrix, dims: int) -> Matrix:
    if weights.shape != (dims,) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise Misconfigured(f"dimension weights must be {dims} numbers, none negative and not all zero")
    return weights
