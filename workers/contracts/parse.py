"""From a record's bytes to an event, or to one refusal that names every problem with its path."""

import json
import re
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from config.errors import Reason, RejectEvent
from workers.contracts.base import SCHEMA_VERSION

E = TypeVar("E")

_MOST_PROBLEMS = 8
_MOST_CHARS = 300
_EVENT_TYPES = frozenset({"content.upsert", "content.delete", "interaction", "user.forget"})
# Sentences for what senders get wrong most; pydantic's own message serves for the rest.
_PLAIN = {
    "extra_forbidden": "unknown field; remove it or correct its name",
    "missing": "required, but absent",
    "timezone_aware": "needs a time zone, such as 2026-05-01T12:00:00Z",
}
_PLAIN_PATTERN = {
    r"\S": "needs at least one visible character",
    r"^[^\x00-\x1f\x7f]+$": "may hold no control characters",
    r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$": "must be an absolute address such as https://host/path",
}


def parse_event(value: bytes | None, adapter: TypeAdapter[E], *, max_bytes: int | None = None) -> E:
    """Read an event.

    Args:
        value: The record's bytes.
        adapter: What is expected, such as ``CONTENT_EVENTS``.
        max_bytes: Largest event accepted; the broker's own limit alone when None.

    Raises:
        RejectEvent: With every problem in one message, each with its path; the input itself is not repeated.
    """
    if value is None:
        raise RejectEvent(Reason.INVALID_EVENT, "the record has no value; to remove something, send a delete event")
    if max_bytes is not None and len(value) > max_bytes:
        raise RejectEvent(
            Reason.EVENT_TOO_LARGE,
            f"the event has {len(value)} bytes and {max_bytes} are allowed (kafka.max_event_bytes); "
            "send large media by 'uri' instead of 'data'",
        )
    text = _decoded(value)
    try:
        return adapter.validate_json(text)
    except ValidationError as exc:
        raise _refusal(exc.errors(include_input=False, include_url=False), text) from None


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise RejectEvent(Reason.NOT_UTF8, f"not UTF-8 (at byte {exc.start}); events are JSON in UTF-8") from None


def _refusal(problems: list[ErrorDetails], text: str) -> RejectEvent:
    if problems[0]["type"] == "json_invalid":
        return RejectEvent(Reason.NOT_JSON, _short(problems[0]["msg"]) + "; events are one JSON object")
    # An event of a later contract has other surprises too; naming its version alone says what to do.
    if any(path_of(problem["loc"]) == "schema_version" for problem in problems) and _is_whole(text):
        return RejectEvent(
            Reason.UNSUPPORTED_SCHEMA_VERSION,
            f"this worker reads version {SCHEMA_VERSION}; upgrade the worker or send that version",
            field="schema_version",
        )
    if len(problems) == 1:
        return RejectEvent(Reason.INVALID_EVENT, _sentence(problems[0]), field=path_of(problems[0]["loc"]))
    told = [f"{path_of(problem['loc']) or 'event'}: {_sentence(problem)}" for problem in problems[:_MOST_PROBLEMS]]
    if more := len(problems) - len(told):
        told.append(f"and {more} more")
    return RejectEvent(Reason.INVALID_EVENT, "; ".join(told), field=path_of(problems[0]["loc"]))


def _is_whole(text: str) -> bool:
    """Whether ``schema_version`` is a number at all: anything else is a wrong type, not another contract."""
    version = json.loads(text).get("schema_version")
    return isinstance(version, int) and not isinstance(version, bool)


def path_of(loc: tuple[int | str, ...]) -> str:
    """Write pydantic's location as ``parts[0].uri``, without the tags of its unions."""
    path = ""
    for place, step in enumerate(loc):
        if isinstance(step, int):
            path += f"[{step}]"
        elif not _is_tag(loc, place):
            path += f".{_short(step)}" if path else _short(step)
    return path


def _is_tag(loc: tuple[int | str, ...], place: int) -> bool:
    return (place == 0 and loc[0] in _EVENT_TYPES) or (place == 2 and loc[0] == "parts")


def _sentence(problem: ErrorDetails) -> str:
    context = problem.get("ctx", {})
    match problem["type"]:
        case "string_pattern_mismatch" if context["pattern"] in _PLAIN_PATTERN:
            return _PLAIN_PATTERN[context["pattern"]]
        case "union_tag_not_found":
            return f"needs a field {context['discriminator']} that says what it is"
        case "union_tag_invalid":
            known = re.findall(r"'([^']+)'", context["expected_tags"])
            return f"no such {context['discriminator'].strip(chr(39))}; one of {', '.join(known)}"
    return _PLAIN.get(problem["type"]) or _short(problem["msg"].removeprefix("Value error, "))


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARS else text[:_MOST_CHARS] + "…"


def salvage(value: bytes | None, *names: str) -> dict[str, Any]:
    """Read what can be read of a refused event's top level, so that its sender can still be told.

    Args:
        value: The record's bytes.
        names: Fields wanted; those absent, or not a string, are left out.
    """
    try:
        event = json.loads(value or b"")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(event, dict):
        return {}
    return {name: event[name] for name in names if isinstance(event.get(name), str)}
