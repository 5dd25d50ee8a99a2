"""The watch sees commits that go back and partitions that stand still."""

import asyncio

from aiokafka import TopicPartition

from config.settings import KafkaSettings
from config.vocabulary import Role
from tests.chaos.watch import Watch

HERE = TopicPartition("crosscurrent.content", 0)


def seen(watch: Watch, committed: int, end: int, *, ago_s: float = 0.0) -> None:
    """Let the watch see a partition, as if it had stood still for so long before."""
    lane = watch.lanes[Role.CONTENT][HERE]
    lane.still_since_s -= ago_s
    watch._saw(Role.CONTENT, HERE, lane, committed=committed, end=end)


def test_a_commit_that_goes_back_is_told() -> None:
    """From where to where, on which partition."""
    watch = Watch(KafkaSettings())
    seen(watch, 5, 10)
    seen(watch, 7, 10)
    assert watch.backward == []

    seen(watch, 4, 10)
    assert watch.backward == ["crosscurrent.content[0] from 7 to 4"]


def test_lag_without_a_commit_is_silence_and_nothing_else_is() -> None:
    """A partition without lag may rest, and one whose role an operator has stopped."""
    watch = Watch(KafkaSettings())
    silence = lambda: watch.silences()["crosscurrent.content[0]"]  # noqa: E731 - asked again and again
    seen(watch, 10, 10)
    seen(watch, 10, 10, ago_s=100)
    with watch.resting(Role.CONTENT):
        seen(watch, 10, 20, ago_s=100)
    assert silence() < 1

    seen(watch, 10, 20, ago_s=70)
    assert 70 <= silence() < 71
    assert watch.lag([Role.CONTENT]) == 10


async def test_recovery_waits_for_what_had_lag_and_for_nothing_else() -> None:
    """At once where nothing lags; for a partition that lags, until its commit moves."""
    watch = Watch(KafkaSettings())
    seen(watch, 10, 10)
    assert await watch.moved([Role.CONTENT]) < 1

    seen(watch, 10, 20)
    waiting = asyncio.create_task(watch.moved([Role.CONTENT]))
    await asyncio.sleep(0.6)
    assert not waiting.done()
    seen(watch, 11, 20)
    assert 0.5 < await waiting < 5
