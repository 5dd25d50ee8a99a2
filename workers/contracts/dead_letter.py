"""Dead letters: an event that can never be served, why, where it came from, and its own bytes. The key is its key."""

import base64
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field, TypeAdapter

from config.errors import Reason
from config.vocabulary import Role
from workers.contracts.base import Event, Wire

Stage = Literal["parse", "fetch", "decode", "encode", "write", "handle"]


class Origin(Wire):
    """Where the refused record was read."""

    topic: str
    """Topic."""
    partition: int = Field(ge=0)
    """Partition."""
    offset: int = Field(ge=0)
    """Offset."""
    timestamp_ms: int
    """The record's own timestamp, in milliseconds since 1970."""


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
    """How often it was tried."""
    key: str | None = None
    """The record's key as base64; absent if it had none."""
    value: str | None = None
    """The record's original bytes as base64; absent for a record without value."""

    def original_key(self) -> bytes | None:
        """The record's key, byte for byte."""
        return None if self.key is None else base64.b64decode(self.key)

    def original_value(self) -> bytes | None:
        """The record's value, byte for byte."""
        return None if self.value is None else base64.b64decode(self.value)


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
    attempts: int = 1,
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
        attempts=attempts,
        key=None if key is None else base64.b64encode(key).decode(),
        value=None if value is None else base64.b64encode(value).decode(),
    )


DEAD_LETTERS: TypeAdapter[DeadLetter] = TypeAdapter(DeadLetter)
"""Reads a record of the dead-letters topic."""
