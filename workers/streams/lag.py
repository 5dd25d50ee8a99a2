"""How far behind a worker is, and the regular commit: what finished becomes committed, what is left becomes lag."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from config.errors import CrosscurrentError, RetryLater
from workers.streams.metrics import Metrics
from workers.streams.offsets import OffsetTracker, TopicPartition
from workers.streams.records import Ledger, NoLedger
from workers.streams.watchdog import Watchdog

log = logging.getLogger(__name__)

# Asking the broker for end offsets is one small request for all partitions.
_LAG_INTERVAL_S = 2.0
_ASK_TIMEOUT_S = 5.0


class Source(Protocol):
    """What commits and lag need of a consumer."""

    def assignment(self) -> Collection[TopicPartition]:
        """The partitions that are ours now."""
        ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> bool:
        """Commit the next offsets to read; False when the group moved on and they were refused."""
        ...

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offset that the next record of each partition will get."""
        ...

    async def positions(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offset that would be fetched next from each partition."""
        ...


class Committer:
    """Commits what the tracker says may be committed, once the handler's ledger is on Kafka.

    Args:
        ledger: Flushed before every commit; while it cannot be, nothing is committed.
        now_s: Unix seconds; passed in by tests.
    """

    def __init__(
        self,
        source: Source,
        tracker: OffsetTracker,
        metrics: Metrics,
        *,
        ledger: Ledger | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._tracker = tracker
        self._metrics = metrics
        self._ledger = ledger or NoLedger()
        self._now_s = now_s
        self._one_at_a_time = asyncio.Lock()

    async def commit(self) -> None:
        """Commit now; what cannot be committed is tried again next time, or read again by the next owner."""
        async with self._one_at_a_time:
            offsets = self._tracker.committable()  # before the flush: what ends meanwhile is for the next time
            if offsets and await self._flushed() and await self._source.commit(offsets):
                self._tracker.mark_committed(offsets)
                self._metrics.last_commit.set(self._now_s())

    async def _flushed(self) -> bool:
        try:
            await self._ledger.flush()
        except CrosscurrentError as exc:
            log.warning("nothing is committed before what was counted is sent (%s); it is tried again", exc)
            return False
        return True


class LagMonitor:
    """Measures lag, shows it, and tells the watchdog."""

    def __init__(
        self,
        source: Source,
        tracker: OffsetTracker,
        metrics: Metrics,
        watchdog: Watchdog,
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._tracker = tracker
        self._metrics = metrics
        self._watchdog = watchdog
        self._now_s = now_s
        self._shown: set[TopicPartition] = set()
        self._lagging_since_s: float | None = None

    async def run(self) -> None:
        """Measure regularly until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_ASK_TIMEOUT_S):
                    await self.measure()
            except (TimeoutError, RetryLater) as exc:
                log.warning("the broker does not tell how far behind we are (%r): the last numbers stand", exc)
            await asyncio.sleep(_LAG_INTERVAL_S)

    async def measure(self) -> None:
        """Measure once."""
        ours = set(self._source.assignment())
        ends = await self._source.end_offsets(ours) if ours else {}
        positions = await self._positions(ours)
        known = {one: positions[one] for one in ours if one in positions and one in ends}
        lags = {one: (position, max(0, ends[one] - position)) for one, position in known.items()}
        self._watchdog.saw(lags)
        self._show({one: lag for one, (_, lag) in lags.items()})

    async def _positions(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Where we are: by the tracker, and by the consumer for a partition that gave us nothing yet."""
        known = {one: position for one in partitions if (position := self._tracker.position(one)) is not None}
        unknown = [one for one in partitions if one not in known]
        return known | dict(await self._source.positions(unknown)) if unknown else known

    def _show(self, lags: Mapping[TopicPartition, int]) -> None:
        for gone in self._shown - lags.keys():
            with contextlib.suppress(KeyError):
                self._metrics.consumer_lag.remove(gone.topic, str(gone.partition))
        for one, lag in lags.items():
            self._metrics.consumer_lag.labels(one.topic, str(one.partition)).set(lag)
        self._shown = set(lags)
        self._metrics.consumer_lag_seconds.set(self._age_s(behind=any(lags.values())))

    def _age_s(self, *, behind: bool) -> float:
        """Age of the oldest event not finished; when none is in hand, how long we have been behind."""
        if not behind:
            self._lagging_since_s = None
            return 0.0
        now_s = self._now_s()
        self._lagging_since_s = self._lagging_since_s or now_s
        oldest_ms = self._tracker.oldest_timestamp_ms()
        return max(0.0, now_s - (self._lagging_since_s if oldest_ms is None else oldest_ms / 1000))
