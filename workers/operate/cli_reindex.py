"""``crosscurrent reindex``: another model, while queries are answered."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workers.operate import cli_layout_steps as steps
from workers.operate.bars import Bars
from workers.operate.console import progress_console

if TYPE_CHECKING:
    from workers.operate.layout_desk import LayoutDesk

_START = """\
content workers of the new model fill it: start them now, as many as the old one has, with the settings
  model.profile: {profile}{heads}"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(reindex)


def reindex(  # noqa: PLR0917 - options, which typer passes by name
    ctx: typer.Context,
    profile: Annotated[
        str | None, typer.Option(help="Profile of the new model: begin, wait for its content workers, and compare.")
    ] = None,
    heads: Annotated[str | None, typer.Option(help="Its alignment heads, as model.heads names them.")] = None,
    queries: Annotated[
        Path | None, typer.Option(help="Query events to compare by (JSON lines); those of the topic when left out.")
    ] = None,
    flip: steps.Flip = False,
    back: steps.Back = False,
    drop: steps.Drop = False,
    compare: steps.Compare = False,
    status: steps.Status = False,
    sample: steps.Sample = 200,
) -> None:
    """Give the index another model: its content workers fill a second layout, compare, flip; the others go on."""

    async def filled(desk: "LayoutDesk") -> None:
        await _fill(desk, profile or "", heads)
        await compared(desk)
        await (steps.flip(desk) if flip else steps.status(desk))

    async def compared(desk: "LayoutDesk") -> None:
        await _compare(desk, queries, sample)

    steps.take(
        ctx,
        {
            "--profile": (profile is not None, filled),
            "--flip": (flip and profile is None, steps.flip),
            "--back": (back, steps.back),
            "--drop": (drop, steps.drop),
            "--compare": (compare, compared),
            "--status": (status, steps.status),
        },
    )


async def _fill(desk: "LayoutDesk", profile: str, heads: str | None) -> None:
    from workers.operate.reindex import begin, until_filled

    record = await begin(desk, profile, heads)
    if record.second is not None and not await desk.content_workers(record.second.model):
        told = f"\n  model.heads: {heads}" if heads else ""
        progress_console().print(_START.format(profile=profile, heads=told), style="bold", markup=False)
    with Bars(rate=True) as tell:
        await until_filled(desk, record, tell)


async def _compare(desk: "LayoutDesk", queries: Path | None, sample: int) -> None:
    from workers.operate.model_comparison import asked_lately, compare_models, from_file

    record, kafka = await desk.two(), desk.settings.kafka
    with Bars(rate=True) as tell:
        asked = from_file(queries, kafka, sample) if queries else await asked_lately(kafka, sample, tell)
        found = await compare_models(desk, record, asked, tell)
    steps.show_comparison(found)
