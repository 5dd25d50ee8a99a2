"""Records of the ``tag-counts`` topic: how many items of a window of event time had each label of a set.

A record counts the items of one partition of the content topic; whoever reads adds the partitions up. It counts from
the window's beginning, so the last record of a key replaces the ones before it and compaction keeps that one.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter

from config.tagging import Label, SetName
from workers.contracts.base import Event


class TagCounts(Event):
    """Labels of a set, counted over one window and one partition. ``occurred_at`` is when the record was sent."""

    type: Literal["tag.counts"] = "tag.counts"
    """The kind of event."""
    label_set: SetName
    """The set, which is also the attribute's name."""
    partition: int = Field(ge=0)
    """The partition of the content topic that was counted."""
    window_start: AwareDatetime
    """First moment of the window, by the items' ``occurred_at``."""
    window_end: AwareDatetime
    """First moment after it."""
    counts: dict[Label, Annotated[int, Field(ge=0)]]
    """Items that have the label, for every label of the set; with several labels an item counts under each."""
    items: int = Field(ge=1)
    """All upserts of the window, also those without a label: what shares are shares of."""
    through_offset: int = Field(ge=0)
    """Offset of the last upsert counted. Of two records with one key the one with the larger offset holds."""
    watermark: AwareDatetime
    """Newest time seen in the partition by then: windows that ended more than ``grace_s`` before it are closed."""

    @property
    def window_start_ms(self) -> int:
        """The window's first moment, in milliseconds since 1970."""
        return milliseconds(self.window_start)

    @property
    def window_end_ms(self) -> int:
        """The first moment after the window, in milliseconds since 1970."""
        return milliseconds(self.window_end)

    def key(self) -> bytes:
        """The record's key: set, window's start and length in seconds, partition."""
        start = f"{self.window_start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        length_s = (self.window_end_ms - self.window_start_ms) // 1000
        return f"{self.label_set}:{start}:{length_s}:{self.partition}".encode()


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


def moment(time_ms: int) -> datetime:
    """The moment so many milliseconds after 1970 began, UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC)


TAG_COUNTS: TypeAdapter[TagCounts] = TypeAdapter(TagCounts)
"""Reads a record of the tag-counts topic."""
