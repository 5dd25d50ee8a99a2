"""Binary codes: the signs of an aligned vector, one bit each, for a thirty-second of the memory.

Charikar, "Similarity Estimation Techniques from Rounding Algorithms", 2002, for why signs keep angles; Siamese binary
embeddings train for it (``FitOptions.binary``).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

ROUNDS: Final = 20

Codes = NDArray[np.uint8]


def to_codes(vectors: NDArray[np.float32], centre: NDArray[np.float32] | None = None) -> Codes:
    """Return uint8 of shape (n, ceil(dims / 8)) for vectors (n, dims): a bit is 1 where the number is above the centre.

    Args:
        vectors: Of one modality.
        centre: That modality's mean (dims,), or 0. Where every vector of a modality leans to one side, a sign alone
            tells little: with centres the built-in model's codes keep far more of the order.
    """
    return np.packbits(vectors > (0.0 if centre is None else centre), axis=1)


def hamming_similarity(queries: Codes, items: Codes, dims: int) -> NDArray[np.float32]:
    """Return the share of equal bits, float32 of shape (q, n) in [0, 1].

    Args:
        queries: Codes of shape (q, bytes).
        items: Codes of shape (n, bytes).
        dims: Bits that count; what fills the last byte is equal on both sides.
    """
    different = np.zeros((len(queries), len(items)), np.int64)
    for byte in range(queries.shape[1]):
        different += np.bitwise_count(queries[:, byte, None] ^ items[None, :, byte])
    return np.asarray(1.0 - different / dims, np.float32)


def rotation_for_codes(vectors: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """Return the orthogonal matrix (dims, dims) after which signs lose least of vectors (n, dims): ``vectors @ it``.

    Gong and Lazebnik, "Iterative Quantization: A Procrustean Approach to Learning Binary Codes", 2011. Angles stay what
    they are; what a few dimensions knew is spread over all, which matters for a space whose dimensions are ordered by
    importance, as canonical correlation leaves them: there half of the signs are noise.
    """
    dims = vectors.shape[1]
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(dims, dims)))[0]
    for _ in range(ROUNDS):
        corners = np.where(vectors @ rotation > 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(vectors.T @ corners)
        rotation = left @ right
    return np.asarray(rotation, np.float64)
