"""How far the content workers of a model have come on the content topic."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from config.settings import Settings
from config.vocabulary import ModelRef, Role
from workers.contracts.topics import Topic, consumer_group
from workers.operate.connections import broker_errors, client_options
from workers.operate.past_records import stretches_before
from workers.streams.model_stream import stream_of
from workers.streams.publisher import KafkaPublisher

_POLL_S: Final = 0.5
_FETCH_WAIT_MS: Final = 50  # the embedded broker answers an empty fetch only when this is over


async def content_behind(
    settings: Settings,
    model: ModelRef,
    *,
    patience_s: float,
    tell: Callable[[int, int], object] = lambda *_: None,
) -> int:
    """Wait until all that is on the topic now is done with, and give how many events are not.

    Args:
        settings: Where the broker is.
        model: Whose workers.
        patience_s: How long to wait at most.
        tell: Called with events done and events in all.

    Raises:
        Misconfigured: The broker cannot be reached.
    """
    from aiokafka import AIOKafkaConsumer, TopicPartition

    kafka = settings.kafka
    async with KafkaPublisher(kafka, client_id="crosscurrent") as publisher:
        stream = await stream_of(publisher, kafka, model)
    name, until = Topic.CONTENT.named(kafka.topic_prefix), time.monotonic() + patience_s
    group = consumer_group(kafka.topic_prefix, Role.CONTENT, stream)
    # It assigns and does not subscribe: it asks what the group committed, and never joins it.
    consumer = AIOKafkaConsumer(
        group_id=group, enable_auto_commit=False, fetch_max_wait_ms=_FETCH_WAIT_MS, **client_options(kafka)
    )
    stretches = await stretches_before(kafka, Topic.CONTENT, None)
    total = sum(end - begin for begin, _, end in stretches.values())
    async with broker_errors(kafka):
        await consumer.start()
        try:
            await consumer._client.set_topics([name])  # noqa: SLF001 - without it the partitions are unknown
            partitions = [TopicPartition(name, each) for each in sorted(consumer.partitions_for_topic(name) or ())]
            consumer.assign(partitions)
            while True:
                done = {each.partition: await consumer.committed(each) or 0 for each in partitions}
                behind = sum(max(0, end - max(done[each], begin)) for each, (begin, _, end) in stretches.items())
                tell(total - behind, total)
                if not behind or time.monotonic() > until:
                    return behind
                await asyncio.sleep(_POLL_S)
        finally:
            await consumer.stop()
