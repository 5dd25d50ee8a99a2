"""Dead letters: an event that can never be served, why, where it came from, and its own bytes. The key is its key."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field, TypeAdapter

from config.errors import Reason
from config.vocabulary import Role
from workers.contracts.base import Event
from workers.contracts.replays import Origin, Replayed

Stage = Literal["parse", "fetch", "decode", "encode", "write", "handle"]


class DeadLetter(Event):
    """A refused event. ``occurred_at`` is when it was refused."""

    role: Role
    """The worker that refused it."""
    reason: Reason
    """Why, from a closed set."""
    stage: Stage
    """Where in the work it was refused."""
    message: str
    """What is wrong and the way out."""
    field: str = ""
    """Path of the offending field in the event, such as ``modalities.image.uri``; empty if none."""
    origin: Origin
    """Where the record was read, so that it can be found again."""
    attempts: int = Field(1, ge=1)
    """How often the event was refused by now: more than once when it was replayed in vain."""
    replayed: Replayed | None = None
    """Which dead letter it was replayed from, and its first one; absent for an event that was not replayed."""
    key: str | None = None
    """The record's key as base64; absent if it had none."""
    value: str | None = None
    """The record's original bytes as base64; absent for a record without value."""
    headers: dict[str, str] = Field(default_factory=dict)
    """The record's headers by name, each as base64."""
    cut: bool = False
    """The topic admits no letter of this size: key, value and headers may be absent here and are read at the origin."""

    def original_key(self) -> bytes | None:
        """The record's key, byte for byte."""
        return None if self.key is None else base64.b64decode(self.key)

    def original_value(self) -> bytes | None:
        """The record's value, byte for byte."""
        return None if self.value is None else base64.b64decode(self.value)

    def original_headers(self) -> dict[str, bytes]:
        """The record's headers, byte for byte."""
        return {name: base64.b64decode(value) for name, value in self.headers.items()}


def dead_letter(
    *,
    role: Role,
    reason: Reason,
    stage: Stage,
    message: str,
    field: str,
    origin: Origin,
    key: bytes | None,
    value: bytes | None,
    headers: Mapping[str, bytes],
    replayed: Replayed | None = None,
    cut: bool = False,
) -> DeadLetter:
    """Write the dead letter of a record that is refused now."""
    return DeadLetter(
        occurred_at=datetime.now(UTC),
        role=role,
        reason=reason,
        stage=stage,
        message=message,
        field=field,
        origin=origin,
        attempts=1 if replayed is None else replayed.attempts + 1,
        replayed=replayed,
        key=None if key is None else _packed(key),
        value=None if value is None else _packed(value),
        headers={name: _packed(each) for name, each in headers.items()},
        cut=cut,
    )


def _packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


DEAD_LETTERS: TypeAdapter[DeadLetter] = TypeAdapter(DeadLetter)
"""Reads a record of the dead-letters topic."""
