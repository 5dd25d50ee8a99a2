"""Sends to Kafka: aiokafka's idempotent producer, every send confirmed by all in-sync replicas."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    RecordTooLargeError,
    UnknownError,
    UnknownTopicOrPartitionError,
)

from config.errors import Misconfigured, Reason, RejectEvent, RetryLater
from config.settings import DeliverySettings, KafkaSettings
from workers.streams.broker_probe import probe
from workers.streams.broker_rights import refused_right
from workers.streams.security import aiokafka_security

log = logging.getLogger(__name__)

# A dead letter wraps the original bytes in base64: the topic admits twice an event (contracts/topics.py).
_WRAPPING_FACTOR = 2
# aiokafka retries inside this, and an idempotent producer would go on for ever: past it the trouble is shown.
_SEND_TIMEOUT_S = 20.0
_REQUEST_TIMEOUT_MS = 10_000
_CLOSE_TIMEOUT_S = 5.0
_ANSWER_TIMEOUT_S = 5.0
# The part of a send's time that is kept for asking a broker which confirms nothing why.
_EXPLAINING = 0.25


def send_timeout_s(delivery: DeliverySettings) -> float:
    """How long a worker waits for a confirmation, in seconds.

    A handler has half of the watchdog's patience before its event counts as one that hangs, and may send twice in it: a
    broker that is away must be told as trouble before that, never become a dead letter.
    """
    return min(_SEND_TIMEOUT_S, delivery.stall_after_s / 4)


class KafkaPublisher:
    """One producer of one worker; sends made together travel together.

    An idempotent producer that met an error it cannot recover from (a sequence the broker no longer knows) refuses
    every later send, so such a producer is closed and the next send starts a fresh one.

    Args:
        settings: Where the broker is.
        client_id: Name the broker logs.
        send_timeout_s: Longest wait for a confirmation.
    """

    def __init__(self, settings: KafkaSettings, *, client_id: str, send_timeout_s: float = _SEND_TIMEOUT_S) -> None:
        self._settings = settings
        self._client_id = client_id
        self._send_timeout_s = send_timeout_s
        self._producer: AIOKafkaProducer | None = None
        self._idempotent = True
        self._starting = asyncio.Lock()
        self._was_taken = False

    async def start(self) -> None:
        """Connect.

        Raises:
            RetryLater: The broker does not answer; or refuses us, after it took us before.
            Misconfigured: It refuses who we are or how we speak, by our settings; or there is no certificate file.
        """
        await self._ask_to_be_taken()
        await self._ready_producer()

    async def _ask_to_be_taken(self) -> None:
        """See that the broker takes us, or say why it does not.

        Settings that it took once are right: a user or certificate that is refused later is being changed at the
        broker, or by whoever will start us anew with other settings. So it is waited for, and at the start it ends us.
        """
        try:
            await probe(self._settings)
        except Misconfigured as exc:
            if not self._was_taken:
                raise
            raise RetryLater(str(exc)) from exc
        self._was_taken = True

    async def _why(self) -> str:
        """What the broker says to a new connection, behind a colon; empty when that is well, or takes too long."""
        try:
            async with asyncio.timeout(self._send_timeout_s * _EXPLAINING):
                await probe(self._settings)
        except (Misconfigured, RetryLater) as exc:
            return f": {exc}"
        except TimeoutError:
            return ": it does not answer"
        return ""

    async def stop(self) -> None:
        """Confirm what is in flight and disconnect; harmless when not started."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _close(producer)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

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

        Raises:
            RetryLater: Not confirmed; it may or may not have arrived, and sending it again is safe.
            RejectEvent: ``EVENT_TOO_LARGE``: the broker or the topic admits no record of this size, ever.
        """
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(self._send_timeout_s * (1 - _EXPLAINING)):
                producer = await self._ready_producer()
                if partition is not None:
                    partition %= len(await producer.partitions_for(topic))
                record = {"value": value, "key": key, "headers": list((headers or {}).items())}
                await producer.send_and_wait(topic, **record, partition=partition)
        except (MessageSizeTooLargeError, RecordTooLargeError) as exc:
            size = len(value or b"")
            msg = f"a record of {size} bytes is more than {topic} admits: raise kafka.max_event_bytes and the topic's"
            raise RejectEvent(Reason.EVENT_TOO_LARGE, f"{msg} max.message.bytes") from exc
        except UnknownTopicOrPartitionError as exc:
            msg = f"topic {topic} does not exist: create it with `crosscurrent topics create`"
            raise RetryLater(msg, retry_after_s=1.0) from exc
        except TimeoutError as exc:
            raise RetryLater(f"{topic}: no confirmation in time{await self._why()}") from exc
        except KafkaError as exc:
            await self._discard_if_broken(producer, exc)
            refused = refused_right(exc, self._settings, topic=topic)
            raise RetryLater(refused or f"{topic}: the broker did not confirm ({exc!r})") from exc

    async def missing(self, topics: Collection[str]) -> list[str]:
        """Which of these topics the broker does not have, sorted; asking creates none.

        Raises:
            RetryLater: The broker does not answer.
        """
        producer = await self._ready_producer()
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                cluster = await producer.client.fetch_all_metadata()
        except (KafkaError, TimeoutError) as exc:
            raise RetryLater(f"the broker does not list its topics ({exc!r})") from exc
        return sorted(set(topics) - set(cluster.topics()))

    async def answers(self) -> bool:
        """Whether a broker answers at all, whatever it says to records."""
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                await self.missing(())
        except (RetryLater, TimeoutError):
            return False
        return True

    async def _ready_producer(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                self._producer = await self._started()
            return self._producer

    async def _started(self) -> AIOKafkaProducer:
        try:
            return await self._started_with(idempotent=self._idempotent)
        except UnknownError as exc:
            if not self._idempotent:
                raise RetryLater(f"the broker refuses a producer ({exc!r})") from exc
        # The embedded broker answers so. Every effect is keyed and repeatable, so a doubled record changes nothing.
        log.warning("this broker knows no idempotent producers: a send repeated after a lost reply may arrive twice")
        self._idempotent = False
        return await self._started_with(idempotent=False)

    async def _started_with(self, *, idempotent: bool) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(**self._words(), enable_idempotence=idempotent)
        try:
            await producer.start()
        except (UnknownError, asyncio.CancelledError):
            await _close(producer)
            raise
        except (KafkaError, OSError) as exc:
            await _close(producer)
            await self._ask_to_be_taken()
            refused = refused_right(exc, self._settings)
            raise RetryLater(refused or f"no broker at {self._settings.bootstrap_servers} ({exc!r})") from exc
        return producer

    def _words(self) -> dict[str, Any]:
        return {
            "bootstrap_servers": self._settings.bootstrap_servers,
            "client_id": self._client_id,
            "acks": "all",
            "max_request_size": self._settings.max_event_bytes * _WRAPPING_FACTOR,
            "request_timeout_ms": _REQUEST_TIMEOUT_MS,
        } | aiokafka_security(self._settings)

    async def _discard_if_broken(self, producer: AIOKafkaProducer | None, error: KafkaError) -> None:
        if producer is None or error.retriable or self._producer is not producer:
            return
        log.warning("the producer met %r and is replaced", error)
        self._producer = None
        await _close(producer)


async def _close(producer: AIOKafkaProducer) -> None:
    """Flush and disconnect; a broker that is away must not keep us from ending."""
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await producer.stop()
    except (TimeoutError, KafkaError) as exc:
        log.warning("the producer did not close in good order (%r)", exc)
