"""Everything a topic holds at this moment, record by record, in no consumer group."""

import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from config.errors import Misconfigured
from config.settings import KafkaSettings
from workers.contracts.topics import Topic
from workers.operate.connections import broker_errors, client_options

_POLL_MS = 500
_FETCH_WAIT_MS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRecord:
    """One record; ``value`` is None where it erases its key, ``at_ms`` is the broker's time since 1970."""

    value: bytes | None
    at_ms: int


async def past_records(
    settings: KafkaSettings, topic: Topic, tell: Callable[[int, int], object]
) -> AsyncIterator[PastRecord]:
    """Read from the beginning to where the topic ends now.

    Args:
        settings: Where the broker is.
        topic: Which one.
        tell: Called with records read and records in all.

    Raises:
        Misconfigured: The broker cannot be reached, or has no such topic.
    """
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
                raise Misconfigured(f"there is no topic {name}: create it with 'crosscurrent topics create'")
            begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
            await consumer.seek_to_beginning(*partitions)
            total, read = sum(ends[each] - begins[each] for each in partitions), 0
            left = {each for each in partitions if ends[each] > begins[each]}
            while left:
                batches = await consumer.getmany(timeout_ms=_POLL_MS)
                for record in itertools.chain.from_iterable(batches.values()):
                    read += 1
                    yield PastRecord(value=record.value, at_ms=record.timestamp)
                tell(min(read, total), total)
                left = {each for each in left if await consumer.position(each) < ends[each]}
        finally:
            await consumer.stop()
