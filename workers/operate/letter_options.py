"""What the commands over dead letters share: options to a selection, and reading with a bar and a word on oddities."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import typer

from config.errors import Reason
from workers.contracts.replays import LetterPlace
from workers.contracts.topics import Topic
from workers.operate.bar import Bar
from workers.operate.console import progress_console
from workers.operate.moments import moment_ms

if TYPE_CHECKING:
    from config.settings import KafkaSettings
    from workers.operate.dead_letters import Letter, Marks, Selection
    from workers.operate.past_records import PastRecord


def selection(
    kafka: "KafkaSettings",
    *,
    reason: Sequence[Reason] | None,
    topic: Sequence[Topic] | None,
    since: str | None,
    until: str | None,
    letter: Sequence[str] | None = None,
) -> "Selection":
    """The letters that options name.

    Raises:
        typer.BadParameter: An option makes no sense.
    """
    from workers.operate.dead_letters import REFUSABLE, Selection
    from workers.streams.timing import now_ms

    if strange := set(topic or ()) - set(REFUSABLE):
        known = ", ".join(REFUSABLE)
        raise typer.BadParameter(f"no event of {', '.join(sorted(strange))} is ever refused: --topic is one of {known}")
    now = now_ms()
    return Selection(
        prefix=kafka.topic_prefix,
        reasons=frozenset(reason or ()),
        topics=frozenset(topic or ()),
        since_ms=moment_ms(since, now),
        until_ms=moment_ms(until, now),
        places=frozenset(map(read_place, letter or ())),
    )


def read_place(text: str) -> LetterPlace:
    """A letter's place as typed.

    Raises:
        typer.BadParameter: It is none.
    """
    try:
        return LetterPlace.parse(text)
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc


async def letters(kafka: "KafkaSettings", wanted: "Selection", what: str = "reading") -> AsyncIterator["Letter"]:
    """The letters of a selection, with a bar; records that are no letters are counted and told."""
    from workers.operate.dead_letters import chosen_letters

    odd: list[PastRecord] = []
    with Bar(what) as bar:
        async for letter in chosen_letters(kafka, wanted, on_unreadable=odd.append, tell=bar):
            yield letter
    if odd:
        first = f"{odd[0].partition}:{odd[0].offset}"
        progress_console().print(
            f"{len(odd)} records are no dead letters, the first at {first}; left out", style="bold yellow"
        )


async def marks_if_any(kafka: "KafkaSettings") -> "Marks":
    """What is known of replays; nothing where there is no topic for it yet, for then nothing was replayed."""
    from workers.operate.dead_letters import Marks, read_marks
    from workers.operate.past_records import NoSuchTopic

    try:
        return await read_marks(kafka)
    except NoSuchTopic:
        return Marks({})


def times_sent(marks: "Marks", letter: "Letter") -> int:
    """How often a letter was sent again."""
    mark = marks.sent(letter)
    return 0 if mark is None else mark.times_sent
