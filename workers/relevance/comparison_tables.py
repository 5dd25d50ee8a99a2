"""The report of ``crosscurrent evaluate ranking`` as tables."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from workers.relevance.comparison import MEASURES, NAMES
from workers.relevance.fusion_tables import gain_text


def comparison_tables(report: Mapping[str, Any]) -> list[Table]:
    """Measures by setting with intervals and their difference; then a row a group of queries."""
    return [_measures(report), _groups(report)]


def _measures(report: Mapping[str, Any]) -> Table:
    table = Table(title=f"{report['queries']:,} judged queries, 95 % intervals", title_justify="left")
    table.add_column("measure")
    for name in report["runs"]:
        table.add_column(f"{name}: {_words(report['settings'].get(name))}", justify="right")
    if "difference" in report:
        table.add_column(" - ".join(reversed(NAMES)), justify="right")
    for measure in MEASURES:
        cells = [_interval(one[measure]) for one in report["runs"].values()]
        cells += [gain_text(report["difference"][measure])] if "difference" in report else []
        table.add_row(measure, *cells)
    if "difference" in report:
        equal = report["queries"] - report["better"] - report["worse"]
        table.caption = f"{report['better']} queries better under b, {report['worse']} worse, {equal} equal"
        table.caption_justify = "left"
    return table


def _groups(report: Mapping[str, Any]) -> Table:
    table = Table(title="nDCG@10 by group", title_justify="left")
    table.add_column("group")
    for name in ("queries", *report["runs"]):
        table.add_column(name, justify="right")
    for group, told in report["groups"].items():
        table.add_row(group, f"{told['queries']:,}", *[f"{told[name]:.3f}" for name in report["runs"]])
    return table


def _interval(told: Mapping[str, float]) -> str:
    return f"{told['mean']:.3f} [{told['low']:.3f}, {told['high']:.3f}]"


def _words(setting: Any, path: str = "") -> str:
    if not setting:
        return "as asked"
    words = []
    for name, value in setting.items():
        at = f"{path}{name}"
        words.append(_words(value, f"{at}.") if isinstance(value, Mapping) else f"{at}={value}")
    return ", ".join(words)
