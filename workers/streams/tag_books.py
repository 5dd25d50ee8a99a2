"""How many items of a window had each label: the arithmetic, free of Kafka; one book a partition of content."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from config.vocabulary import Attributes
from workers.contracts.tag_counts import TagCounts, milliseconds, moment

_BEFORE_ALL_MS: Final = -(2**62)

WindowKey = tuple[str, int]
"""A label set and its window's first moment, in milliseconds since 1970."""


class Counted(StrEnum):
    """What became of an item in one set's window."""

    NOW = "now"
    BEFORE = "before"
    """Its offset was counted already: the record comes again."""
    LATE = "late"
    """The window closed before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """What is counted and how time is cut.

    Args:
        sets: The labels of each set.
        window_ms: Length of a window; windows start at multiples of it.
        grace_ms: A window is closed once the partition has seen a time this much later than its end.
    """

    sets: Mapping[str, Collection[str]]
    window_ms: int
    grace_ms: int

    def start_of(self, time_ms: int) -> int:
        """First moment of the window that a time lies in."""
        return time_ms - time_ms % self.window_ms

    def closed(self, start_ms: int, watermark_ms: int) -> bool:
        """Whether a window takes no more items."""
        return start_ms + self.window_ms + self.grace_ms < watermark_ms


@dataclass(slots=True, kw_only=True)
class _Window:
    counts: dict[str, int]
    items: int = 0
    through_offset: int = -1
    watermark_ms: int = _BEFORE_ALL_MS


@dataclass(slots=True, kw_only=True)
class Book:
    """The open windows of one partition.

    Each window remembers the last offset it counted, so an item that comes again adds nothing wherever the book went
    on from. Times ahead of the record's own do not close windows: one wrong clock would close them for everybody.
    """

    partition: int
    windows: Windows
    watermark_ms: int = _BEFORE_ALL_MS
    open: dict[WindowKey, _Window] = field(default_factory=dict)
    changed: set[WindowKey] = field(default_factory=set)
    """Windows that differ from what was last sent of them."""

    def count(self, offset: int, occurred_at_ms: int, record_ms: int, attributes: Attributes) -> dict[str, Counted]:
        """Count an item under each set's labels that its attributes name; offsets come in ascending order.

        Returns:
            What became of it, by set.
        """
        self.watermark_ms = max(self.watermark_ms, min(occurred_at_ms, record_ms))
        start_ms = self.windows.start_of(occurred_at_ms)
        return {
            name: self._count(name, start_ms, offset, labels_held(attributes, name, labels))
            for name, labels in self.windows.sets.items()
        }

    def _count(self, name: str, start_ms: int, offset: int, held: Sequence[str]) -> Counted:
        key = (name, start_ms)
        window = self.open.get(key)
        if window is not None and offset <= window.through_offset:
            return Counted.BEFORE
        if self.windows.closed(start_ms, self.watermark_ms):
            return Counted.LATE
        if window is None:
            window = self.open[key] = _Window(counts=dict.fromkeys(self.windows.sets[name], 0))
        for label in held:
            window.counts[label] += 1
        window.items += 1
        window.through_offset, window.watermark_ms = offset, self.watermark_ms
        self.changed.add(key)
        return Counted.NOW

    def snapshot(self, key: WindowKey, now_ms: int) -> TagCounts:
        """A window as it stands: the record that replaces all earlier ones of its key."""
        window, (name, start_ms) = self.open[key], key
        return TagCounts(
            occurred_at=moment(now_ms),
            label_set=name,
            partition=self.partition,
            window_start=moment(start_ms),
            window_end=moment(start_ms + self.windows.window_ms),
            counts=dict(window.counts),
            items=window.items,
            through_offset=window.through_offset,
            watermark=moment(window.watermark_ms),
        )

    def drop_closed(self) -> None:
        """Let go of windows that take no more items and were sent as they are."""
        for key in [key for key in self.open if self.windows.closed(key[1], self.watermark_ms)]:
            if key not in self.changed:
                del self.open[key]


def go_on(partition: int, windows: Windows, sent: Sequence[TagCounts], first_offset: int) -> Book:
    """The book of a partition as its last owner left it.

    Args:
        partition: Of the content topic.
        windows: What is counted and how time is cut.
        sent: Records of the partition, in any order; those of other windows, sets or partitions are passed over.
        first_offset: The first offset that comes now. The watermark is taken from what was counted before it and so is
            rather too low: an item that comes again may be counted although it was late, and none is lost.
    """
    book = Book(partition=partition, windows=windows)
    for record in sent:
        key, labels = (record.label_set, record.window_start_ms), windows.sets.get(record.label_set)
        ours = record.partition == partition and record.window_end_ms - record.window_start_ms == windows.window_ms
        if labels is None or not ours:
            continue
        known = book.open.get(key)
        if known is None or known.through_offset < record.through_offset:
            book.open[key] = _Window(
                counts=dict.fromkeys(labels, 0) | dict(record.counts),
                items=record.items,
                through_offset=record.through_offset,
                watermark_ms=milliseconds(record.watermark),
            )
    before = [window.watermark_ms for window in book.open.values() if window.through_offset < first_offset]
    book.watermark_ms = max(before, default=_BEFORE_ALL_MS)
    book.drop_closed()
    return book


def labels_held(attributes: Attributes, name: str, labels: Collection[str]) -> list[str]:
    """Labels of a set that an item's attribute names, whoever wrote it; what is no label of the set is left out."""
    value = attributes.get(name)
    named = value if isinstance(value, list) else [value]
    return [label for label in dict.fromkeys(named) if isinstance(label, str) and label in labels]
