"""Batches grow with load, partitions keep their order, and nothing is handled after it was given away."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.unit.workers.streams.kit import TOPIC, record, records
from workers.streams.dispatch import Dispatcher, Lanes
from workers.streams.offsets import OffsetTracker, TopicPartition
from workers.streams.records import Record


def place(record: Record) -> tuple[int, int]:
    """Partition and offset."""
    return record.partition, record.offset


class Gate:
    """A deliver function that holds each batch until it is let through, and notes what it was given."""

    def __init__(self, *, open_: bool = False) -> None:
        self.batches: list[list[tuple[int, int]]] = []
        self.passed = asyncio.Semaphore(10_000 if open_ else 0)
        self.halts: list[asyncio.Event] = []

    async def __call__(self, batch: Sequence[Record], halt: asyncio.Event) -> Sequence[bool]:
        """Hold the batch."""
        self.batches.append([place(one) for one in batch])
        self.halts.append(halt)
        await self.passed.acquire()
        return [not halt.is_set()] * len(batch)


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


def dispatcher_of(gate: object, tracker: OffsetTracker | None = None, *, batch_events: int = 4) -> Dispatcher:
    """A dispatcher that lingers for a millisecond."""
    return Dispatcher(gate, tracker or OffsetTracker(), batch_events=batch_events, batch_wait_s=0.001)  # type: ignore[arg-type]


class TestLanes:
    """Which records make a batch."""

    def test_a_busy_partition_gives_out_nothing(self) -> None:
        """So that an older write of a key can never overtake a newer one."""
        lanes = Lanes(batch_events=2)
        for one in [*records(3, partition=0), *records(1, partition=1)]:
            lanes.add(one)

        first, second = lanes.next_batch(), lanes.next_batch()

        assert [place(one) for one in first] == [(0, 0), (0, 1)]
        assert [place(one) for one in second] == [(1, 0)]
        assert lanes.next_batch() == []
        lanes.release(first)
        assert [place(one) for one in lanes.next_batch()] == [(0, 2)]

    def test_a_partition_with_much_starves_no_other(self) -> None:
        """Whoever was served stands at the end of the line."""
        lanes = Lanes(batch_events=2)
        for one in [*records(10, partition=0), *records(2, partition=1)]:
            lanes.add(one)
        lanes.release(lanes.next_batch())

        assert [place(one)[0] for one in lanes.next_batch()] == [1, 1]

    def test_large_events_make_small_batches(self) -> None:
        """The record that reaches the bound closes the batch, and a single one larger than it still goes."""
        lanes = Lanes(batch_events=100, batch_bytes=100)
        for offset in range(3):
            lanes.add(record(offset, value=b"x" * 60))

        assert [one.offset for one in lanes.next_batch()] == [0, 1]
        assert lanes.bytes == 60

    def test_waiting_is_counted_by_events_and_bytes(self) -> None:
        """Either bound makes whoever brings more wait."""
        by_count, by_size = Lanes(batch_events=2), Lanes(batch_events=100, batch_bytes=10)
        for offset in range(2):
            by_count.add(record(offset))
        by_size.add(record(0, value=b"x" * 10))

        assert by_count.full
        assert by_size.full


async def test_an_event_that_finds_the_worker_idle_is_handled_at_once() -> None:
    """No waiting to fill a batch while there is nothing else to do."""
    gate = Gate()
    await dispatcher_of(gate).offer(record(0))
    await settle()

    assert gate.batches == [[(0, 0)]]


async def test_what_arrives_meanwhile_makes_the_next_batch() -> None:
    """Batches grow with load, up to their bound."""
    gate = Gate()
    dispatcher = dispatcher_of(gate)
    for one in records(4):
        await dispatcher.offer(one)
    await settle()
    gate.passed.release()
    await settle()

    assert gate.batches == [[(0, 0)], [(0, 1), (0, 2), (0, 3)]]


async def test_another_partition_is_handled_beside_a_busy_one() -> None:
    """After the linger, a partition that is not busy does not wait for one that is."""
    gate = Gate()
    dispatcher = dispatcher_of(gate)
    await dispatcher.offer(record(0, partition=0))
    await dispatcher.offer(record(0, partition=1))
    await asyncio.sleep(0.02)

    assert gate.batches == [[(0, 0)], [(1, 0)]]


async def test_offering_waits_while_there_is_no_room() -> None:
    """Memory is bounded: what is not taken stays with the broker."""
    gate = Gate()
    dispatcher = dispatcher_of(gate, batch_events=2)
    for one in records(3):
        await dispatcher.offer(one)
    fourth = asyncio.create_task(dispatcher.offer(record(3)))
    await settle()
    assert not fourth.done()

    gate.passed.release()
    await fourth
    await settle()

    assert gate.batches[1] == [(0, 1), (0, 2)]


async def test_what_ended_becomes_committable_in_order() -> None:
    """Partition 1 ends first; partition 0 is not committed before it ends itself."""
    gate, tracker = Gate(open_=True), OffsetTracker()
    dispatcher = dispatcher_of(gate, tracker)
    for one in records(10):
        await dispatcher.offer(one)
    await asyncio.sleep(0.02)

    assert tracker.committable() == {TopicPartition(TOPIC, 0): 10}
    assert tracker.unfinished == 0


async def test_giving_away_forgets_what_waits_and_lets_what_runs_end() -> None:
    """The batch in flight learns that it should let go; what had not started is never handled."""
    gate, tracker = Gate(), OffsetTracker()
    dispatcher = dispatcher_of(gate, tracker, batch_events=2)
    for one in records(3):
        await dispatcher.offer(one)
    blocked = asyncio.create_task(dispatcher.offer(record(3)))
    await settle()

    giving = asyncio.create_task(dispatcher.let_go(timeout_s=5.0))
    await settle()
    assert gate.halts[0].is_set()
    gate.passed.release()
    await giving
    await blocked

    assert gate.batches == [[(0, 0)]]
    assert tracker.committable() == {}
    assert dispatcher.waiting == 0


async def test_partitions_that_come_back_are_handled_anew() -> None:
    """After a rebalance the same offsets are read again from the committed one on."""
    gate, tracker = Gate(open_=True), OffsetTracker()
    dispatcher = dispatcher_of(gate, tracker)
    await dispatcher.offer(record(7))
    await settle()
    await dispatcher.let_go(timeout_s=1.0)
    tracker.forget()

    await dispatcher.offer(record(5))
    await settle()

    assert gate.batches[-1] == [(0, 5)]
    assert tracker.committable() == {TopicPartition(TOPIC, 0): 6}


async def test_giving_away_does_not_wait_for_ever() -> None:
    """A batch that does not end within the time is left behind; its ending later changes nothing."""
    gate, tracker = Gate(), OffsetTracker()
    dispatcher = dispatcher_of(gate, tracker)
    await dispatcher.offer(record(0))
    await settle()

    await dispatcher.let_go(timeout_s=0.01)
    tracker.forget()
    gate.passed.release()
    await settle()

    assert tracker.committable() == {}


async def test_a_closed_dispatcher_takes_nothing_and_cancels_what_hangs() -> None:
    """At the end of the drain nothing of this worker goes on."""
    gate, tracker = Gate(), OffsetTracker()
    dispatcher = dispatcher_of(gate, tracker)
    await dispatcher.offer(record(0))
    await settle()

    await dispatcher.close(timeout_s=0.01)
    await dispatcher.offer(record(1))
    await settle()

    assert gate.batches == [[(0, 0)]]
    assert tracker.committable() == {}
    assert not dispatcher.failed.done()


async def test_a_defect_in_delivery_is_not_swallowed() -> None:
    """It reaches the worker, which must not go on, and the event is not committed."""
    tracker = OffsetTracker()

    async def broken(batch: Sequence[Record], halt: asyncio.Event) -> Sequence[bool]:
        raise KeyError("a defect")

    dispatcher = dispatcher_of(broken, tracker)
    await dispatcher.offer(record(0))

    with pytest.raises(KeyError):
        await asyncio.wait_for(dispatcher.failed, 1.0)
    assert tracker.committable() == {}
