"""``crosscurrent rebuild``: Redis filled again from what Kafka keeps."""

import asyncio
import time
from typing import TYPE_CHECKING

import typer

from workers.operate.bars import Bars
from workers.operate.cli_options import settings_of
from workers.operate.console import output, progress_console

if TYPE_CHECKING:
    from workers.operate.rebuild import Rebuilt


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rebuild)


def rebuild(ctx: typer.Context) -> None:
    """Fill Redis again from the compacted topics, without encoding anything; workers may run, and it may run twice."""
    from workers.operate.rebuild import rebuild as run

    settings = settings_of(ctx)
    began = time.perf_counter()
    with Bars(rate=True) as tell:
        done = asyncio.run(run(settings, tell))
    show_rebuilt(done, time.perf_counter() - began)


def show_rebuilt(done: "Rebuilt", seconds: float) -> None:
    """Print what became of the records, and at which rate."""
    from workers.operate.show import summary_table

    vectors, people = done.vectors, done.people
    handled = vectors.items + vectors.deletions + vectors.kept + people.profiles + people.forgotten + people.kept
    rows = {
        "items": f"{vectors.items} written, {vectors.deletions} deletions, {vectors.kept} kept, as new",
        "profiles": f"{people.profiles} written, {people.forgotten} forgotten users, {people.kept} kept, as new",
        "time": f"{seconds:.1f} s, {handled / seconds:,.0f} a second",
    }
    if vectors.mended:
        rows["topic"] = f"{vectors.mended} items sent again: it ended with older versions"
    output().print(summary_table(rows))
    for why, count in (vectors.passed_over + people.passed_over).most_common():
        notes = progress_console()
        notes.print(f"{count} records passed over: {why}", style="bold yellow", markup=False)
