"""The seam between plain handlers and delivery: records in, one outcome a record out, sends through a publisher."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from config.errors import Reason, RejectEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One Kafka record, as bytes, with where it came from.

    Args:
        value: The event's bytes; None for a compaction tombstone.
        timestamp_ms: The broker's or producer's time of the record.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The record's effects are all in place.

    Args:
        label: What happened, from the closed set of ``events_total{outcome}``: ``done``, ``stale``, ``duplicate``
            or ``error_result``.
    """

    label: str = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The record can never be served: it belongs on the dead-letter topic.

    Args:
        stage: Where it was refused: ``parse``, ``fetch``, ``decode``, ``encode``, ``write`` or ``handle``.
        message: What is wrong and the way out; no secrets.
    """

    reason: Reason
    stage: str
    message: str
    field: str = ""

    @classmethod
    def of(cls, error: RejectEvent, stage: str) -> "Refused":
        """Turn the exception into the value that travels."""
        return cls(reason=error.reason, stage=stage, message=error.message, field=error.field)


Outcome = Done | Refused


class Handler(Protocol):
    """A worker's work, free of Kafka: called with records of one or several partitions, each in offset order.

    Returns one outcome a record, in order. Raises ``RetryLater`` when the whole batch should be tried again after a
    pause: every effect must be repeatable, because part of the batch may have taken effect. Any other exception is a
    defect: delivery tries the records one by one and dead-letters the one that raises (``Reason.INTERNAL``).
    """

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Do the work of these records."""
        ...


class Publisher(Protocol):
    """Sends to Kafka. ``send`` returns once the broker has confirmed, and raises ``RetryLater`` when it cannot."""

    async def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Mapping[str, bytes] | None = None,
        partition: int | None = None,
    ) -> None:
        """Send one record and wait for the confirmation of all in-sync replicas.

        Args:
            topic: Full name of the topic.
            key: What decides the partition where none is named, and which records replace which.
            value: The record's bytes; None removes the key from a compacted topic.
            headers: Beside the value.
            partition: Where it goes, modulo the topic's partitions; by its key when None.
        """
        ...

    async def answers(self) -> bool:
        """Whether a broker answers at all, whatever it says to records."""
        ...


class Ledger(Protocol):
    """What a handler keeps in memory of the records it has handled, and must have on Kafka before they are committed.

    So a crash loses nothing of it: what was not sent comes again.
    """

    async def flush(self) -> None:
        """Send whatever changed since the last time; raises ``RetryLater`` when it was not confirmed."""
        ...

    def forget(self) -> None:
        """Drop everything: the partitions are given away, and their next owner goes on from what was sent."""
        ...


class NoLedger:
    """Of a handler that keeps nothing in memory."""

    async def flush(self) -> None:
        """Nothing to send."""

    def forget(self) -> None:
        """Nothing to drop."""
