"""Offsets are committed in order and only in order."""

from hypothesis import given
from hypothesis import strategies as st

from workers.streams.offsets import OffsetTracker, TopicPartition

HERE = TopicPartition("content", 0)
THERE = TopicPartition("content", 1)


def tracker_with(*offsets: int) -> OffsetTracker:
    """A tracker that took these offsets of one partition."""
    tracker = OffsetTracker()
    for offset in offsets:
        assert tracker.take(HERE, offset)
    return tracker


def test_an_unfinished_event_holds_back_all_that_finished_behind_it() -> None:
    """What Faust 0.15.3 loses: with 18 open and everything else finished, 18 is what may be committed."""
    tracker = tracker_with(*range(50))

    for offset in range(50):
        if offset != 18:
            tracker.finish(HERE, offset)

    assert tracker.committable() == {HERE: 18}


def test_closing_the_gap_frees_what_finished_behind_it() -> None:
    """The moment the first unfinished event ends, everything finished behind it may be committed."""
    tracker = tracker_with(1, 2, 3)
    tracker.finish(HERE, 3)
    tracker.finish(HERE, 2)
    assert tracker.committable() == {}

    tracker.finish(HERE, 1)

    assert tracker.committable() == {HERE: 4}


def test_offsets_that_were_never_delivered_do_not_hold_anything_back() -> None:
    """Compaction and transactions leave holes in the offsets; a hole is nobody's event."""
    tracker = tracker_with(10, 17, 40)

    for offset in (10, 17, 40):
        tracker.finish(HERE, offset)

    assert tracker.committable() == {HERE: 41}


def test_partitions_do_not_hold_each_other_back() -> None:
    """Each partition is committed for itself."""
    tracker = tracker_with(5)
    tracker.take(THERE, 7)

    tracker.finish(THERE, 7)

    assert tracker.committable() == {THERE: 8}


def test_nothing_is_committed_twice() -> None:
    """What the broker holds is not sent again until it moves."""
    tracker = tracker_with(0, 1)
    tracker.finish(HERE, 0)
    tracker.mark_committed(tracker.committable())
    assert tracker.committable() == {}

    tracker.finish(HERE, 1)

    assert tracker.committable() == {HERE: 2}


def test_an_event_in_hand_is_not_taken_again() -> None:
    """A consumer that steps back delivers again what is in flight or finished; handling it twice gains nothing."""
    tracker = tracker_with(3, 4)
    tracker.finish(HERE, 3)

    assert not tracker.take(HERE, 3)
    assert not tracker.take(HERE, 4)
    assert tracker.take(HERE, 5)


def test_a_forgotten_partition_starts_afresh() -> None:
    """After a rebalance the same partition may come back at the offset committed, and late endings mean nothing."""
    tracker = tracker_with(3, 4)
    tracker.forget([HERE])
    tracker.finish(HERE, 3)
    assert tracker.committable() == {}

    assert tracker.take(HERE, 3)
    assert tracker.unfinished == 1


def test_the_oldest_event_in_hand_gives_its_time() -> None:
    """Lag in seconds is the age of the oldest unfinished event over all partitions."""
    tracker = OffsetTracker()
    assert tracker.oldest_timestamp_ms() is None
    tracker.take(HERE, 0, timestamp_ms=500)
    tracker.take(THERE, 0, timestamp_ms=300)
    assert tracker.oldest_timestamp_ms() == 300

    tracker.finish(THERE, 0)

    assert tracker.oldest_timestamp_ms() == 500


@given(
    gaps=st.lists(st.integers(1, 5), min_size=1, max_size=40),
    data=st.data(),
)
def test_the_committed_offset_is_always_the_first_unfinished_one(gaps: list[int], data: st.DataObject) -> None:
    """For any holes and any order of endings, exactly the events before the first unfinished one are committable."""
    offsets = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    tracker = tracker_with(*offsets)
    finished: set[int] = set()

    for offset in data.draw(st.permutations(offsets)):
        tracker.finish(HERE, offset)
        finished.add(offset)
        unfinished = [one for one in offsets if one not in finished]
        before = [one for one in offsets if not unfinished or one < unfinished[0]]
        expected = {HERE: before[-1] + 1} if before else {}

        assert tracker.committable() == expected
        assert tracker.unfinished == len(unfinished)


@given(steps=st.lists(st.tuples(st.sampled_from(["take", "finish", "commit", "forget"]), st.integers(0, 20))))
def test_no_event_is_ever_committed_before_it_ended(steps: list[tuple[str, int]]) -> None:
    """Whatever happens in whatever order, a commit never passes an event that is in hand."""
    tracker = OffsetTracker()
    in_hand: set[int] = set()
    for step, offset in steps:
        if step == "take" and tracker.take(HERE, offset):
            in_hand.add(offset)
        elif step == "finish":
            tracker.finish(HERE, offset)
            in_hand.discard(offset)
        elif step == "commit":
            committable = tracker.committable()
            assert all(one >= committable[HERE] for one in in_hand if HERE in committable)
            tracker.mark_committed(committable)
        elif step == "forget":
            tracker.forget()
            in_hand.clear()
