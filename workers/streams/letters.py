"""Dead letters as they are sent: whole, or as much of the refused record as the topic admits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from config.errors import RejectEvent
from config.vocabulary import Role
from workers.contracts.dead_letter import Stage, dead_letter
from workers.contracts.replays import REPLAY_HEADER, Origin, Replayed
from workers.streams.records import Record, Refused
from workers.streams.timing import replayed_of

_CUT: Final = " (the event is too large to be repeated here whole: read it at the origin)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A dead letter's key and bytes."""

    key: bytes | None
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What a dead letter repeats of its record."""

    key: bytes | None
    value: bytes | None = None
    headers: Mapping[str, bytes] = field(default_factory=dict)


def letters_of(role: Role, record: Record, refused: Refused) -> Iterator[Written]:
    """Ways to write the letter of a refused record, the fullest first.

    The first repeats the record; the second leaves out what may be megabytes; the third leaves out the key too, because
    nobody made a rule of how long a key is.
    """
    headers = {name: value for name, value in record.headers.items() if name != REPLAY_HEADER}
    yield _written(role, record, refused, _Kept(key=record.key, value=record.value, headers=headers), cut=False)
    yield _written(role, record, refused, _Kept(key=record.key), note=_CUT, cut=True)
    yield _written(role, record, refused, _Kept(key=None), note=_CUT, cut=True)


def facts_of(role: Role, record: Record, refused: Refused) -> str:
    """The letter without anything of its record, for the log."""
    return _written(role, record, refused, _Kept(key=None), cut=True).value.decode()


def _written(role: Role, record: Record, refused: Refused, kept: _Kept, *, cut: bool, note: str = "") -> Written:
    letter = dead_letter(
        role=role,
        reason=refused.reason,
        stage=cast("Stage", refused.stage),
        message=refused.message + note,
        field=refused.field,
        origin=Origin(
            topic=record.topic, partition=record.partition, offset=record.offset, timestamp_ms=record.timestamp_ms
        ),
        key=kept.key,
        value=kept.value,
        headers=kept.headers,
        replayed=_replayed_of(record),
        cut=cut,
    )
    return Written(key=kept.key, value=letter.to_bytes())


def _replayed_of(record: Record) -> Replayed | None:
    """Whose replay the record was; None where the header cannot be read, which is what the event was refused for."""
    try:
        return replayed_of(record)
    except RejectEvent:
        return None
