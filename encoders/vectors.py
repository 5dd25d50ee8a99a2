"""Unit vectors: the one normalisation every encoder ends with, and the same under weights per dimension."""

import numpy as np
from numpy.typing import NDArray


def unit_rows(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Scale each row of (n, dims) to unit norm in float32; a row without a direction becomes NaN.

    Half-precision outputs arrive with norms off by 1e-3, which would show in scores: hence once more, in double.
    """
    wide = np.asarray(rows, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit: NDArray[np.float32] = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)
    return unit


def weighted_rows(rows: NDArray[np.floating], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return unit rows (n, dims) whose cosine is the weighted cosine of ``rows`` under ``weights`` (dims,)."""
    return unit_rows(rows * np.sqrt(weights))
