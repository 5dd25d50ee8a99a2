"""Counts of tags added up: partitions together, windows in order, a table that can be read."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console

from workers.contracts.tag_counts import TagCounts
from workers.operate.tag_totals import TagTotals, heading, totals_table

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def counts(minute: int = 0, *, partition: int = 0, through: int = 9, name: str = "mood", **labels: int) -> TagCounts:
    """A record of a window of five minutes."""
    start = NOON + timedelta(minutes=minute)
    words: dict[str, Any] = {"counts": labels, "items": max(1, sum(labels.values())), "through_offset": through}
    end = start + timedelta(minutes=5)
    return TagCounts(label_set=name, partition=partition, window_start=start, window_end=end, watermark=NOON, **words)


def test_partitions_are_added_up() -> None:
    """Labels and items over all partitions of a window; each partition is named."""
    totals = TagTotals()
    [window] = totals.add([counts(good=2, bad=1), counts(partition=3, good=4)])
    assert window.as_json() == {
        "label_set": "mood",
        "window_start": "2026-05-01T12:00:00Z",
        "window_end": "2026-05-01T12:05:00Z",
        "counts": {"good": 6, "bad": 1},
        "items": 7,
        "partitions": [0, 3],
    }


def test_the_larger_offset_holds_whatever_came_last() -> None:
    """A late word of a worker that lost its partition changes nothing; the same record twice is no change."""
    totals = TagTotals()
    totals.add([counts(good=5, through=20)])
    assert totals.add([counts(good=3, through=12)]) == []
    assert totals.add([counts(good=5, through=20)]) == []
    [window] = totals.add([counts(good=6, through=21)])
    assert window.counts == {"good": 6}


def test_the_newest_windows_of_each_set() -> None:
    """The oldest of them first, whatever order they came in; a set that was not asked for is left out."""
    records = [counts(10, good=1), counts(0, good=2), counts(5, good=3), counts(0, name="topics", cat=1)]
    totals = TagTotals()
    totals.add(records)
    assert [window.counts["good"] for window in totals.latest(2)["mood"]] == [3, 1]
    only = TagTotals("topics")
    only.add(records)
    assert list(only.latest(9)) == ["topics"]


def test_the_table_has_a_row_a_label_and_a_column_a_window() -> None:
    """The label seen most comes first, nothing is a dash, and the last row counts all items."""
    totals = TagTotals()
    totals.add([counts(0, bad=1), counts(5, good=3, bad=1)])
    console, windows = Console(width=100), totals.latest(5)["mood"]
    with console.capture() as captured:
        console.print(heading("mood", windows), totals_table(windows))
    lines = [line.split() for line in captured.get().splitlines() if line.strip()]
    assert lines[0] == ["mood,", "windows", "of", "5", "min", "(UTC)"]
    assert lines[1] == ["label", "05-01", "12:00", "12:05:00", "together"]
    assert lines[2:] == [["good", "-", "3", "3"], ["bad", "1", "1", "2"], ["items", "1", "4", "5"]]
