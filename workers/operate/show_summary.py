"""Summaries for people: the passages as a text, and where each piece lies."""

from collections.abc import Iterator, Mapping

from rich.console import Group
from rich.table import Table
from rich.text import Text

from config.vocabulary import Modality
from workers.contracts.summary import Summary


def summary_view(summary: Summary, labels: Mapping[str, str]) -> Group:
    """The text, then a table of all pieces: share covered, kind, place and item.

    Args:
        summary: What to show.
        labels: What to call the summarised items.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("covers", justify="right")
    for name in ("what", "where", "item"):
        table.add_column(name)
    for score, what, where, item_id in _rows(summary):
        table.add_row(f"{score:.0%}", what, where, Text(labels.get(item_id, item_id)))
    count = len(summary.passages) + len(summary.frames) + len(summary.sounds)
    last = Text(f"{count} of {summary.segments} pieces cover {summary.coverage:.0%}")
    shown = [Text(summary.text), Text("")] if summary.text else []
    return Group(*shown, *([table] if count else []), last)


def _rows(summary: Summary) -> Iterator[tuple[float, str, str, str]]:
    for passage in summary.passages:
        yield passage.score, "passage", f"characters {passage.start}–{passage.end}", passage.item_id
    for frame in summary.frames:
        if frame.time_s is None:
            yield frame.score, "picture", "", frame.item_id
        else:
            yield frame.score, "frame", _clock(frame.time_s), frame.item_id
    for sound in summary.sounds:
        what = "track" if sound.source is Modality.VIDEO else "sound"
        yield sound.score, what, f"{_clock(sound.start_s)}–{_clock(sound.end_s)}", sound.item_id


def _clock(seconds: float) -> str:
    """Minutes and seconds to a tenth, as players show them: 1:02.5."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 // 10:02}.{tenths % 10}"
