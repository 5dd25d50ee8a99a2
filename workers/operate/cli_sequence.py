"""``crosscurrent train sequence``: what comes next, learnt from what people did."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.operate.bars import Bars
from workers.operate.cli_options import settings_of
from workers.operate.console import output, progress_console

if TYPE_CHECKING:
    from config.settings import Settings
    from config.vocabulary import ModelRef
    from fusion.learning.interaction_log import Vectors

Rows = list[tuple[str, str, int, bool]]


def register(train: typer.Typer) -> None:
    """Add the command to the group ``train``."""
    train.command("sequence")(sequence)


def sequence(
    ctx: typer.Context,
    *,
    out: Annotated[Path, typer.Option(help="Folder that gets the model; name it in people.sequence_model.")],
    file: Annotated[
        Path | None,
        typer.Option(
            help="Interaction events (.jsonl), or user,item,rating,timestamp; the topic when left out.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    items: Annotated[
        Path | None, typer.Option(help="Items' vectors (.npz); the index when left out.", exists=True, dir_okay=False)
    ] = None,
    epochs: Annotated[int, typer.Option(help="Most passes over the data.", min=1)] = 60,
    patience: Annotated[int, typer.Option(help="Passes without improvement until it stops.", min=1)] = 6,
    width: Annotated[int, typer.Option(help="Of the network.", min=8)] = 64,
    layers: Annotated[int, typer.Option(min=1, max=8)] = 2,
    length: Annotated[int, typer.Option(help="Latest actions read.", min=2, max=500)] = 50,
    seed: Annotated[int, typer.Option(help="The same seed makes the same again.", min=0)] = 0,
) -> None:
    """Train a model of what users like next, from the interactions topic or a file.

    Stopped at any moment, the same command goes on with the pass where it was.
    """
    from fusion.learning.sequence_data import acts_of
    from fusion.learning.sequence_training import SequenceOptions, train_sequence

    settings = settings_of(ctx)
    with Bars() as tell:
        rows = _rows(settings, file, tell)
        vectors, model = _vectors(settings, rows, items)
        options = SequenceOptions(
            epochs=epochs, patience=patience, width=width, layers=layers, length=length, seed=seed
        )
        record = train_sequence(
            acts_of(rows, vectors), options, out, model=model, tell=lambda done, most, _: tell("training", done, most)
        )
    told = f"nDCG@10 {record['validation_ndcg_at_10']:.3f} on the latest {options.validation:.0%} of the actions"
    output().print(f"{out}: {record['likes']} likes of {record['users']} users, {told}")
    output().print(f"use it with people.sequence_model: {out.resolve()}", soft_wrap=True)


def _rows(settings: "Settings", file: Path | None, tell: Any) -> Rows:
    from workers.operate.past_interactions import PastActions, from_file

    past = PastActions(settings.people)
    if file is None:
        asyncio.run(_read_topic(settings, past, tell))
    elif file.suffix in {".jsonl", ".ndjson"}:
        for happened in from_file(file, settings.kafka, lambda bad: progress_console().print(str(bad))):
            past.add(happened)
    else:
        return _rows_of_log(file)
    return past.rows()


async def _read_topic(settings: "Settings", past: Any, tell: Any) -> None:
    from workers.operate.past_interactions import from_topic

    async for happened in from_topic(settings.kafka, lambda done, total: tell("reading", done, total)):
        past.add(happened)


def _rows_of_log(file: Path) -> Rows:
    from fusion.learning.interaction_log import read_log

    return read_log(file).rows()


def _vectors(settings: "Settings", rows: Rows, items: Path | None) -> tuple["Vectors", "ModelRef | None"]:
    """Items' vectors, and the model that made them where it is known."""
    from encoders.identity import identify
    from fusion.learning.interaction_log import read_vectors
    from workers.operate.past_interactions import indexed_vectors

    if items is not None:
        return read_vectors(items), None
    return asyncio.run(indexed_vectors((row[1] for row in rows), settings)), identify(settings.model).model
