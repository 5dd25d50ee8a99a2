"""Event time and clock time, in one place."""

import time

from config.errors import Reason, RejectEvent
from workers.contracts.base import Event
from workers.streams.records import Record

# A clock that is wrong by minutes is common and harmless; an event from next year would shadow every later one.
_FURTHEST_AHEAD_MS = 86_400_000


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def event_time_ms(event: Event, record: Record) -> int:
    """When the event happened, in milliseconds since 1970; the record's timestamp where the sender did not say.

    Raises:
        RejectEvent: If it lies more than a day ahead of this machine's clock.
    """
    happened = event.occurred_at_ms(record.timestamp_ms)
    if happened > now_ms() + _FURTHEST_AHEAD_MS:
        message = "more than a day in the future: later events of the same key would count as older; correct the clock"
        raise RejectEvent(Reason.INVALID_EVENT, message, field="occurred_at")
    return happened


def check_key(record: Record, expected: str, field: str) -> None:
    """See that the record's key fits its event: the key decides the partition, and so the order.

    A record without a key is accepted; between its events only ``occurred_at`` decides which is newer.

    Raises:
        RejectEvent: If there is a key and it is another.
    """
    if record.key is not None and record.key != expected.encode():
        message = f"the record's key must equal '{field}' or be absent, so that events of one {field} keep their order"
        raise RejectEvent(Reason.INVALID_EVENT, message, field=field)
