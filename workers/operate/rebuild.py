"""Refilling Redis from the compacted topics after it was lost. No encoder is loaded, no event is read again."""

from collections.abc import Callable
from contextlib import AsyncExitStack, aclosing
from functools import partial

from config.settings import Settings
from encoders.identity import Space, identify
from fusion.index.redis_calibration import RedisCalibrationStore
from fusion.index.redis_index import RedisVectorIndex
from workers.contracts.topics import Topic
from workers.operate.past_records import past_batches
from workers.operate.patience import Patience
from workers.operate.refill import Refill, Refilled
from workers.streams.calibration_topic import KafkaCalibrationHistory, bring_back
from workers.streams.timing import now_ms

Tell = Callable[[str, int, int], object]


async def rebuild(settings: Settings, tell: Tell) -> Refilled:
    """Write into Redis what the topics hold now.

    Args:
        settings: Where everything is; name the model whose vectors are wanted.
        tell: Called with a stage, records done and records in all.

    Raises:
        Misconfigured: The broker cannot be reached, a topic is missing, or Redis does not fit.
        RetryLater: Redis is away.
    """
    space = identify(settings.model)
    async with AsyncExitStack() as stack:
        index = RedisVectorIndex(settings.redis, space.model, space.dims)
        stack.push_async_callback(index.close)
        patience = Patience(settings.delivery)
        await patience.bear(index.check)
        await _bring_back_calibration(settings, space, patience, stack)
        refill = Refill(index, patience)
        batches = past_batches(settings.kafka, Topic.VECTORS, partial(tell, "items"))
        async for batch in await stack.enter_async_context(aclosing(batches)):
            await refill.add(batch)
        return refill.done


async def _bring_back_calibration(settings: Settings, space: Space, patience: Patience, stack: AsyncExitStack) -> None:
    """Before the items, so that no query worker measures an index that is half there."""
    store = RedisCalibrationStore(settings.redis, space.model, space.dims)
    stack.push_async_callback(store.close)
    history = KafkaCalibrationHistory(settings.kafka, Topic.CALIBRATION.named(settings.kafka.topic_prefix))
    if await patience.bear(store.read) is None:
        await patience.bear(lambda: bring_back(store, history, space.model, now_ms=now_ms()))
