"""Everything a topic holds at this moment, record by record, in no consumer group."""

import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from config.errors import Misconfigured
from config.settings import KafkaSettings
from workers.contracts.topics import Topic
from workers.operate.connections import broker_errors, client_options
from workers.operate.topic_ends import ends_of

_POLL_MS = 500
_FETCH_WAIT_MS = 50
_MOST_TOGETHER = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRecord:
    """One record; ``value`` is None where it erases its key, ``at_ms`` is the broker's time since 1970."""

    value: bytes | None
    at_ms: int
    key: bytes | None = None
    headers: Mapping[str, bytes] = field(default_factory=dict)


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
    async for batch in past_batches(settings, topic, tell):
        for record in batch:
            yield record


async def past_batches(
    settings: KafkaSettings, topic: Topic | str, tell: Callable[[int, int], object]
) -> AsyncGenerator[list[PastRecord]]:
    """The same, as many records at once as have arrived, up to 512; ``tell`` hears of a batch once it is done with.

    A topic that is none of those that every installation has is given by its full name.
    """
    from aiokafka import AIOKafkaConsumer, TopicPartition

    name = topic.named(settings.topic_prefix) if isinstance(topic, Topic) else topic
    consumer = AIOKafkaConsumer(
        name, enable_auto_commit=False, fetch_max_wait_ms=_FETCH_WAIT_MS, **client_options(settings)
    )
    with broker_errors(settings):
        await consumer.start()
        try:
            partitions = [TopicPartition(name, each) for each in sorted(consumer.partitions_for_topic(name) or ())]
            if not partitions:
                raise Misconfigured(f"there is no topic {name}: create it with 'crosscurrent topics create'")
            begins, ends = await consumer.beginning_offsets(partitions), await ends_of(consumer, partitions)
            await consumer.seek_to_beginning(*partitions)
            left = {each for each in partitions if ends[each] > begins[each]}
            total = sum(ends[each] - begins[each] for each in partitions)
            while left:
                batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MOST_TOGETHER)
                yield [_past(record) for record in itertools.chain.from_iterable(batches.values())]
                left = {each for each in left if await consumer.position(each) < ends[each]}
                # By offsets: compaction leaves gaps, and records that came since are none of the total.
                done = total - sum([ends[each] - await consumer.position(each) for each in left])
                tell(done, total)
        finally:
            await consumer.stop()


def _past(record: Any) -> PastRecord:
    return PastRecord(value=record.value, at_ms=record.timestamp, key=record.key, headers=dict(record.headers))
