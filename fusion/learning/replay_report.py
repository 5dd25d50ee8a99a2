"""What a replay shows: hits and gains with intervals, and whether differences are more than chance."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fusion.learning.replay import DEPTH, OURS_EXPLORING, Replayed

RESAMPLES: Final = 2000
LEVEL: Final = 0.95

Gains = NDArray[np.float64]


def hits_of(ranks: NDArray[np.int64]) -> Gains:
    """1 where the like is among the first ten, shape (n,)."""
    return (ranks > 0).astype(np.float64)


def gains_of(ranks: NDArray[np.int64]) -> Gains:
    """nDCG@10 of each like: one over log2(rank + 1), shape (n,); the ideal is rank 1."""
    return np.where(ranks > 0, 1.0 / np.log2(np.maximum(ranks, 1) + 1.0), 0.0)


class Bootstrap:
    """Intervals of means over likes, by drawing whole users: one user's likes are not independent.

    Args:
        users: Whose like each is, shape (n,).
        seed: Of the draws; the same draws serve every mean, so that differences are paired.
    """

    def __init__(self, users: NDArray[np.int64], seed: int = 0) -> None:
        _, self._rows = np.unique(users, return_inverse=True)
        count = int(self._rows.max()) + 1
        self._sizes = np.bincount(self._rows, minlength=count).astype(np.float64)
        rng = np.random.default_rng(seed)
        self._draws = rng.multinomial(count, np.full(count, 1.0 / count), size=RESAMPLES).astype(np.float64)

    def interval(self, values: Gains) -> dict[str, float]:
        """Mean, and the percentile interval of 95 %."""
        sums = np.bincount(self._rows, weights=values, minlength=len(self._sizes))
        means = (self._draws @ sums) / (self._draws @ self._sizes)
        low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return {"mean": round(float(values.mean()), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def report(replayed: Replayed, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Everything as JSON: each recommender's means, and the differences of ours from every baseline.

    Args:
        replayed: What came out.
        facts: Where the log came from and how it was split; repeated as they are.
    """
    draws = Bootstrap(replayed.users)
    ours = [name for name in replayed.ranks if name not in facts["baselines"] and name != OURS_EXPLORING]
    return {
        **facts,
        "queries": len(replayed.users),
        "cold_item_queries": int(replayed.cold_items.sum()),
        "chosen": dict(replayed.chosen),
        "recommenders": {name: _row(ranks, replayed, draws) for name, ranks in replayed.ranks.items()},
        "differences": {
            name: {
                baseline: {
                    f"hr@{DEPTH}": draws.interval(hits_of(replayed.ranks[name]) - hits_of(replayed.ranks[baseline])),
                    f"ndcg@{DEPTH}": draws.interval(
                        gains_of(replayed.ranks[name]) - gains_of(replayed.ranks[baseline])
                    ),
                }
                for baseline in facts["baselines"]
            }
            for name in ours
        },
    }


def _row(ranks: NDArray[np.int64], replayed: Replayed, draws: Bootstrap) -> dict[str, Any]:
    hits = hits_of(ranks)
    cold = {"cold_items": replayed.cold_items, "cold_users": replayed.cold_users}
    return {
        f"hr@{DEPTH}": draws.interval(hits),
        f"ndcg@{DEPTH}": draws.interval(gains_of(ranks)),
        **{
            f"hr@{DEPTH}_{name}": round(float(hits[rows].mean()), 4) if rows.any() else None
            for name, rows in cold.items()
        },
    }
