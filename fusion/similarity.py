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

_TOGETHER = 128
"""Rows in double precision at a time: they stay in the processor's cache, and no large block is asked of the system."""


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
    lengths = np.sqrt(np.einsum("...d,...d->...", rows, rows))[..., None]
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0), np.float64)


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
    cosines = cosines_of(queries, items, dimension_weights if similarity is Similarity.WEIGHTED_COSINE else None)
    return Compared(cosines, shown(cosines, similarity))


def cosines_of(
    queries: NDArray[np.floating], items: NDArray[np.floating], dimension_weights: Matrix | None = None
) -> Matrix:
    """Cosines in [-1, 1], rounded, shape (…, queries, items); 0 where a row is zeros.

    Raises:
        Misconfigured: When the weights do not fit the vectors.
    """
    if dimension_weights is not None:
        scale = np.sqrt(_checked(dimension_weights, queries.shape[-1]))
        queries, items = queries * scale, items * scale
    rows = items.reshape(-1, items.shape[-1])
    asked = unit_rows(queries)
    found = np.empty((len(rows), len(asked)))
    for start in range(0, len(rows), _TOGETHER):
        block = np.asarray(rows[start : start + _TOGETHER], np.float64)
        # Lengths divide the products and not the rows: a hundredth of the numbers, and as exact.
        lengths = np.sqrt(np.einsum("nd,nd->n", block, block))[:, None]
        np.divide(block @ asked.T, np.where(lengths > 0, lengths, 1.0), out=found[start : start + _TOGETHER])
    cosines = np.clip(found, -1.0, 1.0, out=found).round(_DECIMALS, out=found)
    return np.asarray(np.moveaxis(cosines.reshape(*items.shape[:-1], len(asked)), -1, -2), np.float64)


def shown(cosines: Matrix, similarity: Similarity) -> Matrix:
    """Similarities in [0, 1] of cosines, as results show them; the same shape."""
    if similarity is Similarity.EUCLIDEAN:
        return np.asarray(1.0 - np.sqrt(2.0 - 2.0 * cosines) / 2.0, np.float64)
    return np.asarray((1.0 + cosines) / 2.0, np.float64)


def _checked(weights: Matrix, dims: int) -> Matrix:
    if weights.shape != (dims,) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise Misconfigured(f"dimension weights must be {dims} numbers, none negative and not all zero")
    return weights
