"""How sure a mean is: percentile intervals of the bootstrap over queries (Efron, Tibshirani 1993, section 13.3).

A comparison of two ways to rank resamples the differences on the same queries (the paired bootstrap: Sakai 2006,
"Evaluating evaluation metrics based on the bootstrap"), so that hard and easy queries do not blur it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEVEL: Final = 0.95
RESAMPLES: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean and where it would lie for other queries like these, in 95 of 100 cases."""

    mean: float
    low: float
    high: float

    def rounded(self) -> dict[str, float]:
        """Ready for JSON."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def interval(
    strata: Sequence[NDArray[np.floating]], *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> Interval:
    """Interval of the mean over strata of each one's mean; queries are resampled within their own stratum.

    Args:
        strata: Values a query, one array a group of queries; none empty.
        resamples: How often.
        level: Share of the resampled means that the interval holds.
        seed: The same seed gives the same interval.
    """
    rng = np.random.default_rng(seed)
    means = np.zeros(resamples)
    for values in strata:
        drawn = rng.integers(len(values), size=(resamples, len(values)))
        means += np.asarray(values, np.float64)[drawn].mean(axis=1) / len(strata)
    low, high = np.quantile(means, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(mean=float(np.mean([np.mean(values) for values in strata])), low=float(low), high=float(high))
