"""Lag is measured against the broker, commits follow the tracker."""

from collections.abc import Callable
from dataclasses import dataclass, field

from config.errors import RetryLater
from config.vocabulary import Role
from tests.unit.workers.streams.kit import ScriptedSource
from workers.streams.lag import Committer, LagMonitor
from workers.streams.metrics import Metrics
from workers.streams.offsets import OffsetTracker, TopicPartition
from workers.streams.watchdog import Watchdog

ONE, TWO = TopicPartition("content", 0), TopicPartition("content", 1)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """A sample, or None when it is absent."""
    return metrics.registry.get_sample_value(f"crosscurrent_{name}", labels)


@dataclass
class ScriptedLedger:
    """Notes how many commits there were when it was flushed; fails while the broker is away."""

    source: ScriptedSource
    away: bool = False
    meanwhile: Callable[[], object] = lambda: None
    commits_at_flush: list[int] = field(default_factory=list)

    async def flush(self) -> None:
        """Note and fail by script."""
        self.commits_at_flush.append(len(self.source.commits))
        self.meanwhile()
        if self.away:
            raise RetryLater("away")

    def forget(self) -> None:
        """Nothing to drop."""


def monitor(source: ScriptedSource, tracker: OffsetTracker, metrics: Metrics, now_s: float = 100.0) -> LagMonitor:
    """A monitor at a fixed time."""
    return LagMonitor(source, tracker, metrics, Watchdog(stall_after_s=60.0), now_s=lambda: now_s)


class TestCommitter:
    """What is committed, and when it counts as committed."""

    async def test_it_commits_what_ended_and_shows_when(self) -> None:
        """Only what moved is sent; the gauge says when."""
        source, tracker, metrics = ScriptedSource(), OffsetTracker(), Metrics(Role.CONTENT)
        tracker.take(ONE, 4)
        tracker.finish(ONE, 4)
        committer = Committer(source, tracker, metrics, now_s=lambda: 1234.5)

        await committer.commit()
        await committer.commit()

        assert source.commits == [{ONE: 5}]
        assert value(metrics, "last_commit_timestamp_seconds") == 1234.5

    async def test_a_refused_commit_is_tried_again(self) -> None:
        """The group moved on, or the broker was away: nothing counts as committed."""
        source, tracker, metrics = ScriptedSource(accepts=False), OffsetTracker(), Metrics(Role.CONTENT)
        tracker.take(ONE, 4)
        tracker.finish(ONE, 4)
        committer = Committer(source, tracker, metrics)

        await committer.commit()
        source.accepts = True
        await committer.commit()

        assert source.commits == [{ONE: 5}, {ONE: 5}]

    async def test_the_ledger_is_sent_first(self) -> None:
        """Nothing is committed that was not flushed, and what ends during the flush waits for the next commit."""
        source, tracker = ScriptedSource(), OffsetTracker()
        for offset in (4, 5):
            tracker.take(ONE, offset)
        tracker.finish(ONE, 4)
        ledger = ScriptedLedger(source, away=True, meanwhile=lambda: tracker.finish(ONE, 5))
        committer = Committer(source, tracker, Metrics(Role.CONTENT), ledger=ledger)

        await committer.commit()
        assert source.commits == []

        ledger.away = False
        tracker.take(ONE, 6)
        ledger.meanwhile = lambda: tracker.finish(ONE, 6)
        await committer.commit()
        assert source.commits == [{ONE: 6}]
        assert ledger.commits_at_flush == [0, 0]

    async def test_without_anything_to_commit_nothing_is_flushed(self) -> None:
        """An idle worker sends nothing."""
        source = ScriptedSource()
        ledger = ScriptedLedger(source)
        await Committer(source, OffsetTracker(), Metrics(Role.CONTENT), ledger=ledger).commit()
        assert ledger.commits_at_flush == []


class TestLagMonitor:
    """How far behind."""

    async def test_lag_is_what_is_not_finished(self) -> None:
        """Taken from the tracker where events were taken, from the consumer where none were yet."""
        source = ScriptedSource(ours=[ONE, TWO], ends={ONE: 10, TWO: 7}, fetch_positions={TWO: 2})
        tracker, metrics = OffsetTracker(), Metrics(Role.CONTENT)
        tracker.take(ONE, 6)

        await monitor(source, tracker, metrics).measure()

        assert value(metrics, "consumer_lag", topic="content", partition="0") == 4
        assert value(metrics, "consumer_lag", topic="content", partition="1") == 5

    async def test_lag_in_seconds_is_the_age_of_the_oldest_event(self) -> None:
        """By its record time; zero when nothing is behind."""
        source = ScriptedSource(ours=[ONE], ends={ONE: 7})
        tracker, metrics = OffsetTracker(), Metrics(Role.CONTENT)
        tracker.take(ONE, 6, timestamp_ms=70_000)
        lag = monitor(source, tracker, metrics)

        await lag.measure()
        assert value(metrics, "consumer_lag_seconds") == 30.0
        tracker.finish(ONE, 6)
        await lag.measure()

        assert value(metrics, "consumer_lag_seconds") == 0.0

    async def test_a_partition_given_away_is_no_longer_shown(self) -> None:
        """Its new owner shows it; two workers showing it would count twice."""
        source = ScriptedSource(ours=[ONE], ends={ONE: 7}, fetch_positions={ONE: 7})
        metrics = Metrics(Role.CONTENT)
        lag = monitor(source, OffsetTracker(), metrics)
        await lag.measure()
        assert value(metrics, "consumer_lag", topic="content", partition="0") == 0

        source.ours = []
        await lag.measure()

        assert value(metrics, "consumer_lag", topic="content", partition="0") is None
