"""Layouts of the index for people: which there are, how far two of them agree, and what may be done next."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from rich.table import Table

from config.vocabulary import ItemId, Modality
from fusion.index.layouts import OtherState
from workers.operate.layout_comparison import COMPARED, Answers, Comparison
from workers.operate.layout_desk import Status

_MOST_SHOWN: Final = 10

_NEXT: Final = {
    None: "'reshard --shards N' or 'reindex --profile P' fills a second layout",
    OtherState.FILLING: "the same command goes on with filling it, --drop gives it up",
    OtherState.FILLED: "--compare asks both, --flip lets the filled one answer, --drop gives it up",
    OtherState.PREVIOUS: "--back lets the previous one answer again, --drop deletes it",
    OtherState.DROPPED: "--drop goes on with deleting it",
}


def status_rows(status: Status) -> dict[str, str]:
    """Which layouts there are, and how many workers follow, by role."""
    record = status.record
    rows = {"live": str(status.live)}
    if record is not None and record.other is not None:
        rows[str(record.state)] = str(record.other)
    rows["generation"] = str(0 if record is None else record.generation)
    roles = Counter(each.role for each in status.followers)
    rows["workers"] = _counted(roles) or "none follow"
    if record is not None and record.second is not None and record.second.model != record.live.model:
        model = str(record.second.model)
        holding = Counter(each.role for each in status.followers if model in each.models)
        rows[f"of them with {model}"] = _counted(holding) or "none yet"
    return rows


def _counted(roles: Counter[str]) -> str:
    return ", ".join(f"{count} {role}" for role, count in sorted(roles.items()))


def what_next(status: Status) -> str:
    """What may be done from here."""
    return f"next: {_NEXT[None if status.record is None else status.record.state]}"


def summary_of(found: Comparison) -> dict[str, str]:
    """How far the answers agree, in a few numbers."""
    correlation = "-" if found.correlation is None else f"{found.correlation:.4f}"
    return {
        "items, live": _counts(found.live_items),
        "items, other": _counts(found.other_items),
        "identical": f"{found.identical} of {len(found.answers)} answers, in items and scores",
        f"overlap@{COMPARED}": f"{found.overlap:.4f}",
        "rank correlation": correlation,
        "scores differ by": f"{found.score_difference:.2g} at most",
    }


def _counts(items: Mapping[Modality, int]) -> str:
    return ", ".join(f"{count:,} {modality}" for modality, count in items.items() if count) or "none"


def differences_table(differing: Sequence[Answers]) -> Table:
    """Answers that differ, the least alike first."""
    table = Table("query", f"overlap@{COMPARED}", "only live", "only other", box=None, pad_edge=False)
    table.padding = (0, 2, 0, 0)
    for each in differing[:_MOST_SHOWN]:
        table.add_row(each.label, f"{each.overlap:.2f}", _only(each.live, each.other), _only(each.other, each.live))
    if len(differing) > _MOST_SHOWN:
        table.add_row(f"… and {len(differing) - _MOST_SHOWN} more")
    return table


def _only(one: Sequence[tuple[ItemId, float]], other: Sequence[tuple[ItemId, float]]) -> str:
    held = dict(other)
    return ", ".join(item_id for item_id, _ in one if item_id not in held) or "-"
