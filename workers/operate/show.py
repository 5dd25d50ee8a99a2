"""Rankings for people: a table with each modality's share in every score, readable in a terminal and in a file."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.vocabulary import Modality, ResultStatus
from workers.contracts.result import Hit, Result
from workers.operate.show_explained import made_line, pairs_table, sums_line
from workers.operate.show_summary import summary_view


def label_of(hit: Hit) -> str:
    """What to call an item: its emoji and name where it has them, else its identity."""
    words = [str(hit.attributes[name]) for name in ("emoji", "name") if hit.attributes.get(name)]
    return " ".join(words) or hit.item_id


def shares(hit: Hit) -> dict[Modality, float]:
    """What part of a hit's score came from each modality; the parts add up to 1."""
    pulls = {modality: score.calibrated * score.weight for modality, score in hit.modality_scores.items()}
    total = sum(pulls.values())
    return {modality: pull / total for modality, pull in pulls.items()} if total > 0 else {}


def print_result(console: Console, result: Result, *, title: str = "", explain: bool = False, notes: str = "") -> None:
    """Print a result: an error as a line, else the ranking, warnings and the time it took."""
    if title:
        console.print(Text(title, style="bold"))
    if result.status is ResultStatus.ERROR and result.error is not None:
        field = f" ({result.error.field})" if result.error.field else ""
        console.print(Text(f"error {result.error.code}{field}: {result.error.message}", style="red"))
        return
    if result.summary is not None and result.hits:
        console.print(summary_view(result.summary, {hit.item_id: label_of(hit) for hit in result.hits}))
    else:
        console.print(ranking_table(result.hits, explain=explain) if result.hits else Text("nothing found"))
    if explain:
        _print_explanations(console, result)
    for warning in result.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    console.print(Text(_footer(result, notes), style="dim"))


def _print_explanations(console: Console, result: Result) -> None:
    """Every hit taken apart, under its label, and how the list was made."""
    for hit in result.hits:
        if hit.explanation is None:
            continue
        console.print(Text(f"\n{hit.rank}  {label_of(hit)}", style="bold"))
        if hit.explanation.pairs:
            console.print(pairs_table(hit.explanation))
        console.print(sums_line(hit, hit.explanation))
    if result.explanation is not None:
        console.print(Text("\n").append(made_line(result.explanation)))


def ranking_table(hits: Sequence[Hit], *, explain: bool = False) -> Table:
    """The hits as a table: rank, score, a column a modality with its share, and the item.

    The item comes last, without a border: the width of an emoji differs between terminals, and so can shift nothing.
    """
    modalities = [modality for modality in Modality if any(modality in hit.modality_scores for hit in hits)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("#", justify="right")
    table.add_column("score", justify="right")
    for modality in modalities:
        table.add_column(modality.value, justify="right")
    table.add_column("item", no_wrap=not explain)
    for hit in hits:
        parts = shares(hit)
        cells = [f"{parts[modality]:.0%}" if modality in parts else "-" for modality in modalities]
        table.add_row(str(hit.rank), f"{hit.score:.3f}", *cells, _item(hit, explain=explain))
    return table


def _item(hit: Hit, *, explain: bool) -> Text:
    text = Text(label_of(hit))
    if hit.item_id not in text.plain:
        text.append(f"  {hit.item_id}", style="dim")
    if explain:
        for reason in hit.because:
            text.append(f"\n· {reason}", style="dim")
    return text


def _footer(result: Result, notes: str) -> str:
    timings = result.timings_ms
    stages = ", ".join(f"{stage} {getattr(timings, stage):.0f}" for stage in ("queue", "encode", "search", "fuse"))
    words = [f"{timings.total:.0f} ms ({stages})", f"{result.candidates} candidates", result.model, notes]
    return " · ".join(word for word in words if word)


def summary_table(rows: Mapping[str, str]) -> Table:
    """Names and values, two columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim")
    table.add_column()
    for name, value in rows.items():
        table.add_row(name, value)
    return table
