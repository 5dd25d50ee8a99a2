"""Event time and clock time, in one place: also of events that were refused once and replayed later.

A replayed record is new and its event is old. Were the event as new as its record, it would beat what came between: a
later upsert of the same item, a deletion, a user's wish to be forgotten. So its header says where it was first read,
and it keeps the time and the offset that it had there, though never later ones than its record has itself: whoever
makes such a header up can only make an event older.
"""

import time

from config.errors import Reason, RejectEvent
from config.vocabulary import Version
from workers.contracts.base import Event
from workers.contracts.parse import parse_event
from workers.contracts.replays import REPLAY_HEADER, REPLAYED, Replayed
from workers.streams.records import Record

# A clock that is wrong by minutes is common and harmless; an event from next year would shadow every later one.
_FURTHEST_AHEAD_MS = 86_400_000


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def event_time_ms(event: Event, record: Record) -> int:
    """When the event happened, in milliseconds since 1970; the record's timestamp where the sender did not say.

    Raises:
        RejectEvent: If it lies more than a day ahead of this machine's clock, or the header of a replay is none.
    """
    replayed = replayed_of(record)
    written_ms = record.timestamp_ms if replayed is None else min(record.timestamp_ms, replayed.origin.timestamp_ms)
    happened = event.occurred_at_ms(written_ms)
    if happened > now_ms() + _FURTHEST_AHEAD_MS:
        message = "more than a day in the future: later events of the same key would count as older; correct the clock"
        raise RejectEvent(Reason.INVALID_EVENT, message, field="occurred_at")
    return happened


def version_of(event: Event, record: Record) -> Version:
    """Which of an item's events is the newer: by event time, then by offset.

    Raises:
        RejectEvent: As ``event_time_ms``.
    """
    replayed = replayed_of(record)
    offset = record.offset if replayed is None else min(record.offset, replayed.origin.offset)
    return Version(event_time_ms(event, record), offset)


def replayed_of(record: Record) -> Replayed | None:
    """Whose replay a record is; None for a record that is none.

    Raises:
        RejectEvent: The header cannot be read.
    """
    header = record.headers.get(REPLAY_HEADER)
    if header is None:
        return None
    try:
        return parse_event(header, REPLAYED)
    except RejectEvent as exc:
        message = f"the record's header is none of a replay ({exc}); send the event without it"
        raise RejectEvent(Reason.INVALID_EVENT, message, field=f"headers.{REPLAY_HEADER}") from exc


def check_key(record: Record, expected: str, field: str) -> None:
    """See that the record's key fits its event: the key decides the partition, and so the order.

    A record without a key is accepted; between its events only ``occurred_at`` decides which is newer.

    Raises:
        RejectEvent: If there is a key and it is another.
    """
    if record.key is not None and record.key != expected.encode():
        message = f"the record's key must equal '{field}' or be absent, so that events of one {field} keep their order"
        raise RejectEvent(Reason.INVALID_EVENT, message, field=field)
