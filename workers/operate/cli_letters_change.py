"""``crosscurrent dead-letters replay`` and ``purge``: sending refused events again, and deleting their letters."""

import asyncio
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from workers.operate.cli_letters import Reasons, Since, Topics, Until, group
from workers.operate.cli_options import settings_of
from workers.operate.console import ExitCode, output, tell_problems
from workers.operate.letter_options import letters, marks_if_any, selection
from workers.operate.moments import moment_ms

if TYPE_CHECKING:
    from config.settings import KafkaSettings
    from workers.operate.dead_letters import Selection
    from workers.operate.purging import Doomed
    from workers.operate.replaying import Report, Terms


def register(app: typer.Typer) -> None:
    """Add the commands to the group that the reading ones made."""
    group.command()(replay)
    group.command()(purge)


def replay(
    ctx: typer.Context,
    *,
    reason: Reasons = None,
    topic: Topics = None,
    since: Since = None,
    until: Until = None,
    letter: Annotated[list[str] | None, typer.Option(help="Only this one, partition:offset; repeatable.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every dead letter that the other options leave.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also what was sent again before.")] = False,
    most_attempts: Annotated[int, typer.Option(help="Leave events that were refused so often already.", min=1)] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and send nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Send refused events to their topics again, bytes, key and headers as they were, each confirmed.

    Nothing is sent twice, also when a run is interrupted and repeated: the replays topic remembers what was sent. An
    event is as old as it was, so it beats nothing that came since. One that is refused again has a new dead letter; the
    next run sends it again, until it was refused --most-attempts times.
    """
    if not (reason or topic or since or until or letter or all_):
        raise typer.BadParameter("say what to replay: --reason, --topic, --since, --until, --letter, or --all")
    from workers.operate.replaying import Terms

    kafka, terms = settings_of(ctx).kafka, Terms(again=again, most_attempts=most_attempts)
    # Up to now: what is refused again meanwhile must not be read by the same run.
    wanted = selection(kafka, reason=reason, topic=topic, since=since, until=until or "0s", letter=letter)
    report = asyncio.run(_counted(kafka, wanted, terms) if dry_run else _replayed(kafka, wanted, terms))
    if as_json:
        typer.echo(json.dumps(asdict(report) | {"dry_run": dry_run}))
    else:
        _tell(report, dry_run=dry_run)
    if report.problems:
        raise typer.Exit(ExitCode.TROUBLE)


async def _counted(kafka: "KafkaSettings", wanted: "Selection", terms: "Terms") -> "Report":
    from workers.operate.replaying import Report

    marks, report = await marks_if_any(kafka), Report()
    async for each in letters(kafka, wanted):
        report.sent += not terms.leave(each, marks, report)
    return report


async def _replayed(kafka: "KafkaSettings", wanted: "Selection", terms: "Terms") -> "Report":
    from workers.operate.dead_letters import read_marks
    from workers.operate.replaying import Replayer
    from workers.streams.publisher import KafkaPublisher

    marks = await read_marks(kafka)
    async with KafkaPublisher(kafka, client_id="crosscurrent-replay") as publisher:
        return await Replayer(kafka, publisher, marks, terms).run(letters(kafka, wanted, "replaying"))


def _tell(report: "Report", *, dry_run: bool) -> None:
    output().print(f"{report.sent} events {'would be sent again' if dry_run else 'sent again and confirmed'}")
    if report.found:
        output().print(f"{report.found} of an interrupted run were found on their topics and noted")
    if report.before:
        output().print(f"{report.before} were sent again before; --again sends them once more")
    if report.given_up:
        output().print(f"{report.given_up} were refused too often; --most-attempts sends them once more")
    tell_problems(report.problems)


def purge(
    ctx: typer.Context,
    *,
    until: Annotated[
        str | None, typer.Option(help="Delete what was refused before: 3d ago, or a date or time.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Delete every dead letter.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and delete nothing.")] = False,
) -> None:
    """Delete dead letters before their 30 days are over. They are gone for good."""
    from workers.operate.purging import doomed_letters, purge_letters
    from workers.streams.timing import now_ms

    if (until is None) == (not all_):
        raise typer.BadParameter("say what to delete: --until a moment, or --all")
    kafka = settings_of(ctx).kafka
    doomed = asyncio.run(doomed_letters(kafka, moment_ms(until, now_ms())))
    if dry_run or not doomed.letters:
        output().print(f"{doomed.letters} dead letters would be deleted and {doomed.kept} kept")
        return
    _ask(doomed, yes=yes)
    purge_letters(kafka, doomed)
    output().print(f"{doomed.letters} dead letters deleted, {doomed.kept} kept")


def _ask(doomed: "Doomed", *, yes: bool) -> None:
    """Let a person confirm; a script must say so itself."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"this would delete {doomed.letters} dead letters: say --yes")
    typer.confirm(f"Delete {doomed.letters} dead letters for good ({doomed.kept} stay)?", abort=True)
