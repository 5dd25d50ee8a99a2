"""Whether this worker still does its work: lag with nothing finished for too long means it should be restarted.

Consumers are known to die quietly: partitions that are never fetched again after a rebalance, commits that stop for
ever (faust #596, #602, #629). Nothing inside the process mends that; a restart does.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from workers.streams.offsets import TopicPartition


@dataclass(slots=True)
class _Seen:
    position: int
    moved_at_s: float


class Watchdog:
    """Fails liveness when a partition has lag and its committable offset has not moved for ``stall_after_s``.

    Waiting for a server that is away is not a stall: a restart would not bring Redis back, it would only turn one
    outage into two. Whoever retries says so with ``waiting``.

    Args:
        stall_after_s: How long a partition may have lag without moving.
        clock: Monotonic seconds; passed in by tests.
    """

    def __init__(self, *, stall_after_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stall_after_s = stall_after_s
        self._clock = clock
        self._seen: dict[TopicPartition, _Seen] = {}

    def saw(self, lags: Mapping[TopicPartition, tuple[int, int]]) -> None:
        """Take note of every assigned partition's (position, lag); partitions not named are no longer ours."""
        now_s = self._clock()
        for gone in self._seen.keys() - lags.keys():
            del self._seen[gone]
        for partition, (position, lag) in lags.items():
            seen = self._seen.get(partition)
            if seen is None or lag <= 0 or position != seen.position:
                self._seen[partition] = _Seen(position, now_s)

    def waiting(self) -> None:
        """Note that the worker is alive and waits for something it needs."""
        now_s = self._clock()
        for seen in self._seen.values():
            seen.moved_at_s = now_s

    def stalled(self) -> list[str]:
        """A sentence for each partition that stands still; empty when all is well."""
        now_s = self._clock()
        return [
            f"{topic}[{partition}] stands at offset {seen.position} with lag for {now_s - seen.moved_at_s:.0f} s"
            for (topic, partition), seen in sorted(self._seen.items())
            if now_s - seen.moved_at_s > self._stall_after_s
        ]

    def forget(self) -> None:
        """Start afresh: the partitions were given away."""
        self._seen.clear()
