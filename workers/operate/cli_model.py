"""``crosscurrent train`` and ``evaluate``: make the built-in model and its corpus again, and measure it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from workers.operate import (
    cli_alignment,
    cli_evaluate,
    cli_fusion,
    cli_ranking,
    cli_replay,
    cli_sequence,
    cli_weights,
)
from workers.operate.console import Commands, progress_console, show_report

_train = typer.Typer(
    cls=Commands, no_args_is_help=True, help="Train heads on your own items, or make what ships again."
)
_evaluate = typer.Typer(
    cls=Commands, invoke_without_command=True, help="Measure the built-in model on artists and voices it never met."
)

_Out = Annotated[Path, typer.Option(help="Folder that gets it; made when missing.")]
_Seed = Annotated[int, typer.Option(help="The same seed makes the same again.", min=0)]
_Cache = Annotated[Path | None, typer.Option(help="Folder for packages and what is computed from them.")]
_Weights = Annotated[Path | None, typer.Option(help="Weights folder; the shipped one by default.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    cli_alignment.register(_train)
    cli_fusion.register(_train, _evaluate)
    cli_ranking.register(_evaluate)
    cli_weights.register(_train)
    cli_evaluate.register(_evaluate)
    cli_sequence.register(_train)
    cli_replay.register(_evaluate)
    app.add_typer(_train, name="train")
    app.add_typer(_evaluate, name="evaluate")


@_train.command("builtin")
def builtin(
    *,
    out: _Out,
    seed: _Seed = 0,
    cache: _Cache = None,
    holdout: Annotated[
        list[str] | None, typer.Option(help="Vendor to measure on, kept out of training; repeat for several.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the long part, 1 to 2 seconds each.", min=1)] = None,
    start: Annotated[
        Path | None, typer.Option("--from", help="Weights folder to continue from.", exists=True, file_okay=False)
    ] = None,
) -> None:
    """Train the built-in model from packages alone (hours on two cores; needs the 'train' extra and espeak-ng)."""
    from encoders.builtin.training.build import train_builtin
    from encoders.builtin.training.packages import DEFAULT_CACHE

    chosen: dict[str, Any] = {"holdout": tuple(holdout)} if holdout else {}
    chosen |= {"steps": steps} if steps else {}
    chosen |= {"start": start} if start else {}
    train_builtin(out, cache or DEFAULT_CACHE, seed, progress=progress_console().print, **chosen)
    typer.echo(str(out))


@_train.command("corpus")
def corpus(out: _Out, seed: _Seed = 0, cache: _Cache = None) -> None:
    """Build the emoji corpus: every emoji as text, picture and spoken name."""
    from encoders.builtin.training.corpus_build import build_corpus
    from encoders.builtin.training.packages import DEFAULT_CACHE

    typer.echo(str(build_corpus(out, cache or DEFAULT_CACHE, seed)))


@_evaluate.callback()
def evaluate(
    ctx: typer.Context,
    as_json: _Json = False,
    vendor: Annotated[list[str] | None, typer.Option(help="Whose pictures; the held-out ones by default.")] = None,
    weights: _Weights = None,
    cache: _Cache = None,
) -> None:
    """Measure names, pictures and voices against each other (needs the 'train' extra and espeak-ng)."""
    if ctx.invoked_subcommand:
        return
    from encoders.builtin.evaluate import evaluate_builtin, report_table
    from encoders.builtin.training.packages import DEFAULT_CACHE

    report = evaluate_builtin(cache or DEFAULT_CACHE, vendor, folder=weights)
    show_report(report, report_table(report), as_json=as_json)


@_evaluate.command("words")
def words(
    as_json: _Json = False,
    vendor: Annotated[list[str] | None, typer.Option(help="Whose pictures; the held-out ones by default.")] = None,
    weights: _Weights = None,
    cache: _Cache = None,
) -> None:
    """Measure names by language and group, keywords, and words never trained on (needs the 'train' extra)."""
    from encoders.builtin.evaluate_words import evaluate_words, words_table
    from encoders.builtin.training.packages import DEFAULT_CACHE

    report = evaluate_words(cache or DEFAULT_CACHE, vendor, folder=weights)
    show_report(report, words_table(report), as_json=as_json)


@_evaluate.command("tasks")
def tasks(as_json: _Json = False, weights: _Weights = None, cache: _Cache = None) -> None:
    """Measure places, readings, clips and drawings in plain strokes (needs the 'train' extra)."""
    from encoders.builtin.evaluate_tasks import evaluate_tasks, tasks_table
    from encoders.builtin.training.packages import DEFAULT_CACHE

    report = evaluate_tasks(cache or DEFAULT_CACHE, folder=weights)
    show_report(report, tasks_table(report), as_json=as_json)


@_evaluate.command("classes")
def classes(
    as_json: _Json = False,
    folds: Annotated[int, typer.Option(help="Tenths of the classes left out, each a training of minutes.")] = 3,
    cache: _Cache = None,
) -> None:
    """Measure names of photographed things that were left out of a training made for it (needs the 'train' extra)."""
    from encoders.builtin.evaluate_classes import classes_table, evaluate_classes
    from encoders.builtin.training.packages import DEFAULT_CACHE

    report = evaluate_classes(cache or DEFAULT_CACHE, folds=folds)
    show_report(report, classes_table(report), as_json=as_json)


@_evaluate.command("photos")
def photos(
    source: Annotated[Path, typer.Argument(help="Pictures in folders named by what they show, or a CSV path,name.")],
    as_json: _Json = False,
    weights: _Weights = None,
) -> None:
    """Measure how well names find your photographs, and photographs their names."""
    from encoders.builtin.evaluate_photos import evaluate_photos, photos_table

    report = evaluate_photos(source, folder=weights)
    show_report(report, photos_table(report), as_json=as_json)
