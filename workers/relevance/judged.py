"""Judged queries: what was asked, and what each item is worth as an answer. One JSON object a line.

``{"query": {"parts": [{"modality": "text", "text": "cat"}]}, "relevant": {"photo-17": 3, "photo-4": 1}}``: a query
event, of which ``query_id`` and ``kind`` may be left out, and gains by item; a list of item ids gives each the gain 1.
A ``group`` names what is averaged apart.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, TypeAdapter

from config.errors import Misconfigured, RejectEvent
from config.vocabulary import ItemId, QueryKind
from workers.contracts.base import Wire, WireItemId
from workers.contracts.parse import parse_event
from workers.contracts.query import Query

MOST_TOLD: Final = 20

Gain = Annotated[float, Field(gt=0, le=1_000_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A query and what should be found."""

    query: Query
    gains: Mapping[ItemId, float]
    group: str


class _Line(Wire):
    query: Query
    relevant: Annotated[dict[WireItemId, Gain], Field(min_length=1)]
    group: str = ""


_LINES: TypeAdapter[_Line] = TypeAdapter(_Line)


def read_judged(file: Path) -> list[Judged]:
    """Read a file of judged queries; empty lines are passed over.

    Raises:
        Misconfigured: With every line that is none, by its number: a measure of some of the queries would look like
            one of all.
    """
    found: list[Judged] = []
    problems: list[str] = []
    for number, line in lines_of(file):
        try:
            read = parse_event(_whole(line), _LINES)
        except RejectEvent as exc:
            problems.append(f"{file} line {number}: {exc}")
            continue
        query = read.query.model_copy(update={"query_id": f"judged-{number}"})
        found.append(Judged(query=query, gains=read.relevant, group=read.group or group_of(query)))
    if problems:
        more = len(problems) - MOST_TOLD
        raise Misconfigured(*problems[:MOST_TOLD], *([f"and {more} more"] if more > 0 else []))
    if not found:
        raise Misconfigured(f"{file} holds no judged query")
    return found


def _whole(line: bytes) -> bytes:
    """Fill in what a line may leave out; what is no such line stays as it is, for the parser to tell."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(data, dict):
        return line
    relevant, query = data.get("relevant"), data.get("query")
    if isinstance(relevant, list) and all(isinstance(item, str) for item in relevant):
        data["relevant"] = dict.fromkeys(relevant, 1.0)
    if isinstance(query, dict):
        data["query"] = {"query_id": "judged", "kind": QueryKind.SEARCH.value, **query}
    return json.dumps(data, ensure_ascii=False).encode()


def group_of(query: Query) -> str:
    """What a query is made of, such as ``text + image - text``; its kind when it has no parts."""
    parts = sorted(query.parts, key=lambda part: part.weight < 0)
    words = [f"{'-' if part.weight < 0 else '+'} {part.modality}" for part in parts]
    return " ".join(words).removeprefix("+ ") or query.kind.value


def asked_alike(query: Query) -> str:
    """The same text for queries that ask the same, whoever asks and when."""
    asked = query.model_dump(mode="json", include={"kind", "item_id", "parts", "filter", "search_in", "near"})
    return json.dumps(asked, sort_keys=True, ensure_ascii=False)


def lines_of(file: Path) -> list[tuple[int, bytes]]:
    """Lines of a file with their numbers, without the empty ones.

    Raises:
        Misconfigured: It cannot be read.
    """
    try:
        data = file.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as exc:
        raise Misconfigured(f"{file} cannot be read: {exc.strerror}") from exc
    return [(number, line) for number, line in enumerate(data.splitlines(), start=1) if line.strip()]
