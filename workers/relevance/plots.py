"""Reports as pictures; matplotlib is loaded when one is asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from config.errors import Misconfigured
from workers.relevance.comparison import MEASURES
from workers.relevance.fusion_evaluation import AGAINST, ATTENTION, BEST_SINGLE

_DOTS_PER_INCH: Final = 150


def plot_comparison(report: Mapping[str, Any], file: Path) -> None:
    """Draw means with intervals by setting, and, of two settings, every query's difference in order.

    Raises:
        Misconfigured: matplotlib is missing, or does not write such a file.
    """
    pyplot = _pyplot()
    panels = 2 if "per_query" in report else 1
    figure, axes = pyplot.subplots(1, panels, figsize=(5.5 * panels, 3.6), squeeze=False)
    width = 0.8 / len(report["runs"])
    for place, (name, told) in enumerate(report["runs"].items()):
        means = [told[measure]["mean"] for measure in MEASURES]
        errors = [[told[measure]["mean"] - told[measure]["low"] for measure in MEASURES]]
        errors += [[told[measure]["high"] - told[measure]["mean"] for measure in MEASURES]]
        at = [row + place * width for row in range(len(MEASURES))]
        axes[0][0].bar(at, means, width, yerr=errors, capsize=3, label=name)
    axes[0][0].set_xticks([row + width * (len(report["runs"]) - 1) / 2 for row in range(len(MEASURES))], MEASURES)
    axes[0][0].set_ylim(0, 1)
    axes[0][0].legend()
    axes[0][0].set_title(f"{report['queries']} judged queries, 95 % intervals")
    if panels > 1:
        apart = sorted(report["per_query"], reverse=True)
        axes[0][1].bar(range(len(apart)), apart, 1.0)
        axes[0][1].axhline(0, color="black", linewidth=0.8)
        axes[0][1].set_title("nDCG@10 of b less a, a bar a query")
    _save(figure, file)


def plot_fusion(report: Mapping[str, Any], file: Path) -> None:
    """Draw nDCG@10 by group of queries and way to fuse.

    Raises:
        Misconfigured: matplotlib is missing, or does not write such a file.
    """
    pyplot = _pyplot()
    figure, axis = pyplot.subplots(figsize=(11, 4.2))
    methods = (ATTENTION, *AGAINST, BEST_SINGLE)
    width = 0.86 / len(methods)
    for place, method in enumerate(methods):
        values = [
            told[told["best_single"] if method == BEST_SINGLE else method]["ndcg_at_10"]
            for told in report["groups"].values()
        ]
        axis.bar([row + place * width for row in range(len(values))], values, width, label=method)
    axis.set_xticks([row + 0.4 for row in range(len(report["groups"]))], report["groups"], rotation=25, ha="right")
    axis.set_ylabel("nDCG@10")
    axis.legend(ncols=len(methods), fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 1.12))
    _save(figure, file)


def _pyplot() -> Any:
    try:
        import matplotlib as mpl
    except ImportError as exc:
        raise Misconfigured("a plot needs matplotlib: pip install 'crosscurrent[train]'") from exc
    mpl.use("agg")  # no window, also where there is a display
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, file: Path) -> None:
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        figure.savefig(file, dpi=_DOTS_PER_INCH)
    except ValueError as exc:
        raise Misconfigured(f"{file} cannot be drawn: {exc}") from exc
