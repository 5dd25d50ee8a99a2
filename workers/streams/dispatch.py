"""Which records are handled when: several batches in flight, never two that share a partition.

Continuous batching: an event that finds the worker idle is handled at once, and whatever arrives meanwhile makes the
next batch, so batches grow with load and waiting does not. One partition's events stay in order because the partition
is busy while a batch of its is in flight (a compacted topic keeps the last write, so an older one must not overtake).
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence

from workers.streams.offsets import OffsetTracker, TopicPartition
from workers.streams.records import Record

Deliver = Callable[[Sequence[Record], asyncio.Event], Awaitable[Sequence[bool]]]

# Enough to prepare the next batch on the CPU while one is on the device and one is being written.
_MAX_IN_FLIGHT = 4
# Events may be megabytes: whichever bound is met first, a worker holds no more than this twice (waiting, in flight).
_MAX_BATCH_BYTES = 64 * 2**20


class Lanes:
    """Waiting records, one queue a partition; a partition with a batch in flight gives out nothing.

    Args:
        batch_events: Most records in a batch.
        batch_bytes: A batch is closed by the record that reaches this.
    """

    def __init__(self, *, batch_events: int, batch_bytes: int = _MAX_BATCH_BYTES) -> None:
        self._batch_events = batch_events
        self._batch_bytes = batch_bytes
        self._waiting: OrderedDict[TopicPartition, deque[Record]] = OrderedDict()
        self._busy: set[TopicPartition] = set()
        self.events = 0
        self.bytes = 0

    def add(self, record: Record) -> None:
        """Queue a record behind those of its partition."""
        self._waiting.setdefault(TopicPartition(record.topic, record.partition), deque()).append(record)
        self.events += 1
        self.bytes += _size(record)

    @property
    def full(self) -> bool:
        """Whether a whole batch waits; whoever brings more should wait too."""
        return self.events >= self._batch_events or self.bytes >= self._batch_bytes

    @property
    def ready(self) -> bool:
        """Whether a partition that is not busy has something waiting."""
        return any(queue for partition, queue in self._waiting.items() if partition not in self._busy)

    def next_batch(self) -> list[Record]:
        """Take a batch from the partitions that are not busy, and make these busy; empty when there is nothing."""
        batch: list[Record] = []
        size = 0
        for partition in [one for one in self._waiting if one not in self._busy]:
            queue = self._waiting[partition]
            if queue and len(batch) < self._batch_events and size < self._batch_bytes:
                # Whoever is served goes to the end of the line, so that a partition with much starves no other.
                self._waiting.move_to_end(partition)
                self._busy.add(partition)
            while queue and len(batch) < self._batch_events and size < self._batch_bytes:
                record = queue.popleft()
                batch.append(record)
                size += _size(record)
        self.events -= len(batch)
        self.bytes -= size
        return batch

    def release(self, batch: Sequence[Record]) -> None:
        """Let the partitions of a batch that ended give out again."""
        self._busy -= {TopicPartition(record.topic, record.partition) for record in batch}

    def clear(self) -> None:
        """Forget what waits; it was not started, so the next owner reads it again."""
        self._waiting.clear()
        self.events = self.bytes = 0


class Dispatcher:
    """Takes records one by one, hands them to delivery in batches, and tells the tracker which ended.

    Args:
        deliver: ``Delivery.deliver``.
        tracker: Learns of every record taken and every record that ended.
        batch_events: Most records in a batch.
        batch_wait_s: Longest wait to fill a batch, and only while another one is in flight.
    """

    def __init__(self, deliver: Deliver, tracker: OffsetTracker, *, batch_events: int, batch_wait_s: float) -> None:
        self._deliver = deliver
        self._tracker = tracker
        self._lanes = Lanes(batch_events=batch_events)
        self._batch_wait_s = batch_wait_s
        self._halt = asyncio.Event()
        self._room = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._linger: asyncio.TimerHandle | None = None
        self._closed = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Raises what delivery itself raised: a defect, after which this process must not go on."""

    @property
    def waiting(self) -> int:
        """Records taken and not yet handed to delivery."""
        return self._lanes.events

    async def offer(self, record: Record) -> None:
        """Take a record, once there is room; a record offered before partitions were given away is passed over."""
        halt = self._halt
        while self._lanes.full and not halt.is_set():
            self._room.clear()
            await self._room.wait()
        if self._closed or halt.is_set():
            return
        partition = TopicPartition(record.topic, record.partition)
        if self._tracker.take(partition, record.offset, timestamp_ms=record.timestamp_ms):
            self._lanes.add(record)
            self._dispatch()

    async def let_go(self, *, timeout_s: float) -> None:
        """Give all partitions away: forget what waits, let what is in flight end, abandon what waits for better times.

        Afterwards the tracker still knows what ended, so that it can be committed before the partitions go.
        """
        halt, self._halt = self._halt, asyncio.Event()
        halt.set()
        self._lanes.clear()
        self._room.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    async def close(self, *, timeout_s: float) -> None:
        """The same for good: nothing is taken any more; what has not ended by then is cancelled and left."""
        self._closed = True
        await self.let_go(timeout_s=timeout_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _dispatch(self, *, lingered: bool = False) -> None:
        while len(self._tasks) < _MAX_IN_FLIGHT and self._lanes.ready:
            if self._tasks and not lingered and not self._lanes.full:
                self._linger_on()
                return
            self._start(self._lanes.next_batch())
            self._room.set()

    def _linger_on(self) -> None:
        if self._linger is None:
            self._linger = asyncio.get_running_loop().call_later(self._batch_wait_s, self._lingered)

    def _lingered(self) -> None:
        self._linger = None
        self._dispatch(lingered=True)

    def _start(self, batch: Sequence[Record]) -> None:
        task = asyncio.create_task(self._run(batch, self._halt))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _run(self, batch: Sequence[Record], halt: asyncio.Event) -> None:
        try:
            ended = await self._deliver(batch, halt)
        finally:
            self._lanes.release(batch)
        for record, has_ended in zip(batch, ended, strict=True):
            if has_ended:
                self._tracker.finish(TopicPartition(record.topic, record.partition), record.offset)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self.failed.done():
            self.failed.set_exception(error)
        self._dispatch()


def _size(record: Record) -> int:
    return len(record.value or b"")
