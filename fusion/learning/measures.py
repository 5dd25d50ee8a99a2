"""How good a ranking is, one number a query: what training stops by and what evaluations compare."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Gains = NDArray[np.floating]
DEPTH: Final = 10


def ranked_gains(scores: NDArray[np.floating], gains: Gains) -> Gains:
    """Gains in the order of falling scores, the earlier of equals first; shape (items,)."""
    return gains[np.argsort(-scores, kind="stable")]


def ndcg(ranked: Gains, ideal: Gains | None = None, depth: int = DEPTH) -> float:
    """Normalised discounted cumulated gain of the first ``depth`` (Järvelin, Kekäläinen 2002), linear gains, in [0, 1].

    Args:
        ranked: Gains of what was found, best place first.
        ideal: Gains of everything that should have been found, in any order; ``ranked`` itself if None.
        depth: Places that count.
    """
    best = -np.sort(-np.asarray(ranked if ideal is None else ideal, np.float64))[:depth]
    most = float((best * discounts(len(best))).sum())
    first = np.asarray(ranked, np.float64)[:depth]
    return float((first * discounts(len(first))).sum()) / most if most > 0 else 0.0


def reciprocal_rank(ranked: Gains) -> float:
    """1 / place of the first item with a gain; 0 when there is none."""
    found = np.flatnonzero(np.asarray(ranked) > 0)
    return 1.0 / (1.0 + int(found[0])) if len(found) else 0.0


def recall(ranked: Gains, relevant: int, depth: int = DEPTH) -> float:
    """Share of the relevant items that are among the first ``depth``, of as many as fit there."""
    return float((np.asarray(ranked)[:depth] > 0).sum()) / min(relevant, depth) if relevant else 0.0


def discounts(count: int) -> NDArray[np.float64]:
    """What places 1 to ``count`` are worth: 1 / log2(place + 1)."""
    return np.asarray(1.0 / np.log2(np.arange(2, count + 2)), np.float64)
