"""``crosscurrent train fusion`` and ``evaluate fusion``: learn how to fuse, and measure what it gains."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.operate.bar import Bar
from workers.operate.cli_options import settings_of
from workers.operate.console import output, progress_console

if TYPE_CHECKING:
    from fusion.attention_weights import FusionWeights
    from fusion.learning.options import FusionOptions
    from workers.relevance.fusion_training import Lesson

_Cache = Annotated[Path | None, typer.Option(help="Folder for packages and what is computed from them.")]


def register(train: typer.Typer, evaluate: typer.Typer) -> None:
    """Add the commands to the groups ``train`` and ``evaluate``."""
    train.command("fusion")(train_fusion)
    evaluate.command("fusion")(evaluate_fusion)


def train_fusion(
    ctx: typer.Context,
    *,
    out: Annotated[Path, typer.Option(help="Folder that gets weights and card; its name is the weights' name.")],
    judged: Annotated[
        Path | None, typer.Option(help="Judged queries, one JSON a line (docs/fusion.md).", exists=True, dir_okay=False)
    ] = None,
    interactions: Annotated[
        list[Path] | None,
        typer.Option(help="Logs of queries, results and interactions, one event a line; repeat.", exists=True),
    ] = None,
    builtin: Annotated[bool, typer.Option(help="Make the weights that ship again (needs the 'train' extra).")] = False,
    items: Annotated[
        Path | None,
        typer.Option(help="Content events to search; the running Redis if left out.", exists=True, dir_okay=False),
    ] = None,
    eta: Annotated[
        float | None, typer.Option(help="How fast attention falls with the place; estimated if left out.", min=0, max=5)
    ] = None,
    scratch: Annotated[bool, typer.Option(help="Start from chance instead of the weights that ship.")] = False,
    steps: Annotated[int, typer.Option(help="Most steps.", min=1)] = 1500,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    learning_rate: Annotated[float | None, typer.Option(help="0.015 from chance, 0.003 from given weights.")] = None,
    validation_share: Annotated[float, typer.Option(min=0.01, max=0.9)] = 0.25,
    patience: Annotated[int, typer.Option(help="Validations without improvement until it stops.", min=1)] = 6,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    cache: _Cache = None,
) -> None:
    """Train the weights of attention fusion on judged queries or on clicks, corrected for their place.

    Load them with ``query.fusion_weights``.
    """
    from fusion.learning.options import FusionOptions

    if sum((judged is not None, bool(interactions), builtin)) != 1:
        raise typer.BadParameter("name one of --judged FILE, --interactions FILE and --builtin")
    afresh = builtin or scratch
    options: dict[str, Any] = {
        "name": _name(out),
        "steps": steps,
        "batch": batch_size,
        "learning_rate": learning_rate or (0.015 if afresh else 0.003),
        "patience": patience,
        "seed": seed,
    }
    if builtin:
        weights = _builtin(out, options, cache)
    else:
        lesson = _judged(judged) if judged else _clicked(interactions or [], eta)
        folders = [file.parent for file in (judged, *(interactions or [])) if file is not None]
        fit = FusionOptions(**options)
        weights = _own(ctx, lesson, fit, out, items=items, folders=folders, share=validation_share, scratch=scratch)
    facts = weights.facts
    output().print(
        f"{weights.name}: nDCG@10 {facts['validation_ndcg_at_10']:.3f} on {facts['validation_queries']} queries held "
        f"back, before training {facts['validation_ndcg_at_10_before']:.3f}; use it with query.fusion_weights: {out}",
        soft_wrap=True,
    )


def _builtin(out: Path, options: dict[str, Any], cache: Path | None) -> "FusionWeights":
    from encoders.builtin.training.packages import DEFAULT_CACHE
    from fusion.learning.options import FusionOptions
    from workers.relevance.emoji_training import DROPPED, NAME, train_emoji_fusion

    fit = FusionOptions(**{**options, "name": NAME}, modalities_dropped=DROPPED)
    with Bar("training") as bar:
        return train_emoji_fusion(out, fit, cache or DEFAULT_CACHE, tell=bar)


def _judged(file: Path) -> "Lesson":
    from workers.relevance.fusion_training import Lesson
    from workers.relevance.judged import read_judged

    found = read_judged(file)
    return Lesson(judged=found, clicks=False, source=f"{len(found):,} judged queries.", facts={})


def _clicked(files: list[Path], eta: float | None) -> "Lesson":
    from workers.relevance.clicks import learn_from, read_clicks
    from workers.relevance.fusion_training import Lesson

    learned = learn_from(read_clicks(files), eta)
    bias = learned.propensity
    how = f"estimated from {bias.pairs:,} items shown at several places" if eta is None else "given"
    source = (
        f"{learned.clicks:,} clicks on the results of {len(learned.judged):,} different queries, each corrected "
        f"for its place by 1 / place^-{bias.eta:.2f} ({how})."
    )
    progress_console().print(f"attention falls as place^-{bias.eta:.2f} ± {bias.error:.2f}, {how}")
    facts = {"eta": round(bias.eta, 4), "eta_error": round(bias.error, 4), "clicks": learned.clicks}
    return Lesson(judged=learned.judged, clicks=True, source=source, facts=facts)


def _own(
    ctx: typer.Context,
    lesson: "Lesson",
    options: "FusionOptions",
    out: Path,
    *,
    items: Path | None,
    folders: list[Path],
    share: float,
    scratch: bool,
) -> "FusionWeights":
    from workers.relevance.fusion_training import read_examples, train_on

    settings = settings_of(ctx)
    with Bar("searching") as bar:
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            bar(done, len(lesson.judged), None)

        examples, left_out, model = asyncio.run(read_examples(lesson, settings, items, folders, advance))
    if left_out:
        why = "no item they want is indexed, or no other"
        message = f"{left_out} of {len(lesson.judged)} queries taught nothing: {why}"
        progress_console().print(message, style="bold yellow")
    with Bar("training") as bar:
        return train_on(examples, lesson, model, options, out, share=share, scratch=scratch, tell=bar)


def evaluate_fusion(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    weights: Annotated[Path | None, typer.Option(help="Fusion weights; the shipped ones by default.")] = None,
    queries: Annotated[int, typer.Option(help="Queries a group.", min=10)] = 200,
    seed: Annotated[int, typer.Option(help="Draws the queries.", min=0)] = 9,
    plot: Annotated[Path | None, typer.Option(help="Picture of the report: .png, .svg or .pdf.")] = None,
    cache: _Cache = None,
) -> None:
    """Measure every way to fuse on queries of one, two and three parts (needs the 'train' extra and espeak-ng)."""
    import json

    from encoders.builtin.training.packages import DEFAULT_CACHE
    from workers.relevance.fusion_evaluation import evaluate_fusion as evaluate
    from workers.relevance.fusion_tables import fusion_tables

    report = evaluate(cache or DEFAULT_CACHE, weights=weights, each=queries, seed=seed)
    if plot is not None:
        from workers.relevance.plots import plot_fusion

        plot_fusion(report, plot)
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False, indent=2))
        return
    for table in fusion_tables(report):
        output().print(table)


def _name(folder: Path) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in folder.resolve().name)[:32]
