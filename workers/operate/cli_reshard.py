"""``crosscurrent reshard``: another number of shards, while queries are answered."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from workers.operate.bars import Bars
from workers.operate.cli_options import settings_of
from workers.operate.console import output, progress_console

if TYPE_CHECKING:
    from workers.operate.layout_desk import LayoutDesk
    from workers.operate.refill import Refilled

_Made = TypeVar("_Made")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(reshard)


def reshard(  # noqa: PLR0917 - options, which typer passes by name
    ctx: typer.Context,
    shards: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Fill a second layout with so many shards, and compare.")
    ] = None,
    flip: Annotated[bool, typer.Option("--flip", help="Let the filled layout answer.")] = False,
    back: Annotated[bool, typer.Option("--back", help="Let the previous layout answer again.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Delete the layout that does not answer.")] = False,
    compare: Annotated[bool, typer.Option("--compare", help="Ask both layouts the same.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Say which layouts there are (as without options).")] = False,
    sample: Annotated[int, typer.Option(min=1, max=10_000, help="Questions to compare by.")] = 200,
) -> None:
    """Give the index another number of shards: fill a second layout beside the first, compare, flip; workers go on."""
    steps = [shards is not None or flip, back, drop, compare, status]
    if sum(steps) > 1:
        raise typer.BadParameter("one step at a time: --shards (with or without --flip), --flip, --back, --drop, …")
    if shards is not None:
        _run(ctx, lambda desk: _fill(desk, shards))
        _run(ctx, lambda desk: _compare(desk, sample))
    if flip:
        _run(ctx, _flip)
    elif back:
        _run(ctx, _back)
    elif drop:
        _run(ctx, _drop)
    elif compare:
        _run(ctx, lambda desk: _compare(desk, sample))
    elif shards is None:
        _run(ctx, _status)


def _run(ctx: typer.Context, step: "Callable[[LayoutDesk], Awaitable[_Made]]") -> _Made:
    from workers.operate.layout_desk import LayoutDesk

    async def run() -> _Made:
        async with LayoutDesk(settings_of(ctx)) as desk:
            return await step(desk)

    return asyncio.run(run())


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


async def _compare(desk: "LayoutDesk", sample: int) -> None:
    from workers.operate.reshard import compare_layouts
    from workers.operate.show import summary_table
    from workers.operate.show_layouts import differences_table, summary_of

    found = await compare_layouts(desk, sample)
    output().print(summary_table(summary_of(found)))
    if found.differing:
        output().print(differences_table(found.differing))


async def _flip(desk: "LayoutDesk") -> None:
    await desk.flip()
    await _status(desk)


async def _back(desk: "LayoutDesk") -> None:
    await desk.back()
    await _status(desk)


async def _drop(desk: "LayoutDesk") -> None:
    notes = progress_console()
    notes.print(f"waiting {desk.settings.query.deadline_ms / 1000:g} s for queries that began before", style="dim")
    await desk.drop()
    await _status(desk)


async def _status(desk: "LayoutDesk") -> None:
    from workers.operate.show import summary_table
    from workers.operate.show_layouts import status_rows, what_next

    found = await desk.status()
    output().print(summary_table(status_rows(found)))
    if found.behind:
        names = ", ".join(each.name for each in found.behind)
        progress_console().print(f"not there yet: {names}", style="bold yellow", markup=False)
    progress_console().print(what_next(found), style="dim", markup=False)
