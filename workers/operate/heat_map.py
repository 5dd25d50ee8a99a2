"""A report of pairs of modalities as a picture: who finds whom, in two heat maps side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured
from config.vocabulary import Modality

SUFFIXES: Final = (".svg", ".png")
_PANELS: Final = (("recall_at_10", "recall@10"), ("ndcg_at_10", "nDCG@10"))
_SIZE_INCHES: Final = (11.0, 5.9)
_DPI: Final = 110
_DARK: Final = 0.55  # above it, numbers are white
_INK, _FAINT, _EMPTY = "#1c2733", "#7b8794", "#f3f5f7"
_STYLE: Final = {
    "font.family": ["DejaVu Sans", "sans-serif"],
    "svg.fonttype": "none",  # text stays text: to be searched, and read aloud
    "svg.hashsalt": "crosscurrent",  # two drawings of one report are one file
    "text.color": _INK,
    "axes.labelcolor": _FAINT,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
}


def check_target(path: Path) -> None:
    """See that a heat map can be drawn there, before hours are spent on what it shows.

    Raises:
        Misconfigured: matplotlib is missing, or the file's name has another ending than .svg or .png.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise Misconfigured(f"--plot {path}: name a file that ends in .svg or .png")
    _matplotlib()


def draw_heat_map(report: Mapping[str, Any], path: Path) -> None:
    """Draw recall@10 and nDCG@10 of every ordered pair of modalities.

    Args:
        report: With ``model``, ``title``, ``similarity`` and ``pairs``.
        path: An ``.svg`` or ``.png`` file.

    Raises:
        Misconfigured: As ``check_target``, or the file cannot be written.
    """
    check_target(path)
    matplotlib = _matplotlib()
    with matplotlib.rc_context(_STYLE):
        figure = _figure(matplotlib, report)
        try:
            figure.savefig(path, dpi=_DPI, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
        except OSError as exc:
            raise Misconfigured(f"--plot {path} cannot be written: {exc.strerror}") from exc


def _matplotlib() -> Any:
    try:
        import matplotlib as mpl
        import matplotlib.figure
    except ImportError as exc:
        raise Misconfigured("--plot needs matplotlib: pip install 'crosscurrent[train]'") from exc
    return mpl


def _figure(matplotlib: Any, report: Mapping[str, Any]) -> Any:
    figure = matplotlib.figure.Figure(figsize=_SIZE_INCHES, layout="constrained")
    pairs = report["pairs"]
    present = [m for m in Modality if any(m in pair.split(">") for pair, score in pairs.items() if score)]
    for axes, (key, heading) in zip(figure.subplots(1, 2, sharey=True), _PANELS, strict=True):
        _panel(axes, _matrix(pairs, present, key), [m.value for m in present])
        axes.set_title(heading, fontsize=12, loc="left", pad=10)
    figure.get_axes()[0].set_ylabel("query")
    title = f"{report['model']} on {report['title']}: who finds whom, by {report['similarity'].replace('_', ' ')}"
    figure.suptitle(f"{title}\n", fontsize=13, x=0.01, ha="left")
    figure.supxlabel("–  the two show nothing in common", fontsize=9, color=_FAINT, x=0.01, ha="left")
    return figure


def _matrix(pairs: Mapping[str, Any], present: list[Modality], key: str) -> NDArray[np.float64]:
    table = np.full((len(present), len(present)), np.nan)
    for row, query in enumerate(present):
        for column, item in enumerate(present):
            if score := pairs.get(f"{query}>{item}"):
                table[row, column] = score[key]
    return table


def _panel(axes: Any, table: NDArray[np.float64], names: list[str]) -> None:
    axes.set_facecolor(_EMPTY)
    axes.imshow(table, cmap="Blues", vmin=0.0, vmax=1.0)
    places, edges = range(len(names)), np.arange(len(names) + 1) - 0.5
    axes.set_xticks(places, names, fontsize=11)
    axes.set_yticks(places, names, fontsize=11)
    axes.set_xlabel("item")
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color="white", linewidth=2.5)
    axes.tick_params(which="both", length=0, pad=6)
    axes.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(table):
        text = f"{value:.2f}" if np.isfinite(value) else "" if row == column else "–"
        colour = _FAINT if np.isnan(value) else "white" if value > _DARK else _INK
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=12)
