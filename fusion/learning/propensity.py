"""How likely a place in a list is looked at, estimated from clicks, so that clicks can be corrected for it.

Position-based model: an item is clicked when it is looked at, with p(place) = place^-η, and relevant (the power law of
Joachims, Swaminathan and Schnabel 2017, "Unbiased learning-to-rank with biased feedback"). Clicks by 1 / p then say,
in the mean, what is relevant.

η is harvested from items that the same query showed at different places, as Agarwal et al. 2019, "Estimating position
bias without intrusive interventions", do: whoever is relevant is so at each place, so that given all clicks of such an
item, where they fell depends on η alone. Its estimating equation, Σ (clicks - expected clicks) · log place = 0, holds
in the mean at the true η whatever the relevances are, and its left side rises in η, so that there is one root.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured

STEEPEST: Final = 5.0
"""η beyond this says that nobody looks past the first place: the log is of another kind than the model."""
HALVINGS: Final = 50
"""Of the interval that holds the root: to the last digit."""
LOWEST: Final = 0.05
"""No click counts for more than 1 / this: a few clicks far down would drown all others (clipping: Ionides 2008)."""


class Shown(NamedTuple):
    """An item that a result showed.

    Args:
        pair: Which query and item, the same whenever the same query showed it.
        place: From 1.
    """

    pair: str
    place: int
    clicked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Propensity:
    """What was estimated.

    Args:
        eta: Exponent of the power law; 0 is no bias by place.
        error: Its standard error; 0 when it was given and not estimated.
        pairs: Items with clicks that the same query showed at different places.
    """

    eta: float
    error: float = 0.0
    pairs: int = 0

    def of(self, places: NDArray[np.integer]) -> NDArray[np.float64]:
        """How likely each place is looked at, in [LOWEST, 1]."""
        return np.maximum(np.asarray(places, np.float64) ** -self.eta, LOWEST)


def estimate_propensity(shown: Sequence[Shown]) -> Propensity:
    """Estimate how fast attention falls with the place.

    Raises:
        Misconfigured: No clicked item was shown at two places by one query, or clicks rise with the place.
    """
    moved = _moved(shown)
    if not moved.pairs:
        raise Misconfigured(
            "the clicks do not tell how places are looked at: no clicked item was shown at two places by the same "
            "query; say --eta, 1 for attention that falls as 1 / place and 0 for none of it"
        )
    low, high = 0.0, STEEPEST
    if moved.score(high) > 0:
        raise Misconfigured(f"clicks fall off faster than place^-{STEEPEST:g}: is this log of clicks in ranked lists?")
    if moved.score(low) <= 0:  # attention does not fall at all, as far as these clicks tell
        return Propensity(eta=0.0, error=moved.error(0.0), pairs=moved.pairs)
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if moved.score(middle) > 0 else (low, middle)
    return Propensity(eta=low, error=moved.error(low), pairs=moved.pairs)


@dataclass(frozen=True, slots=True)
class _Moved:
    """Clicked items that one query showed at several places; a row an item and place.

    Args:
        pair: Which item, from 0; shape (rows,).
        logs: Logarithm of the place.
        often: How often it was shown there.
        clicks: How often clicked there.
    """

    pair: NDArray[np.intp]
    logs: NDArray[np.float64]
    often: NDArray[np.float64]
    clicks: NDArray[np.float64]

    @property
    def pairs(self) -> int:
        return int(self.pair.max()) + 1 if len(self.pair) else 0

    def shares(self, eta: float) -> NDArray[np.float64]:
        """Where an item's clicks are expected to fall; they sum to 1 a pair."""
        expected = self.often * np.exp(-eta * self.logs)
        return np.asarray(expected / self._sums(expected), np.float64)

    def score(self, eta: float) -> float:
        """Expected less observed clicks by log place: above 0 while η is too small."""
        return float((self._sums(self.clicks) * self.shares(eta) - self.clicks) @ self.logs)

    def error(self, eta: float) -> float:
        """Standard error by the information that the clicks hold."""
        shares, clicks = self.shares(eta), self._sums(self.clicks)
        spread = shares * (self.logs - self._sums(shares * self.logs)) ** 2
        information = float(clicks @ spread)
        return information**-0.5 if information > 0 else float("inf")

    def _sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(self.pair, values)[self.pair], np.float64)


def _moved(shown: Sequence[Shown]) -> _Moved:
    counts: dict[str, dict[int, list[int]]] = {}
    for pair, place, clicked in shown:
        seen = counts.setdefault(pair, {}).setdefault(place, [0, 0])
        seen[0] += 1
        seen[1] += clicked
    telling = [places for places in counts.values() if len(places) > 1 and any(clicks for _, clicks in places.values())]
    rows = [(pair, place, *seen) for pair, places in enumerate(telling) for place, seen in places.items()]
    table = np.array(rows, np.float64).reshape(len(rows), 4).T
    return _Moved(table[0].astype(np.intp), np.log(table[1]), table[2], table[3])
