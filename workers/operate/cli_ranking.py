"""``crosscurrent evaluate ranking``: judged queries against a running system or a file of items, two settings apart."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.operate.bar import Bar
from workers.operate.cli_options import settings_of
from workers.operate.console import ExitCode, output, progress_console

if TYPE_CHECKING:
    from config.settings import Settings
    from workers.contracts.query import Query
    from workers.contracts.result import Result
    from workers.relevance.comparison import Ask, Run
    from workers.relevance.judged import Judged

_AT_ONCE = 8
_MOST_TOLD = 5


def register(evaluate: typer.Typer) -> None:
    """Add the command to the group ``evaluate``."""
    evaluate.command("ranking")(ranking)


def ranking(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Judged queries, one JSON a line (docs/fusion.md).", dir_okay=False)],
    *,
    a: Annotated[str, typer.Option("--a", help="First setting: a YAML file, or path=value,… of the query event.")] = "",
    b: Annotated[str, typer.Option("--b", help="Second setting, such as fusion.strategy=attention.")] = "",
    items: Annotated[
        Path | None,
        typer.Option(help="Content events to search; the running system if left out.", exists=True, dir_okay=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Picture of the report: .png, .svg or .pdf.")] = None,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Longest wait for one result, in seconds.")] = 30.0,
) -> None:
    """Measure rankings on judged queries: nDCG@10, MRR and recall@10 with paired bootstrap intervals.

    Without ``--a`` queries are asked as they are; with ``--b`` two settings are compared on the same queries.
    """
    from workers.relevance.comparison import compare, read_setting
    from workers.relevance.comparison_tables import comparison_tables
    from workers.relevance.judged import read_judged

    judged = read_judged(file)
    settings = {name: read_setting(text) if text else {} for name, text in (("a", a), ("b", b)) if text or name == "a"}
    loaded = settings_of(ctx)
    with Bar("asking") as bar:
        runs = asyncio.run(_runs(loaded, judged, settings, file=file, items=items, timeout_s=timeout_s, bar=bar))
    report = compare(judged, runs, settings)
    if plot is not None:
        from workers.relevance.plots import plot_comparison

        plot_comparison(report, plot)
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        for table in comparison_tables(report):
            output().print(table)
    _tell_failures(runs)


async def _runs(
    loaded: "Settings",
    judged: "Sequence[Judged]",
    settings: Mapping[str, Mapping[str, Any]],
    *,
    file: Path,
    items: Path | None,
    timeout_s: float,
    bar: Bar,
) -> "dict[str, Run]":
    from workers.relevance.comparison import run

    done, total = 0, len(judged) * len(settings)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        bar(done, total, None)

    async def all_with(ask: "Ask") -> "dict[str, Run]":
        return {name: await run(judged, setting, ask) for name, setting in settings.items()}

    if items is None:
        return await _live(loaded, all_with, timeout_s, advance)
    from workers.relevance.offline import offline_system

    async with offline_system(loaded, [file.parent, items.parent]) as system:
        await system.index_file(items)
        return await all_with(lambda queries: system.answer(queries, advance))


async def _live(loaded: "Settings", all_with: Any, timeout_s: float, advance: Any) -> "dict[str, Run]":
    """Ask a running system, a few queries at once; each gets an id of its own, for an id names one result."""
    from workers.operate.client import AsyncClient

    limit = asyncio.Semaphore(_AT_ONCE)
    async with AsyncClient(loaded) as client:

        async def one(query: "Query") -> "Result":
            async with limit:
                event = query.model_dump(mode="json", exclude_none=True, exclude={"query_id"})
                result = await client.query(event, timeout_s=timeout_s)
                advance(1)
                return result

        async def ask(queries: "Sequence[Query]") -> "list[Result]":
            return list(await asyncio.gather(*map(one, queries)))

        found: dict[str, Run] = await all_with(ask)
        return found


def _tell_failures(runs: "Mapping[str, Run]") -> None:
    """An error result counts as nothing found; the command says so and ends with 1."""
    failed = [f"{name}: {message}" for name, one in runs.items() for message in one.failed]
    if not failed:
        return
    notes = progress_console()
    for message in failed[:_MOST_TOLD]:
        notes.print(message, markup=False, soft_wrap=True)
    notes.print(f"{len(failed)} queries got an error and counted as nothing found", style="bold yellow")
    raise typer.Exit(ExitCode.TROUBLE)
