"""Steps that ``crosscurrent reshard`` and ``reindex`` have in common."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from workers.operate.bars import Bars
from workers.operate.cli_options import settings_of
from workers.operate.console import output, progress_console

if TYPE_CHECKING:
    from workers.operate.layout_comparison import Comparison
    from workers.operate.layout_desk import LayoutDesk

_Made = TypeVar("_Made")
Step = Callable[["LayoutDesk"], Awaitable[object]]

Flip = Annotated[bool, typer.Option("--flip", help="Let the filled layout answer.")]
Back = Annotated[bool, typer.Option("--back", help="Let the previous layout answer again.")]
Drop = Annotated[bool, typer.Option("--drop", help="Delete the layout that does not answer.")]
Compare = Annotated[bool, typer.Option("--compare", help="Ask both layouts the same.")]
Status = Annotated[bool, typer.Option("--status", help="Say which layouts there are (as without options).")]
Sample = Annotated[int, typer.Option(min=1, max=10_000, help="Questions to compare by.")]


def run(ctx: typer.Context, step: "Callable[[LayoutDesk], Awaitable[_Made]]") -> _Made:
    """Take a step at the desk of the settings' model."""
    from workers.operate.layout_desk import LayoutDesk

    async def taken() -> _Made:
        async with LayoutDesk(settings_of(ctx)) as desk:
            return await step(desk)

    return asyncio.run(taken())


def take(ctx: typer.Context, wanted: "dict[str, tuple[bool, Step]]") -> None:
    """Take the one step that is wanted; say what there is when none is.

    Raises:
        BadParameter: Several are wanted.
    """
    chosen = [name for name, (is_wanted, _) in wanted.items() if is_wanted]
    if len(chosen) > 1:
        raise typer.BadParameter(f"one step at a time, not {' and '.join(chosen)}")
    run(ctx, wanted[chosen[0]][1] if chosen else status)


def show_comparison(found: "Comparison") -> None:
    """Print how far the answers agree, and those that differ most."""
    from workers.operate.show import summary_table
    from workers.operate.show_layouts import differences_table, summary_of

    output().print(summary_table(summary_of(found)))
    if found.differing:
        output().print(differences_table(found.differing))


async def flip(desk: "LayoutDesk") -> None:
    """Flip, and say what there is."""
    from workers.operate.reindex import flip as run_flip

    with Bars(rate=True) as tell:
        await run_flip(desk, tell)
    await status(desk)


async def back(desk: "LayoutDesk") -> None:
    """Go back, and say what there is."""
    await desk.back()
    await status(desk)


async def drop(desk: "LayoutDesk") -> None:
    """Drop, and say what there is."""
    from workers.operate.reindex import drop as run_drop

    notes = progress_console()
    notes.print(f"waiting {desk.settings.query.deadline_ms / 1000:g} s for queries that began before", style="dim")
    with Bars(rate=True) as tell:
        await run_drop(desk, tell)
    await status(desk)


async def status(desk: "LayoutDesk") -> None:
    """Say what there is, who follows, and what may be done next."""
    from workers.operate.show import summary_table
    from workers.operate.show_layouts import status_rows, what_next

    found = await desk.status()
    output().print(summary_table(status_rows(found)))
    if found.behind:
        names = ", ".join(each.name for each in found.behind)
        progress_console().print(f"not there yet: {names}", style="bold yellow", markup=False)
    progress_console().print(what_next(found), style="dim", markup=False)
