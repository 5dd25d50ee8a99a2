"""Dead letters for people and for programs: rows of a table, objects of JSON lines, and one letter whole."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table
from rich.text import Text

from workers.operate.dead_letters import Letter
from workers.operate.moments import written
from workers.operate.readable import header_value, readable, readable_bytes, without_secrets

_MOST_MESSAGE_CHARS = 60
_MOST_EVENT_CHARS = 8000
_LAYOUT: Mapping[str, Any] = {"box": None, "pad_edge": False, "padding": (0, 2, 0, 0), "header_style": "dim"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A letter without the bytes of its event, so that many can be kept.

    Args:
        replayed: How often it was sent again.
    """

    letter: Letter
    event_bytes: int
    replayed: int

    @classmethod
    def of(cls, letter: Letter, replayed: int) -> "Row":
        """Drop the event's bytes."""
        size = len(letter.letter.original_value() or b"")
        small = letter.letter.model_copy(update={"value": None, "headers": {}})
        kept = Letter(place=letter.place, at_ms=letter.at_ms, letter=small)
        return cls(letter=kept, event_bytes=size, replayed=replayed)


def letters_table(rows: Sequence[Row]) -> Table:
    """One row a letter; the message is shortened."""
    table = Table("letter", "refused", "reason", "stage", "origin", "key", "tries", "replayed", "message", **_LAYOUT)
    for row in rows:
        told, origin = row.letter.letter, row.letter.letter.origin
        key = readable((told.original_key() or b"").decode("utf-8", "replace"), one_line=True)
        message = readable(shown(told.message), one_line=True)
        table.add_row(
            *map(Text, (str(row.letter.place), written(row.letter.at_ms), told.reason, told.stage)),
            Text(f"{origin.topic} {origin.partition}:{origin.offset}"),
            *map(Text, (_short(key, 24), str(told.attempts), str(row.replayed or "-"))),
            Text(_short(message, _MOST_MESSAGE_CHARS)),
        )
    return table


def shown(message: str) -> str:
    """A message without what may be a secret of an address in it."""
    return without_secrets(message.encode()).decode()


def shown_event(letter: Letter) -> tuple[str, str]:
    """What to say of the event's bytes, and the bytes themselves for people, as many as one can read."""
    value = letter.letter.original_value()
    if letter.letter.cut:
        return "the letter is without the event's bytes, which were too many for its topic: they lie at the origin", ""
    if value is None:
        return "the record has no value", ""
    text = readable_bytes(without_secrets(value))
    if len(text) <= _MOST_EVENT_CHARS:
        return f"{len(value)} bytes:", text
    return f"{len(value)} bytes, of which this is the beginning (--out FILE writes all):", _short(
        text, _MOST_EVENT_CHARS
    )


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def letter_object(row: Row) -> dict[str, Any]:
    """One letter as an object; JSON itself escapes what would move a cursor."""
    told = row.letter.letter.model_dump(mode="json", exclude_none=True, exclude={"headers", "schema_version"})
    told["message"] = shown(row.letter.letter.message)
    place = {"letter": str(row.letter.place), "written_at": written(row.letter.at_ms)}
    return place | told | {"event_bytes": row.event_bytes, "times_replayed": row.replayed}


def letter_facts(letter: Letter, replayed: int) -> dict[str, str]:
    """Everything of one letter but the event's bytes, by name."""
    told, origin = letter.letter, letter.letter.origin
    facts = {
        "letter": str(letter.place),
        "refused": f"{written(letter.at_ms)} by the {told.role} worker",
        "reason": f"{told.reason} ({told.stage})",
        "field": told.field,
        "message": shown(told.message),
        "origin": f"{origin.topic} {origin.partition}:{origin.offset}, written {written(origin.timestamp_ms)}",
        "refused so often": str(told.attempts),
        "sent again": f"{replayed} times" if replayed else "never",
    }
    if told.replayed is not None:
        first = told.replayed.origin
        facts["replay of"] = f"{told.replayed.letter}, the first letter was {told.replayed.first}"
        facts["first read at"] = f"{first.topic} {first.partition}:{first.offset}, {written(first.timestamp_ms)}"
    if (key := told.original_key()) is not None:
        facts["key"] = readable_bytes(key)
    for name, value in told.original_headers().items():
        facts[f"header {readable(name, one_line=True)}"] = header_value(name, value)
    return {name: readable(text) for name, text in facts.items() if text}


@dataclass(slots=True)
class Counts:
    """Letters by reason and stage."""

    letters: Counter[tuple[str, str]] = field(default_factory=Counter)
    replayed: Counter[tuple[str, str]] = field(default_factory=Counter)
    last_ms: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, letter: Letter, *, replayed: bool) -> None:
        """Count one."""
        kind = (str(letter.letter.reason), letter.letter.stage)
        self.letters[kind] += 1
        self.replayed[kind] += replayed
        self.last_ms[kind] = max(self.last_ms.get(kind, 0), letter.at_ms)

    def objects(self) -> Iterable[dict[str, Any]]:
        """One object a reason and stage, the most frequent first."""
        for kind, count in sorted(self.letters.items(), key=lambda each: (-each[1], each[0])):
            reason, stage = kind
            last = written(self.last_ms[kind])
            yield {"reason": reason, "stage": stage, "letters": count, "replayed": self.replayed[kind], "last": last}

    def table(self) -> Table:
        """The same as a table, with the sum."""
        table = Table("reason", "stage", **_LAYOUT)
        for name in ("letters", "replayed"):
            table.add_column(name, justify="right")
        table.add_column("last")
        for each in self.objects():
            table.add_row(*map(str, each.values()))
        table.add_row("all", "", str(self.letters.total()), str(self.replayed.total()), "", style="bold")
        return table
