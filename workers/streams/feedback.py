"""Click-through and reciprocal rank, from what users did to what they were shown. Two numbers are all that is kept."""

import time
from collections.abc import Callable
from typing import Final

from fusion.people.served import Joined
from workers.streams.metrics import Metrics

HALF_LIFE_S: Final = 3600.0
"""After this long an impression or a click counts half in the ratio that the gauge shows."""


class Feedback:
    """Tells a worker's Prometheus metrics.

    Args:
        metrics: Told.
        clock: Seconds that only go forward; passed in for tests.
    """

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._as_of_s = clock()
        self._seen = 0.0
        self._clicked = 0.0

    def joined(self, joined: Joined) -> None:
        """Count what an act was the first sign of; the reciprocal rank is that of an answer's first click."""
        now_s = self._clock()
        kept = 2.0 ** (-(now_s - self._as_of_s) / HALF_LIFE_S)
        self._as_of_s = now_s
        self._seen = self._seen * kept + joined.newly_seen
        self._clicked = self._clicked * kept + joined.newly_clicked
        self._metrics.impressions.inc(int(joined.newly_seen))
        self._metrics.clicks.inc(int(joined.newly_clicked))
        if self._seen > 0:
            self._metrics.click_through.set(min(self._clicked / self._seen, 1.0))
        if joined.first_click:
            self._metrics.reciprocal_rank.observe(1.0 / joined.rank)
