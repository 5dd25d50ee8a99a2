"""Reads a topic from its beginning, in no consumer group: for whoever needs all that was ever said of a key."""

import asyncio
from collections.abc import Collection
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from config.errors import RetryLater
from config.settings import KafkaSettings
from workers.streams.security import aiokafka_security

# The embedded broker answers an empty fetch only when this wait is over.
_FETCH_WAIT_MS: Final = 100
_POLL_MS: Final = 500
_PATIENCE_S: Final = 30.0


class TopicReader:
    """A consumer that stands at the beginning of a topic; use it as an asynchronous context manager.

    Args:
        topic: Full name of the topic.
        only: Read this partition alone, modulo the topic's partitions; all when None.

    Raises:
        RetryLater: From every method: the broker is away, or has no such topic.
    """

    def __init__(self, settings: KafkaSettings, topic: str, *, only: int | None = None) -> None:
        self._settings = settings
        self._topic = topic
        self._only = only
        self._consumer: Any = None
        self._assigned: list[TopicPartition] = []

    async def __aenter__(self) -> Self:
        servers = [server.strip() for server in self._settings.bootstrap_servers.split(",")]
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=servers,
            group_id=None,
            enable_auto_commit=False,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            **aiokafka_security(self._settings),
        )
        try:
            await self._stand_at_the_beginning()
        except (KafkaError, OSError) as exc:
            await self._consumer.stop()
            raise RetryLater(f"{self._topic} cannot be read ({exc!r})") from exc
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def _stand_at_the_beginning(self) -> None:
        await self._consumer.start()
        if self._topic not in await self._consumer.topics():
            raise RetryLater(f"there is no topic {self._topic}: create it with `crosscurrent topics create`")
        await self._consumer._client.set_topics([self._topic])  # noqa: SLF001 - without it the partitions are unknown
        known: Collection[int] = self._consumer.partitions_for_topic(self._topic) or {0}
        wanted = known if self._only is None else {self._only % len(known)}
        self._assigned = [TopicPartition(self._topic, partition) for partition in sorted(wanted)]
        self._consumer.assign(self._assigned)
        await self._consumer.seek_to_beginning(*self._assigned)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def to_the_end(self) -> list[bytes]:
        """The values of all records that are there now, partition by partition in order."""
        found: list[bytes] = []
        try:
            async with asyncio.timeout(_PATIENCE_S):
                ends = await self._consumer.end_offsets(self._assigned)
                while await self._behind(ends):
                    found += await self._poll()
        except (KafkaError, TimeoutError) as exc:
            raise RetryLater(f"{self._topic} cannot be read to its end ({exc!r})") from exc
        return found

    async def more(self) -> list[bytes]:
        """The values of records that came since; waits up to half a second for the first."""
        try:
            return await self._poll()
        except KafkaError as exc:
            raise RetryLater(f"{self._topic} cannot be read on ({exc!r})") from exc

    async def _behind(self, ends: dict[TopicPartition, int]) -> bool:
        for partition, end in ends.items():
            if await self._consumer.position(partition) < end:
                return True
        return False

    async def _poll(self) -> list[bytes]:
        batches = await self._consumer.getmany(timeout_ms=_POLL_MS)
        return [record.value for records in batches.values() for record in records if record.value is not None]
