"""A worker that stands still is told apart from one that waits or has nothing to do."""

from workers.streams.offsets import TopicPartition
from workers.streams.watchdog import Watchdog

ONE, TWO = TopicPartition("content", 0), TopicPartition("content", 1)


class Clock:
    """Monotonic seconds, moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """The time now."""
        return self.now_s


def watched() -> tuple[Watchdog, Clock]:
    """A watchdog with a patience of 60 s."""
    clock = Clock()
    return Watchdog(stall_after_s=60.0, clock=clock), clock


def test_lag_without_movement_is_a_stall() -> None:
    """More than a minute with lag at the same offset: the partition is named."""
    watchdog, clock = watched()
    watchdog.saw({ONE: (5, 10)})
    clock.now_s += 60
    assert watchdog.stalled() == []

    clock.now_s += 1

    [told] = watchdog.stalled()
    assert "content[0]" in told
    assert "offset 5" in told


def test_movement_starts_the_clock_again() -> None:
    """However slow, a worker that finishes events is alive."""
    watchdog, clock = watched()
    for position in range(5):
        watchdog.saw({ONE: (position, 100)})
        clock.now_s += 50

    assert watchdog.stalled() == []


def test_one_partition_that_moves_does_not_cover_for_another() -> None:
    """A partition that is never fetched after a rebalance is found although its neighbour thrives."""
    watchdog, clock = watched()
    for position in range(4):
        watchdog.saw({ONE: (position, 1), TWO: (7, 3)})
        clock.now_s += 30

    assert [told.split()[0] for told in watchdog.stalled()] == ["content[1]"]


def test_nothing_to_do_is_no_stall() -> None:
    """Without lag the clock does not run, and it starts with the first lag."""
    watchdog, clock = watched()
    for _ in range(10):
        watchdog.saw({ONE: (5, 0)})
        clock.now_s += 100
    watchdog.saw({ONE: (5, 0)})
    clock.now_s += 1
    watchdog.saw({ONE: (5, 1)})
    clock.now_s += 30

    assert watchdog.stalled() == []


def test_waiting_for_a_server_is_no_stall() -> None:
    """A restart would not bring Redis back."""
    watchdog, clock = watched()
    watchdog.saw({ONE: (5, 10)})
    for _ in range(20):
        clock.now_s += 30
        watchdog.waiting()
        watchdog.saw({ONE: (5, 10)})

    assert watchdog.stalled() == []


def test_partitions_given_away_are_not_held_against_us() -> None:
    """What is no longer ours, by a rebalance or by not being named any more, does not count."""
    watchdog, clock = watched()
    watchdog.saw({ONE: (5, 10), TWO: (5, 10)})
    clock.now_s += 100
    watchdog.saw({ONE: (6, 10)})
    assert watchdog.stalled() == []

    clock.now_s += 100
    watchdog.forget()

    assert watchdog.stalled() == []
