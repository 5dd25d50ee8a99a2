"""How far the content workers of a model have come on the content topic."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from config.settings import Settings
from config.vocabulary import ModelRef, Role
from workers.contracts.topics import Topic, consumer_group
from workers.operate.connections import broker_errors
from workers.operate.past_records import stretches_before
from workers.operate.rebuild import stream_at
from workers.streams.security import client_options

_POLL_S: Final = 0.5


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
    name, until = Topic.CONTENT.named(kafka.topic_prefix), time.monotonic() + patience_s
    group = consumer_group(kafka.topic_prefix, Role.CONTENT, await stream_at(kafka, model))
    # It neither subscribes nor assigns: it asks what the group committed, and joins nothing and fetches nothing.
    consumer = AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **client_options(kafka))
    stretches = await stretches_before(kafka, Topic.CONTENT, None)
    total = sum(end - begin for begin, _, end in stretches.values())
    async with broker_errors(kafka):
        await consumer.start()
        try:
            while True:
                done = {each: await consumer.committed(TopicPartition(name, each)) or 0 for each in stretches}
                behind = sum(max(0, end - max(done[each], begin)) for each, (begin, _, end) in stretches.items())
                tell(total - behind, total)
                if not behind or time.monotonic() > until:
                    return behind
                await asyncio.sleep(_POLL_S)
        finally:
            await consumer.stop()
