"""Results on their way back: one reader of the results topic shared by every question that waits for its answer."""

import asyncio
import contextlib
import logging
from typing import Any

from config.errors import CrosscurrentError, Misconfigured, RejectEvent
from config.settings import KafkaSettings
from workers.contracts.parse import parse_event
from workers.contracts.result import RESULTS, Result
from workers.operate.connections import broker_errors
from workers.streams.security import client_options

log = logging.getLogger(__name__)

_POLL_MS = 250
# A broker may look for new records only when this wait is over (the embedded one does): 50 ms shows an answer
# 5 ms after it was written, the default of 500 ms 215 ms after.
_FETCH_WAIT_MS = 50
_PAUSE_AFTER_TROUBLE_S = 0.5


class ResultListener:
    """Reads a topic's new records and hands each waiting question its result.

    It takes all partitions by itself and joins no consumer group: joining costs seconds, and every client must see
    every result. It stands at the end of the topic before the first question is sent, so no answer can be missed.

    Args:
        settings: Where the broker is.
        topic: Full name of the topic with the results.
    """

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._settings = settings
        self.topic = topic
        self._waiting: dict[str, asyncio.Future[Result]] = {}
        self._consumer: Any = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect and stand at the end of every partition.

        Raises:
            Misconfigured: The broker cannot be reached, or has no such topic.
        """
        from aiokafka import AIOKafkaConsumer, TopicPartition

        from workers.streams.broker_rights import see_topic

        self._consumer = AIOKafkaConsumer(
            group_id=None, enable_auto_commit=False, fetch_max_wait_ms=_FETCH_WAIT_MS, **client_options(self._settings)
        )
        async with broker_errors(self._settings):
            await self._consumer.start()
            topics = await self._consumer.topics()
            if self.topic not in topics:
                await see_topic(self._consumer._client, self._settings, self.topic)  # noqa: SLF001 - no public way
                raise Misconfigured(f"there is no topic {self.topic}: create it with 'crosscurrent topics create'")
            partitions = self._consumer.partitions_for_topic(self.topic) or await self._fetch_partitions()
            assigned = [TopicPartition(self.topic, partition) for partition in sorted(partitions)]
            self._consumer.assign(assigned)
            await self._consumer.seek_to_end(*assigned)
            for partition in assigned:
                await self._consumer.position(partition)
        self._reading = asyncio.create_task(self._read())

    async def _fetch_partitions(self) -> set[int]:
        """Ask for the topic's own metadata: without a subscription the client has not."""
        await self._consumer._client.set_topics([self.topic])  # noqa: SLF001 - aiokafka offers no public way
        partitions: set[int] = self._consumer.partitions_for_topic(self.topic) or set()
        return partitions

    async def stop(self) -> None:
        """Stop reading; questions still waiting are cancelled."""
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        for future in self._waiting.values():
            future.cancel()
        if self._consumer is not None:
            await self._consumer.stop()

    def expect(self, query_id: str) -> asyncio.Future[Result]:
        """The result of a question that is about to be sent.

        Raises:
            CrosscurrentError: A question with this id is waiting already.
        """
        if query_id in self._waiting:
            msg = f"a query {query_id!r} is waiting for its result already: give each query an id of its own"
            raise CrosscurrentError(msg)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting[query_id] = future
        future.add_done_callback(lambda _: self._waiting.pop(query_id, None))
        return future

    async def _read(self) -> None:
        from aiokafka.errors import KafkaError

        while True:
            try:
                batches = await self._consumer.getmany(timeout_ms=_POLL_MS)
            except KafkaError as exc:
                log.warning("reading %s: %s; trying again", self.topic, exc)
                await asyncio.sleep(_PAUSE_AFTER_TROUBLE_S)
                continue
            for records in batches.values():
                for record in records:
                    self._deliver(record.key, record.value)

    def _deliver(self, key: bytes | None, value: bytes | None) -> None:
        """Hand a record to the question that waits for it; records of other clients' questions are not even parsed."""
        future = self._waiting.get((key or b"").decode(errors="replace"))
        if future is None or future.done():
            return
        try:
            future.set_result(parse_event(value, RESULTS))
        except RejectEvent as exc:
            future.set_exception(CrosscurrentError(f"the result on {self.topic} cannot be read: {exc}"))
