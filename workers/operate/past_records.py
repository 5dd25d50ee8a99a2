"""What a topic holds at this moment, record by record, in no consumer group."""

import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from config.errors import Misconfigured
from config.settings import KafkaSettings
from workers.contracts.topics import Topic
from workers.operate.connections import broker_errors, client_options

_POLL_MS = 500
_FETCH_WAIT_MS = 50


class NoSuchTopic(Misconfigured):
    """The broker can be reached and has no such topic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRecord:
    """One record; ``value`` is None where it erases its key, ``at_ms`` is the broker's time since 1970."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]
    at_ms: int


def _ignore(read: int, total: int) -> None:
    """Nobody watches."""


async def past_records(
    settings: KafkaSettings,
    topic: Topic,
    tell: Callable[[int, int], object] = _ignore,
    *,
    since_ms: int | None = None,
    starts: Mapping[int, int] | None = None,
) -> AsyncIterator[PastRecord]:
    """Read up to where the topic ends now; each partition in order, the partitions mixed.

    Args:
        settings: Where the broker is.
        topic: Which one.
        tell: Called with records read and records in all.
        since_ms: Begin each partition at its first record that is not older; at its beginning when None.
        starts: Read these partitions alone, each from this offset.

    Raises:
        Misconfigured: The broker cannot be reached, or has no such topic.
    """
    async with _consumer(settings, topic) as (consumer, partitions):
        wanted = [each for each in partitions if starts is None or each.partition in starts]
        begins, ends = await consumer.beginning_offsets(wanted), await consumer.end_offsets(wanted)
        if since_ms is not None:
            begins = await _first_since(consumer, since_ms, begins, ends)
        if starts is not None:
            begins = {each: max(begin, starts[each.partition]) for each, begin in begins.items()}
        left = {each for each in wanted if ends[each] > begins[each]}
        total, read = sum(ends[each] - begins[each] for each in left), 0
        consumer.assign(list(left))
        for each in left:
            consumer.seek(each, begins[each])
        while left:
            batches = await consumer.getmany(timeout_ms=_POLL_MS)
            for record in itertools.chain.from_iterable(batches.values()):
                read += 1
                yield _past(record)
            tell(min(read, total), total)
            left = {each for each in left if await consumer.position(each) < ends[each]}


async def past_record(settings: KafkaSettings, topic: Topic, *, partition: int, offset: int) -> PastRecord:
    """Read one record.

    Raises:
        Misconfigured: There is none at this place, any more or yet.
    """
    name = topic.named(settings.topic_prefix)
    async with _consumer(settings, topic) as (consumer, partitions):
        [*found] = [each for each in partitions if each.partition == partition]
        if not found:
            raise Misconfigured(f"{name} has no partition {partition}: it has {len(partitions)}, from 0 on")
        [begin], [end] = (
            (await consumer.beginning_offsets(found)).values(),
            (await consumer.end_offsets(found)).values(),
        )
        if begin <= offset < end:
            consumer.assign(found)
            consumer.seek(found[0], offset)
            while await consumer.position(found[0]) <= offset:
                for record in (await consumer.getmany(timeout_ms=_POLL_MS, max_records=1)).get(found[0], ()):
                    if record.offset == offset:
                        return _past(record)
        raise Misconfigured(
            f"{name} holds no record at {partition}:{offset}: its offsets there are {begin} to {end - 1}"
        )


async def ends_of(settings: KafkaSettings, topics: Sequence[Topic]) -> dict[tuple[Topic, int], int]:
    """The offset that the next record of each partition of these topics will get.

    Raises:
        Misconfigured: The broker cannot be reached, or a topic is missing.
    """
    ends: dict[tuple[Topic, int], int] = {}
    for topic in topics:
        async with _consumer(settings, topic) as (consumer, partitions):
            ends |= {(topic, each.partition): end for each, end in (await consumer.end_offsets(partitions)).items()}
    return ends


async def stretches_before(
    settings: KafkaSettings, topic: Topic, until_ms: int | None
) -> dict[int, tuple[int, int, int]]:
    """Where each partition begins, where its first record that is as new as ``until_ms`` lies, and where it ends.

    Raises:
        Misconfigured: The broker cannot be reached, or has no such topic.
    """
    async with _consumer(settings, topic) as (consumer, partitions):
        begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        befores = ends if until_ms is None else await _first_since(consumer, until_ms, begins, ends)
        return {each.partition: (begins[each], befores[each], ends[each]) for each in partitions}


@asynccontextmanager
async def _consumer(settings: KafkaSettings, topic: Topic) -> AsyncIterator[tuple[Any, list[Any]]]:
    """A consumer that is assigned nothing, and the topic's partitions in order."""
    from aiokafka import AIOKafkaConsumer, TopicPartition

    name = topic.named(settings.topic_prefix)
    consumer = AIOKafkaConsumer(
        name, enable_auto_commit=False, fetch_max_wait_ms=_FETCH_WAIT_MS, **client_options(settings)
    )
    with broker_errors(settings):
        await consumer.start()
        try:
            partitions = [TopicPartition(name, each) for each in sorted(consumer.partitions_for_topic(name) or ())]
            if not partitions:
                raise NoSuchTopic(f"there is no topic {name}: create it with 'crosscurrent topics create'")
            consumer.unsubscribe()
            yield consumer, partitions
        finally:
            await consumer.stop()


async def _first_since(
    consumer: Any, since_ms: int, begins: Mapping[Any, int], ends: Mapping[Any, int]
) -> dict[Any, int]:
    """Where each partition's first record that is not older lies; its end where there is none."""
    found = await consumer.offsets_for_times(dict.fromkeys(begins, since_ms))
    # Apache Kafka answers nothing where there is none, the embedded broker a record from before all time.
    return {
        each: place.offset if (place := found.get(each)) is not None and place.timestamp >= since_ms else ends[each]
        for each in begins
    }


def _past(record: Any) -> PastRecord:
    return PastRecord(
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers={name: value or b"" for name, value in record.headers},
        at_ms=record.timestamp,
    )
