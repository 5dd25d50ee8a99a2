"""``crosscurrent export`` and ``crosscurrent weights``: what was asked, shown and done, and what clicks taught."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from workers.contracts.topics import Topic
from workers.operate.bars import Bars
from workers.operate.cli_options import settings_of
from workers.operate.console import Commands, output, progress_console
from workers.operate.whole_file import whole_file

if TYPE_CHECKING:
    from config.settings import Settings
    from fusion.people.redis_served import RedisServedStore
    from fusion.people.served import Served

_export = typer.Typer(cls=Commands, no_args_is_help=True, help="Write what is kept into files.")
_weights = typer.Typer(cls=Commands, no_args_is_help=True, help="Weights of the modalities that clicks taught.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_export, name="export")
    app.add_typer(_weights, name="weights")


@_export.command("events")
def events(
    ctx: typer.Context,
    topics: Annotated[list[Topic], typer.Argument(help="Topics to read, as named after the prefix.")],
    out: Annotated[Path, typer.Option(help="File that gets one event a line.", dir_okay=False)],
) -> None:
    """Write all events that topics hold now, such as 'queries results interactions' for 'train fusion'."""
    settings = settings_of(ctx)
    with Bars() as tell, whole_file(out) as file:
        written, passed_over = asyncio.run(_write_events(settings, topics, file, tell))
    output().print(f"{out}: {written} events")
    if passed_over:
        progress_console().print(f"{passed_over} records are no events and were left out", style="bold yellow")


async def _write_events(
    settings: "Settings", topics: list[Topic], file: BinaryIO, tell: Callable[[str, int, int], None]
) -> tuple[int, int]:
    """How many events were written, and how many records were none; what erases a key is neither."""
    from workers.operate.past_records import past_records

    written = passed_over = 0
    for topic in topics:
        async for record in past_records(settings.kafka, topic, partial(tell, str(topic))):
            if record.value is None:
                continue
            if (line := _line(topic, record.value, settings.kafka.max_event_bytes)) is None:
                passed_over += 1
            else:
                file.write(line)
                written += 1
    return written, passed_over


def _line(topic: Topic, value: bytes, max_bytes: int) -> bytes | None:
    """The event as one line; None for what no worker took either."""
    from config.errors import RejectEvent
    from workers.contracts.parse import parse_event
    from workers.operate.outgoing import ADAPTERS

    try:
        if topic in ADAPTERS:
            parse_event(value, ADAPTERS[topic], max_bytes=max_bytes)
        # Read and written again: an event may have been sent with line breaks in it.
        return json.dumps(json.loads(value), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except (RejectEvent, ValueError, RecursionError):
        return None


@_export.command("joined")
def joined(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(help="File that gets one JSON object a shown item and line.", dir_okay=False)],
) -> None:
    """Write what users were shown lately, with what they saw and clicked (people.served_queries, served_ttl_s)."""
    lines = asyncio.run(_write_joined(settings_of(ctx), out))
    output().print(f"{out}: {lines} shown items")


async def _write_joined(settings: "Settings", out: Path) -> int:
    count = 0
    async with _store(settings) as store:
        with whole_file(out) as file:
            async for served in store.everything():
                for line in joined_lines(served):
                    file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
                    count += 1
    return count


def joined_lines(served: "Served") -> list[dict[str, Any]]:
    """One object for each item shown, in the order of ranks; ``modality_scores`` is as in results."""
    return [
        {
            "query_id": served.query_id,
            "user_id": served.user_id,
            "at_ms": served.at_ms,
            "item_id": hit.item_id,
            "rank": hit.rank,
            "seen": hit.seen,
            "clicked": hit.clicked,
            "modality_scores": {
                modality: {"similarity": score.similarity, "calibrated": score.calibrated, "weight": score.weight}
                for modality, score in hit.scores.items()
            },
        }
        for hit in served.hits
    ]


@_weights.command("show")
def show(
    ctx: typer.Context, user: Annotated[str, typer.Option(help="Of this user; everybody's when left out.")] = ""
) -> None:
    """Print the factors that clicks taught."""
    factors = asyncio.run(_read_weights(settings_of(ctx), user))
    told = "  ".join(f"{modality} x {factor:.3f}" for modality, factor in factors.items())
    output().print(told or "nothing is learnt yet: every factor is 1")


async def _read_weights(settings: "Settings", user: str) -> dict[str, float]:
    from config.vocabulary import UserId

    async with _store(settings) as store:
        found = await store.weights(UserId(user) if user else None)
    return {str(modality): factor for modality, factor in found.items()}


@_weights.command("reset")
def reset(ctx: typer.Context) -> None:
    """Take back what clicks taught, of everybody and of every user."""
    asyncio.run(_reset_weights(settings_of(ctx)))
    output().print("every factor is 1 again")


async def _reset_weights(settings: "Settings") -> None:
    async with _store(settings) as store:
        await store.reset_weights()


@asynccontextmanager
async def _store(settings: "Settings") -> AsyncIterator["RedisServedStore"]:
    """What was shown, in the Redis of the settings."""
    from encoders.identity import identify
    from fusion.people.redis_store import RedisPeopleStore

    space = identify(settings.model)
    people = RedisPeopleStore(settings.redis, settings.people, space.model, space.dims)
    try:
        yield people.served
    finally:
        await people.close()
