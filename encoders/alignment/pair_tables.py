"""Reports of every modality against every other, as tables for a terminal."""

from collections.abc import Mapping
from typing import Any, Final

from rich.table import Table

from config.vocabulary import Modality

_COLUMNS: Final = ("queries", "items", "R@1", "R@5", "R@10", "median rank", "mAP", "nDCG@10")
NOTHING_SHARED: Final = "no shared items"

Scores = Mapping[str, Any]


def pairs_table(report: Mapping[str, Any]) -> Table:
    """Return a row for every ordered pair; one that shares no items says so."""
    title = f"{report['model']}, {report['similarity']}: {report['title']}"
    table = Table(title=title, title_justify="left", caption=report["note"] or None, caption_justify="left")
    table.add_column("query")
    table.add_column("item")
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    asking = ""
    for pair, score in report["pairs"].items():
        query, item = pair.split(">")
        if query != asking:
            table.add_section()
        asking = query
        table.add_row(query, item, *(cells(score) if score else [NOTHING_SHARED]))
    return table


def parts_table(report: Mapping[str, Any], part: str, what: str) -> Table:
    """Return recall@10 and nDCG@10 by part and pair: a row for each query modality, a column for each item modality.

    Args:
        report: What ``sightings.pairs_report`` returned, with a title.
        part: ``groups`` or ``languages``.
        what: The first column's heading.
    """
    found: Mapping[str, Mapping[str, Scores | None]] = report[part]
    present = [m for m in Modality if any(pair.endswith(f">{m}") for scores in found.values() for pair in scores)]
    table = Table(title=f"{report['title']}: recall@10 / nDCG@10 by {what}", title_justify="left")
    table.add_column(what)
    table.add_column("query")
    for modality in present:
        table.add_column(modality, justify="right")
    for name, scores in found.items():
        for query in present if part == "groups" else [Modality.TEXT]:
            row = [_both(scores.get(f"{query}>{item}")) for item in present]
            if any(row):
                table.add_row(name, query, *row)
        if part == "groups":
            table.add_section()
    return table


def cells(score: Scores) -> list[str]:
    """Return a score's numbers as a row has them."""
    counts = [f"{score['queries']:,}", f"{score['items']:,}"]
    recalls = [f"{score[f'recall_at_{k}']:.3f}" for k in (1, 5, 10)]
    means = [f"{score[key]:.3f}" for key in ("mean_average_precision", "ndcg_at_10")]
    return [*counts, *recalls, f"{score['median_rank']:.1f}", *means]


def _both(score: Scores | None) -> str:
    return f"{score['recall_at_10']:.3f} / {score['ndcg_at_10']:.3f}" if score else ""
