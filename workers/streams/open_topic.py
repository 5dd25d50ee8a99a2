"""A topic read in no consumer group: its partitions, where they begin and end, and the records between two places.

Whoever reads translates the client library's errors: for a worker they are trouble that passes, for a person at a
command something to look at.
"""

import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from config.errors import Misconfigured
from config.settings import KafkaSettings
from workers.streams.broker_rights import see_topic
from workers.streams.security import client_options

# The embedded broker answers an empty fetch only when this wait is over.
_FETCH_WAIT_MS: Final = 100
_POLL_MS: Final = 500
_END_POLLS: Final = 10
_MOST_TOGETHER: Final = 512


class NoSuchTopic(Misconfigured):
    """The broker can be reached and has no such topic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRecord:
    """One record; ``value`` is None where it erases its key, ``at_ms`` is the broker's time since 1970."""

    partition: int
    offset: int
    value: bytes | None
    at_ms: int
    key: bytes | None = None
    headers: Mapping[str, bytes] = field(default_factory=dict)


def ignore(done: int, total: int) -> None:
    """Nobody watches."""


class OpenTopic:
    """A topic and a consumer that reads it; places are offsets by partition.

    Args:
        consumer: Started, assigned nothing.
        partitions: All of the topic.

    Raises:
        KafkaError: From every method: the broker is away, or refuses.
    """

    def __init__(self, consumer: AIOKafkaConsumer, name: str, partitions: list[int]) -> None:
        self._consumer = consumer
        self._name = name
        self.partitions = partitions
        self._reading: list[TopicPartition] = []
        consumer.assign(self._places())
        consumer.pause(*self._places())

    async def begins(self) -> dict[int, int]:
        """The first place of each partition that still holds a record, or its end."""
        return _by_partition(await self._consumer.beginning_offsets(self._places()))

    async def ends(self) -> dict[int, int]:
        """The place that each partition's next record will get.

        Asked for it, the embedded broker names the one behind the first record of the last batch; what comes with a
        fetch is right. So this moves the consumer: ``batches`` and ``more`` begin anew afterwards.
        """
        places = self._places()
        begins, ends = await self._consumer.beginning_offsets(places), await self._consumer.end_offsets(places)
        unsure = {place for place in places if ends[place] > begins[place]}
        self._read({place: ends[place] - 1 for place in unsure})
        for _ in range(_END_POLLS):
            if not unsure:
                break
            unsure -= (await self._consumer.getmany(*unsure, timeout_ms=_POLL_MS)).keys()
        told = {place: self._consumer.highwater(place) or 0 for place in self._reading}
        return _by_partition(ends | {place: max(ends[place], end) for place, end in told.items()})

    async def reached(self) -> dict[int, int]:
        """The place that ``batches`` has come to in each partition that it reads."""
        return {place.partition: await self._consumer.position(place) for place in self._reading}

    async def first_since(self, at_ms: int) -> dict[int, int]:
        """Where each partition's first record that is not older lies; its end where there is none."""
        found = await self._consumer.offsets_for_times(dict.fromkeys(self._places(), at_ms))
        # Apache Kafka answers nothing where there is none, the embedded broker a record from before all time.
        since = {place.partition: at.offset for place, at in found.items() if at is not None and at.timestamp >= at_ms}
        return await self.ends() | since

    async def batches(
        self, starts: Mapping[int, int], ends: Mapping[int, int], tell: Callable[[int, int], object] = ignore
    ) -> AsyncGenerator[list[PastRecord]]:
        """Read these partitions from their starts until the last one is at its end, up to 512 records at once.

        A partition that is at its end gives what came since; ``tell`` hears of offsets done and of all of them, once a
        batch is done with.
        """
        places = {TopicPartition(self._name, partition): start for partition, start in starts.items()}
        self._read(places)
        total = sum(max(0, ends[place.partition] - start) for place, start in places.items())
        # By offsets: compaction leaves gaps, and records that came since are none of the total.
        while left := sum([max(0, ends[place.partition] - await self._consumer.position(place)) for place in places]):
            tell(total - left, total)
            yield await self.more()
        tell(total, total)

    async def more(self) -> list[PastRecord]:
        """The next records; waits up to half a second for the first."""
        found = await self._consumer.getmany(*self._reading, timeout_ms=_POLL_MS, max_records=_MOST_TOGETHER)
        return [_past(record) for record in itertools.chain.from_iterable(found.values())]

    def _read(self, starts: Mapping[TopicPartition, int]) -> None:
        """Read on from these places, and nothing of other partitions.

        They all stay assigned: a consumer that is assigned others while it fetches may never stop.
        """
        self._reading = list(starts)
        self._consumer.pause(*self._places())
        for place, start in starts.items():
            self._consumer.seek(place, start)
        self._consumer.resume(*self._reading)

    def _places(self) -> list[TopicPartition]:
        return [TopicPartition(self._name, partition) for partition in self.partitions]


@asynccontextmanager
async def open_topic(settings: KafkaSettings, name: str) -> AsyncIterator[OpenTopic]:
    """Open a topic by its full name; asking for one that is not there creates none.

    Raises:
        NoSuchTopic: The broker has none of this name.
        KafkaError: The broker is away, or refuses; ``TopicAuthorizationFailedError`` where we may not see the topic.
        OSError: The same.
    """
    consumer = AIOKafkaConsumer(
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",  # what lies before the beginning was deleted while we looked
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        **client_options(settings),
    )
    try:
        await consumer.start()
        if name not in await consumer.topics():
            await see_topic(consumer._client, settings, name)  # noqa: SLF001 - aiokafka offers no public way
            raise NoSuchTopic(f"there is no topic {name}: create it with 'crosscurrent topics create'")
        await consumer._client.set_topics([name])  # noqa: SLF001 - without it the partitions are unknown
        yield OpenTopic(consumer, name, sorted(consumer.partitions_for_topic(name) or {0}))
    finally:
        await consumer.stop()


def _by_partition(offsets: Mapping[TopicPartition, int]) -> dict[int, int]:
    return {place.partition: offset for place, offset in offsets.items()}


def _past(record: Any) -> PastRecord:
    return PastRecord(
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers={name: value or b"" for name, value in record.headers},
        at_ms=record.timestamp,
    )
