"""``crosscurrent dead-letters list``, ``show`` and ``count``: what was refused, and why."""

import asyncio
import heapq
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from config.errors import Misconfigured, Reason
from workers.contracts.topics import Topic
from workers.operate.cli_options import settings_of
from workers.operate.console import Commands, output, progress_console
from workers.operate.letter_options import letters, marks_if_any, read_place, selection, times_sent

if TYPE_CHECKING:
    from config.settings import KafkaSettings
    from workers.contracts.replays import LetterPlace
    from workers.operate.dead_letters import Letter, Selection
    from workers.operate.show_letters import Counts, Row

group = typer.Typer(cls=Commands, no_args_is_help=True, help="Events that were refused: see, replay and purge them.")

Reasons = Annotated[list[Reason] | None, typer.Option("--reason", help="Only these reasons.")]
Topics = Annotated[list[Topic] | None, typer.Option("--topic", help="Only events of content, interactions or queries.")]
Since = Annotated[str | None, typer.Option(help="Not refused before: 2h or 3d ago, or a date or time (UTC).")]
Until = Annotated[str | None, typer.Option(help="Refused before this moment.")]
Place = Annotated[str, typer.Argument(help="The letter's place, partition:offset, as 'list' shows it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="dead-letters")


@group.command("list")
def list_(
    ctx: typer.Context,
    *,
    reason: Reasons = None,
    topic: Topics = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a letter and line.")] = False,
) -> None:
    """List dead letters, the newest first."""
    from workers.operate.show_letters import letter_object, letters_table

    kafka = settings_of(ctx).kafka
    rows, fitting = asyncio.run(
        _newest(kafka, selection(kafka, reason=reason, topic=topic, since=since, until=until), limit)
    )
    if as_json:
        for row in rows:
            typer.echo(json.dumps(letter_object(row), ensure_ascii=True))
        return
    output().print(letters_table(rows))
    if fitting > len(rows):
        progress_console().print(f"the newest {len(rows)} of {fitting}; --limit shows more")


async def _newest(kafka: "KafkaSettings", wanted: "Selection", limit: int) -> "tuple[list[Row], int]":
    from workers.operate.show_letters import Row

    marks = await marks_if_any(kafka)
    newest: list[tuple[int, int, int, Row]] = []
    fitting = 0
    async for letter in letters(kafka, wanted):
        fitting += 1
        entry = (letter.at_ms, letter.place.partition, letter.place.offset, Row.of(letter, times_sent(marks, letter)))
        (heapq.heappush if len(newest) < limit else heapq.heappushpop)(newest, entry)
    return [row for *_, row in sorted(newest, reverse=True)], fitting


@group.command()
def show(
    ctx: typer.Context,
    place: Place,
    *,
    out: Annotated[Path | None, typer.Option(help="Write the event's bytes here.", dir_okay=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the dead letter itself, bytes as base64.")] = False,
) -> None:
    """Show one dead letter; control characters are made visible, other bytes than text in hexadecimal, secrets hidden.

    What --out and --json give is the record as it was.
    """
    from rich.text import Text

    from workers.operate.show import summary_table
    from workers.operate.show_letters import letter_facts, shown_event

    kafka = settings_of(ctx).kafka
    found, sent = asyncio.run(_one(kafka, read_place(place)))
    if out is not None:
        if (value := found.letter.original_value()) is None:
            raise Misconfigured(f"nothing to write to {out}: {shown_event(found)[0]}")
        out.write_bytes(value)
    if as_json:
        told = found.letter.model_dump(mode="json", exclude_none=True)
        typer.echo(json.dumps({"letter": str(found.place)} | told | {"times_replayed": sent}, ensure_ascii=True))
        return
    output().print(summary_table({escape(name): escape(text) for name, text in letter_facts(found, sent).items()}))
    heading, event = shown_event(found)
    output().print(Text(f"\n{heading}", style="dim"))
    if event:
        typer.echo(event)


async def _one(kafka: "KafkaSettings", place: "LetterPlace") -> "tuple[Letter, int]":
    from workers.operate.dead_letters import one_letter

    found = await one_letter(kafka, place)
    return found, times_sent(await marks_if_any(kafka), found)


@group.command()
def count(
    ctx: typer.Context,
    *,
    reason: Reasons = None,
    topic: Topics = None,
    since: Since = None,
    until: Until = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a reason, stage and line.")] = False,
) -> None:
    """Count dead letters by reason and stage, and how many of them were sent again."""
    kafka = settings_of(ctx).kafka
    counted = asyncio.run(_counted(kafka, selection(kafka, reason=reason, topic=topic, since=since, until=until)))
    if as_json:
        for each in counted.objects():
            typer.echo(json.dumps(each))
    else:
        output().print(counted.table())


async def _counted(kafka: "KafkaSettings", wanted: "Selection") -> "Counts":
    from workers.operate.show_letters import Counts

    marks, counts = await marks_if_any(kafka), Counts()
    async for letter in letters(kafka, wanted):
        counts.add(letter, replayed=times_sent(marks, letter) > 0)
    return counts
