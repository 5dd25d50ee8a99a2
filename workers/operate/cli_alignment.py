"""``crosscurrent train alignment``: heads from the user's own paired items, in one command."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from config.errors import Misconfigured
from workers.operate.bar import Bar
from workers.operate.cli_options import settings_of
from workers.operate.console import output, tell_problems

if TYPE_CHECKING:
    from config.settings import Settings
    from encoders.alignment.features import PairedFeatures
    from encoders.alignment.options import FitOptions
    from encoders.alignment.record import Alignment
    from encoders.base import EncoderSet
    from workers.operate.pairs import Pairs


def register(train: typer.Typer) -> None:
    """Add the command to the group ``train``."""
    train.command("alignment")(alignment)


def alignment(
    ctx: typer.Context,
    *,
    out: Annotated[Path, typer.Option(help="Folder that gets heads, card and logs; its name is the heads' name.")],
    pairs: Annotated[
        Path | None, typer.Option(help="Items as content events, one JSON a line.", exists=True, dir_okay=False)
    ] = None,
    federated: Annotated[
        list[Path] | None,
        typer.Option(help="A site's folder with pairs.jsonl; repeat for each. Sites share weights and no data."),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Profile whose vectors are aligned; the settings' if left out.")
    ] = None,
    head: Annotated[str, typer.Option(help="linear, adversarial or network.")] = "network",
    solver: Annotated[str, typer.Option(help="Of linear: least_squares, procrustes, cca or trained.")] = "trained",
    loss: Annotated[str, typer.Option(help="softmax or sigmoid.")] = "softmax",
    hard_negatives: Annotated[bool, typer.Option(help="Weigh near negatives more.")] = False,
    binary: Annotated[bool, typer.Option(help="Train for sign codes, a bit a dimension.")] = False,
    self_supervised: Annotated[
        bool, typer.Option(help="Pair every input with a distorted view of itself: needs no labels.")
    ] = False,
    dims: Annotated[int | None, typer.Option(help="Length of the aligned vectors.", min=2)] = None,
    steps: Annotated[int, typer.Option(min=1)] = 1000,
    rounds: Annotated[int, typer.Option(help="Of federated averaging; the steps are shared out.", min=1)] = 20,
    batch_size: Annotated[int, typer.Option(min=2)] = 256,
    learning_rate: Annotated[float, typer.Option()] = 1e-3,
    validation_share: Annotated[float, typer.Option(min=0.01, max=0.5)] = 0.1,
    patience: Annotated[int, typer.Option(help="Validations without improvement until it stops.", min=1)] = 8,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Train alignment heads on your own paired items, and write them where ``model.heads`` finds them.

    Stopped at any moment, the same command goes on where it was. Watch it with ``tensorboard --logdir OUT``.
    """
    from encoders.alignment.options import FitOptions

    if bool(pairs) == bool(federated):
        raise typer.BadParameter("name --pairs FILE, or --federated FOLDER for every site")
    settings = settings_of(ctx, {"model": {"profile": profile}} if profile else None)
    fit = FitOptions(
        head=head,  # type: ignore[arg-type]  # checked by the class, with every other problem
        solver=solver if head == "linear" else "trained",  # type: ignore[arg-type]
        loss=loss,  # type: ignore[arg-type]
        hardness=2.0 if hard_negatives else 0.0,
        binary=binary,
        dims=dims,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
    )
    if pairs:
        course = {"validation_share": validation_share, "patience": patience}
        done = _alone(settings, pairs, fit, out, views=self_supervised, **course)
    else:
        done = _together(
            settings, federated or [], fit, out, rounds=rounds, share=validation_share, views=self_supervised
        )
    _report(done, out)


def _alone(
    settings: "Settings", file: Path, fit: "FitOptions", out: Path, *, views: bool, **course: Any
) -> "Alignment":
    from encoders.alignment.run import RunOptions, train

    encoders = _encoders(settings)
    read = _read(file, encoders, settings, out, views=views)
    options = RunOptions(fit=fit, name=_name(out), **course)
    with Bar("training") as bar:
        return train(read.features, encoders.model, options, out, bar)


def _together(
    settings: "Settings",
    folders: Sequence[Path],
    fit: "FitOptions",
    out: Path,
    *,
    rounds: int,
    share: float,
    views: bool,
) -> "Alignment":
    from encoders.alignment.federated import Site, federate, site_options
    from encoders.alignment.run import split, write_heads

    encoders = _encoders(settings)
    steps = max(1, fit.steps // rounds)
    options = site_options(fit, rounds, steps)
    parts: list[tuple[PairedFeatures, PairedFeatures]] = []
    for folder in folders:
        read = _read(folder / "pairs.jsonl", encoders, settings, out / "sites" / _name(folder), views=views)
        parts.append(split(read.features, share))
    sites = [Site(str(folder), options, training) for folder, (training, _) in zip(folders, parts, strict=True)]
    with Bar("rounds") as bar:
        heads = federate(sites, rounds, steps, tell=lambda done: bar(done, rounds))
    return write_heads(heads, parts, encoders.model, name=_name(out), options=options, folder=out)


def _encoders(settings: "Settings") -> "EncoderSet":
    from encoders.registry import load_encoders

    return load_encoders(settings.model, unaligned=True)


def _read(file: Path, encoders: "EncoderSet", settings: "Settings", folder: Path, *, views: bool) -> "Pairs":
    from workers.operate.pairs import read_pairs

    if not file.is_file():
        raise Misconfigured(f"{file} is not there: put the site's items into it, one content event a line")
    with Bar(f"encoding {file.name}") as bar:
        read = read_pairs(file, encoders, settings, views=views, folder=folder, advance=bar)
    tell_problems(read.problems)
    return read


def _report(done: "Alignment", out: Path) -> None:
    from rich.table import Table

    table = Table(title=f"{done.model}: {done.facts['validation_items']} validation items")
    for heading in ("query", "item", "recall@1", "recall@5", "recall@10", "median rank"):
        table.add_column(heading, justify="left" if heading in ("query", "item") else "right")
    for pair, scores in done.facts["validation"].items():
        recalls = (f"{scores[f'recall_at_{k}']:.3f}" for k in (1, 5, 10))
        table.add_row(*pair.split(">"), *recalls, f"{scores['median_rank']:.0f}")
    output().print(table)
    output().print(f"use them with model.heads: {out}", soft_wrap=True)


def _name(folder: Path) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in folder.resolve().name)[:32]
