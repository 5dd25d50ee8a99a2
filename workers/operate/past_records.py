"""Everything a topic holds at this moment, record by record, in no consumer group."""

import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from config.errors import Misconfigured
from config.settings import KafkaSettings
from workers.contracts.topics import Topic
from workers.operate.connections import broker_errors, client_options

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
    settings: KafkaSettings, topic: Topic, tell: Callable[[int, int], object], *, catch_up: bool = False
) -> AsyncGenerator[list[PastRecord]]:
    """The same, as many records at once as have arrived, up to 512; ``tell`` hears of a batch once it is done with.

    With ``catch_up`` what has come while it read follows, up to where the topic ends then.
    """
    from aiokafka import AIOKafkaConsumer, TopicPartition

    name = topic.named(settings.topic_prefix)
    consumer = AIOKafkaConsumer(
        name,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        **client_options(settings),
    )
    with broker_errors(settings):
        await consumer.start()
        try:
            partitions = [TopicPartition(name, each) for each in sorted(consumer.partitions_for_topic(name) or ())]
            if not partitions:
                raise Misconfigured(f"there is no topic {name}: create it with 'crosscurrent topics create'")
            for _ in range(1 + catch_up):
                async for batch in _to_the_end(consumer, partitions, tell):
                    yield batch
        finally:
            await consumer.stop()


async def _to_the_end(
    consumer: Any, partitions: Sequence[Any], tell: Callable[[int, int], object]
) -> AsyncGenerator[list[PastRecord]]:
    """From where the consumer stands to where the partitions end now."""
    begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    left = {each for each in partitions if ends[each] > max(begins[each], await consumer.position(each))}
    unsure = set(left)
    while left:
        batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MOST_TOGETHER)
        # The embedded broker, asked for an end, counts one record of the last batch; a fetch tells the truth.
        fetched = {each: consumer.highwater(each) or 0 for each in unsure & batches.keys()}
        ends |= {each: max(ends[each], end) for each, end in fetched.items()}
        unsure -= fetched.keys()
        yield [_past(record) for record in itertools.chain.from_iterable(batches.values())]
        left = {each for each in left if await consumer.position(each) < ends[each]}
        # By offsets: compaction leaves gaps, and records that came since are none of the total.
        total = sum(ends[each] - begins[each] for each in partitions)
        tell(total - sum([ends[each] - await consumer.position(each) for each in left]), total)


def _past(record: Any) -> PastRecord:
    return PastRecord(value=record.value, at_ms=record.timestamp, key=record.key, headers=dict(record.headers))
