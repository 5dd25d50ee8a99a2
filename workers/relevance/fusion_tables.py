"""The report of ``crosscurrent evaluate fusion`` as tables."""

from collections.abc import Mapping
from typing import Any, Final

from rich.table import Table

from workers.relevance.fusion_evaluation import AGAINST, ATTENTION, BEST_SINGLE

_SHOWN: Final = (ATTENTION, *AGAINST)


def fusion_tables(report: Mapping[str, Any]) -> list[Table]:
    """A row a group of queries; what attention gains; and what the weights do for models never trained on."""
    return [_groups(report), _gains(report), _others(report)]


def gain_text(gain: Mapping[str, float]) -> str:
    """A mean difference with its interval."""
    return f"{gain['mean']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right")
    return table


def _groups(report: Mapping[str, Any]) -> Table:
    title = f"{report['model']}, {report['fusion_weights']}: nDCG@10, {report['queries_a_group']} queries a group"
    table = _table(title, "parts", *_SHOWN, BEST_SINGLE, "", "attention gains over it")
    for group, methods in report["groups"].items():
        single = methods["best_single"]
        numbers = [f"{methods[name]['ndcg_at_10']:.3f}" for name in (*_SHOWN, single)]
        table.add_row(group, *numbers, single, gain_text(report["group_gains"][group]))
    table.add_section()
    mean = report["mean"]
    numbers = [f"{mean[name]:.3f}" for name in (*_SHOWN, BEST_SINGLE)]
    table.add_row("mean", *numbers, "", gain_text(report["gains"][BEST_SINGLE]))
    return table


def _gains(report: Mapping[str, Any]) -> Table:
    table = _table("attention gains, mean over groups, with 95 % intervals", "over", "nDCG@10")
    for name, gain in report["gains"].items():
        table.add_row(name, gain_text(gain))
    return table


def _others(report: Mapping[str, Any]) -> Table:
    title = "the same weights for models they were not trained on: nDCG@10, mean over groups"
    table = _table(title, "model", *_SHOWN, BEST_SINGLE, "gains over weighted_mean", "groups won")
    for name, told in report["other_models"].items():
        numbers = [f"{told['mean'][method]:.3f}" for method in (*_SHOWN, BEST_SINGLE)]
        table.add_row(name, *numbers, gain_text(told["gains"]["weighted_mean"]), f"{told['groups_won']}")
    return table
