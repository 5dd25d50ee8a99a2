"""Dead letters sent again: what a replayed event carries with it, and the marks that say what was replayed.

The marks lie on the compacted ``replays`` topic, keyed by the dead letter's place, so that every machine knows them.
"""

import re
from enum import StrEnum
from typing import Final, Self

from pydantic import Field, TypeAdapter

from workers.contracts.base import Event, Wire

REPLAY_HEADER: Final = "crosscurrent-replay"
"""Header of a replayed record: a ``Replayed`` as JSON."""

_LARGEST_OFFSET: Final = 2**53  # Redis' scripts count in 64-bit floats


class Origin(Wire):
    """Where a record was read."""

    topic: str
    """Topic."""
    partition: int = Field(ge=0)
    """Partition."""
    offset: int = Field(ge=0, le=_LARGEST_OFFSET)
    """Offset."""
    timestamp_ms: int
    """The record's own timestamp, in milliseconds since 1970."""


class LetterPlace(Wire):
    """A dead letter's place on its topic: how people and marks name it."""

    partition: int = Field(ge=0)
    """Partition."""
    offset: int = Field(ge=0)
    """Offset."""

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``partition:offset``.

        Raises:
            ValueError: It is none.
        """
        if not (found := re.fullmatch(r"(\d{1,9}):(\d{1,18})", text)):
            msg = f"{text!r} is no place of a dead letter: give partition:offset, such as 2:17"
            raise ValueError(msg)
        return cls(partition=int(found[1]), offset=int(found[2]))


class Replayed(Wire):
    """What a replayed event carries: whose replay it is, and where it was first read, which is what its age goes by."""

    letter: LetterPlace
    """The dead letter that was replayed."""
    first: LetterPlace
    """The event's first dead letter; the same unless it was refused again since."""
    origin: Origin
    """Where the event was first read."""
    attempts: int = Field(ge=1)
    """How often it was refused before."""

    def to_header(self) -> bytes:
        """The header's bytes."""
        return self.model_dump_json().encode()


class ReplayState(StrEnum):
    """How far the replay of a letter is known to be."""

    CLAIMED = "claimed"
    """It is about to be sent; whoever finds only this looks at the origin topic from ``from_offset`` on."""
    SENT = "sent"
    """The broker confirmed it."""


class ReplayMark(Event):
    """What is known of one dead letter's replay. ``occurred_at`` is when it was learnt; the key is the place."""

    letter: LetterPlace
    """The dead letter."""
    origin: Origin
    """Where the letter's record was read and where it is sent again: tells letters of a topic made anew apart."""
    state: ReplayState
    """How far it is."""
    from_offset: int = Field(ge=0)
    """Where the origin's partition ended before the event was sent again."""
    times: int = Field(1, ge=1)
    """How often the letter was sent again, this time included."""

    @property
    def times_sent(self) -> int:
        """How often it is known to have been sent again."""
        return self.times if self.state is ReplayState.SENT else self.times - 1


REPLAYED: TypeAdapter[Replayed] = TypeAdapter(Replayed)
"""Reads the header."""

REPLAY_MARKS: TypeAdapter[ReplayMark] = TypeAdapter(ReplayMark)
"""Reads a record of the replays topic."""
