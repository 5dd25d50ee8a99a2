"""Counts of tags for people and programs: partitions added up, windows in order, a table or a JSON line a window."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from config.errors import Misconfigured, RetryLater
from config.settings import KafkaSettings
from workers.contracts.tag_counts import TagCounts
from workers.contracts.topics import Topic
from workers.streams.tag_history import parsed
from workers.streams.topic_reader import TopicReader


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowTotals:
    """One window of one set over all partitions."""

    label_set: str
    start: datetime
    end: datetime
    counts: dict[str, int]
    items: int
    partitions: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "label_set": self.label_set,
            "window_start": f"{self.start:%Y-%m-%dT%H:%M:%SZ}",
            "window_end": f"{self.end:%Y-%m-%dT%H:%M:%SZ}",
            "counts": self.counts,
            "items": self.items,
            "partitions": list(self.partitions),
        }


class TagTotals:
    """Adds the partitions' records up; of two records with one key the larger ``through_offset`` holds.

    Args:
        only: The one set wanted; all when empty.
    """

    def __init__(self, only: str = "") -> None:
        self._only = only
        self._records: dict[tuple[str, datetime, datetime], dict[int, TagCounts]] = {}

    def add(self, records: Iterable[TagCounts]) -> list[WindowTotals]:
        """Take records in; returns the windows that are different now."""
        changed = []
        for record in records:
            key = (record.label_set, record.window_start, record.window_end)
            known = self._records.setdefault(key, {}) if self._only in {"", record.label_set} else None
            if known is None or (
                record.partition in known and known[record.partition].through_offset >= record.through_offset
            ):
                continue
            known[record.partition] = record
            changed.append(key)
        return [self._total(key) for key in dict.fromkeys(changed)]

    def latest(self, count: int) -> dict[str, list[WindowTotals]]:
        """The newest windows of each set, the oldest of them first."""
        by_set: dict[str, list[WindowTotals]] = {}
        for key in sorted(self._records):
            by_set.setdefault(key[0], []).append(self._total(key))
        return {name: windows[-count:] for name, windows in by_set.items()}

    def _total(self, key: tuple[str, datetime, datetime]) -> WindowTotals:
        records = self._records[key]
        counts: dict[str, int] = {}
        for record in records.values():
            for label, count in record.counts.items():
                counts[label] = counts.get(label, 0) + count
        return WindowTotals(
            label_set=key[0],
            start=key[1].astimezone(UTC),
            end=key[2].astimezone(UTC),
            counts=counts,
            items=sum(record.items for record in records.values()),
            partitions=tuple(sorted(records)),
        )


def heading(name: str, windows: Sequence[WindowTotals]) -> Text:
    """The set and its windows' length; a table's own title would be folded at the table's width."""
    length_min = (windows[-1].end - windows[-1].start).total_seconds() / 60
    return Text(f"\n{name}, windows of {length_min:g} min (UTC)", style="bold")


def totals_table(windows: Sequence[WindowTotals]) -> Table:
    """Labels down, windows across, all items in the last row; the label seen most comes first."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("label")
    day = None
    for window in windows:
        table.add_column(f"{window.start:%H:%M:%S}" if window.start.date() == day else f"{window.start:%m-%d %H:%M}")
        table.columns[-1].justify = "right"
        day = window.start.date()
    table.add_column("together", justify="right")
    labels = list(dict.fromkeys(label for window in windows for label in window.counts))
    together = {label: sum(window.counts.get(label, 0) for window in windows) for label in labels}
    for label in sorted(labels, key=lambda each: (-together[each], each)):
        cells = [str(window.counts.get(label, 0) or "-") for window in windows]
        table.add_row(label, *cells, str(together[label]))
    everything = [window.items for window in windows]
    table.add_row(Text("items", style="dim"), *map(str, everything), str(sum(everything)))
    return table


async def watch(
    settings: KafkaSettings, totals: TagTotals, on_change: Callable[[list[WindowTotals]], object], *, follow: bool
) -> None:
    """Read the topic to its end, tell what there is, and with ``follow`` go on for ever.

    Args:
        settings: Where the broker is.
        totals: Adds up.
        on_change: Told the windows that differ: first of all of them, then of each change.
        follow: Go on until cancelled.

    Raises:
        Misconfigured: The broker cannot be reached, or has no such topic.
    """
    try:
        async with TopicReader(settings, Topic.TAG_COUNTS.named(settings.topic_prefix)) as reader:
            on_change(totals.add(parsed(await reader.to_the_end())))
            while follow:
                if changed := totals.add(parsed(await reader.more())):
                    on_change(changed)
    except RetryLater as exc:
        raise Misconfigured(f"{exc}; `crosscurrent doctor` says more") from exc
