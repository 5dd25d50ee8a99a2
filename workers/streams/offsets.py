"""Which offsets may be committed: only what lies before the first unfinished event of its partition.

Faust 0.15.3 commits past an event that was never acknowledged (its guard tolerates a gap of one, and a recovered gap
counts the event behind it as read), so it keeps no books here: this tracker is the only source of commits.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(slots=True)
class _Lane:
    """One partition's events since it was assigned."""

    taken: deque[tuple[int, int]] = field(default_factory=deque)  # (offset, timestamp_ms), ascending offsets
    unfinished: set[int] = field(default_factory=set)
    last_taken: int = -1
    position: int | None = None  # what a commit would say: the next offset to read
    committed: int | None = None


class OffsetTracker:
    """Tracks events from the moment they are taken to the moment they are finished, one lane a partition.

    Not thread-safe: everything happens in the worker's event loop.
    """

    def __init__(self) -> None:
        self._lanes: dict[TopicPartition, _Lane] = {}

    def take(self, partition: TopicPartition, offset: int, *, timestamp_ms: int = 0) -> bool:
        """Note that an event is in hand.

        Returns:
            False if this offset, or a later one, was taken before: the event is in flight or finished already, and
            handling it again would gain nothing.
        """
        lane = self._lanes.setdefault(partition, _Lane())
        if offset <= lane.last_taken:
            return False
        if lane.position is None:
            lane.position = lane.committed = offset
        lane.last_taken = offset
        lane.taken.append((offset, timestamp_ms))
        lane.unfinished.add(offset)
        return True

    def finish(self, partition: TopicPartition, offset: int) -> None:
        """Note that an event ended: its effects are in place, or its dead letter is confirmed.

        An event of a partition that was given away meanwhile is passed over: its next owner reads it again.
        """
        lane = self._lanes.get(partition)
        if lane is None:
            return
        lane.unfinished.discard(offset)
        while lane.taken and lane.taken[0][0] not in lane.unfinished:
            lane.position = lane.taken.popleft()[0] + 1

    def committable(self) -> dict[TopicPartition, int]:
        """The next offset to read, for each partition where it moved since the last commit."""
        return {
            partition: lane.position
            for partition, lane in self._lanes.items()
            if lane.position is not None and lane.position != lane.committed
        }

    def mark_committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Note that the broker holds these offsets."""
        for partition, offset in offsets.items():
            if lane := self._lanes.get(partition):
                lane.committed = offset

    def forget(self, partitions: Iterable[TopicPartition] | None = None) -> None:
        """Drop partitions that were given away; all of them when none is named."""
        for partition in list(self._lanes) if partitions is None else partitions:
            self._lanes.pop(partition, None)

    def position(self, partition: TopicPartition) -> int | None:
        """The next offset to read as of now; None while nothing was taken from the partition."""
        lane = self._lanes.get(partition)
        return lane.position if lane else None

    def oldest_timestamp_ms(self) -> int | None:
        """Record time of the oldest event in hand over all partitions; None when nothing is in hand."""
        return min((lane.taken[0][1] for lane in self._lanes.values() if lane.taken), default=None)

    @property
    def unfinished(self) -> int:
        """How many events are in hand."""
        return sum(len(lane.unfinished) for lane in self._lanes.values())
