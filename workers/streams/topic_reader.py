"""Reads a topic from its beginning, in no consumer group: for whoever needs all that was ever said of a key."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from types import TracebackType
from typing import Final, Self

from aiokafka.errors import KafkaError

from config.errors import RetryLater
from config.settings import KafkaSettings
from workers.streams.broker_rights import refused_right
from workers.streams.open_topic import NoSuchTopic, OpenTopic, PastRecord, open_topic

_PATIENCE_S: Final = 30.0


class TopicReader:
    """The values of a topic; use it as an asynchronous context manager.

    Args:
        topic: Full name of the topic.
        only: Read this partition alone, modulo the topic's partitions; all when None.

    Raises:
        RetryLater: From every method: the broker is away, or has no such topic.
    """

    def __init__(self, settings: KafkaSettings, topic: str, *, only: int | None = None) -> None:
        self._settings = settings
        self._name = topic
        self._only = only
        self._open = AsyncExitStack()
        self._topic: OpenTopic

    async def __aenter__(self) -> Self:
        with self._trouble("cannot be read"):
            self._topic = await self._open.enter_async_context(open_topic(self._settings, self._name))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def to_the_end(self) -> list[bytes]:
        """The values of all records that are there now, partition by partition in order."""
        found: list[bytes] = []
        with self._trouble("cannot be read to its end"):
            async with asyncio.timeout(_PATIENCE_S):
                begins, ends = await self._topic.begins(), await self._topic.ends()
                known = self._topic.partitions
                wanted = known if self._only is None else [known[self._only % len(known)]]
                async for batch in self._topic.batches({each: begins[each] for each in wanted}, ends):
                    found += _values(batch)
        return found

    async def more(self) -> list[bytes]:
        """The values of records that came since; waits up to half a second for the first."""
        with self._trouble("cannot be read on"):
            return _values(await self._topic.more())

    @contextmanager
    def _trouble(self, what: str) -> Iterator[None]:
        try:
            yield
        except NoSuchTopic as exc:
            raise RetryLater(str(exc)) from exc
        except (KafkaError, OSError) as exc:  # a TimeoutError is an OSError
            refused = refused_right(exc, self._settings, "Read", self._name)
            raise RetryLater(refused or f"{self._name} {what} ({exc!r})") from exc


def _values(records: Sequence[PastRecord]) -> list[bytes]:
    return [record.value for record in records if record.value is not None]
