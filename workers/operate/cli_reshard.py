"""``crosscurrent reshard``: another number of shards, while queries are answered."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from workers.operate import cli_layout_steps as steps
from workers.operate.bars import Bars
from workers.operate.console import output, progress_console

if TYPE_CHECKING:
    from workers.operate.layout_desk import LayoutDesk
    from workers.operate.refill import Refilled


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(reshard)


def reshard(  # noqa: PLR0917 - options, which typer passes by name
    ctx: typer.Context,
    shards: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Fill a second layout with so many shards, and compare.")
    ] = None,
    flip: steps.Flip = False,
    back: steps.Back = False,
    drop: steps.Drop = False,
    compare: steps.Compare = False,
    status: steps.Status = False,
    sample: steps.Sample = 200,
) -> None:
    """Give the index another number of shards: fill a second layout beside the first, compare, flip; workers go on."""

    async def filled(desk: "LayoutDesk") -> None:
        await _fill(desk, shards or 0)
        await compared(desk)
        await (steps.flip(desk) if flip else steps.status(desk))

    async def compared(desk: "LayoutDesk") -> None:
        from workers.operate.reshard import compare_layouts

        steps.show_comparison(await compare_layouts(desk, sample))

    steps.take(
        ctx,
        {
            "--shards": (shards is not None, filled),
            "--flip": (flip and shards is None, steps.flip),
            "--back": (back, steps.back),
            "--drop": (drop, steps.drop),
            "--compare": (compare, compared),
            "--status": (status, steps.status),
        },
    )


async def _fill(desk: "LayoutDesk", shards: int) -> None:
    from workers.operate.reshard import fill

    began = time.perf_counter()
    with Bars(rate=True) as tell:
        done = await fill(desk, shards, tell)
    _show_filled(done, time.perf_counter() - began)


def _show_filled(done: "Refilled", seconds: float) -> None:
    from workers.operate.show import summary_table

    handled = done.items + done.deletions + done.kept
    rows = {
        "filled": f"{done.items} items, {done.deletions} deletions, {done.kept} kept, as new",
        "time": f"{seconds:.1f} s, {handled / seconds:,.0f} a second",
    }
    output().print(summary_table(rows))
    for why, count in done.passed_over.most_common():
        progress_console().print(f"{count} records passed over: {why}", style="bold yellow", markup=False)
