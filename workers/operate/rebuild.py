"""Refilling Redis from the compacted topics after it was lost. No encoder is loaded, no event is read again."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from functools import partial

from config.errors import Misconfigured, RetryLater
from config.settings import KafkaSettings, Settings
from config.vocabulary import ModelRef
from encoders.identity import Space, identify
from fusion.index.followed_index import FollowedIndex
from fusion.index.redis_calibration import RedisCalibrationStore
from fusion.people.redis_store import RedisPeopleStore
from workers.contracts.topics import Topic, vectors_topic
from workers.operate.connections import unreachable
from workers.operate.past_records import PastRecord, past_batches
from workers.operate.patience import Patience
from workers.operate.refill import Refill, Refilled
from workers.operate.refill_people import RefilledPeople, RefillPeople
from workers.streams.calibration_topic import KafkaCalibrationHistory, bring_back
from workers.streams.model_stream import stream_of
from workers.streams.publisher import KafkaPublisher
from workers.streams.security import CLIENT_ID
from workers.streams.timing import now_ms
from workers.streams.vectors_topic import VectorsTopic

Tell = Callable[[str, int, int], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What became of the records of both topics."""

    vectors: Refilled
    people: RefilledPeople


async def rebuild(settings: Settings, tell: Tell) -> Rebuilt:
    """Write into Redis what the topics hold now.

    Args:
        settings: Where everything is; name the model whose vectors are wanted.
        tell: Called with a stage, records done and records in all.

    Raises:
        Misconfigured: The broker cannot be reached, a topic is missing, or Redis does not fit.
        RetryLater: Redis is away.
    """
    space, patience = identify(settings.model), Patience(settings.delivery)
    async with AsyncExitStack() as stack:
        index = FollowedIndex(settings.redis, space.model, space.dims)
        stack.push_async_callback(index.close)
        await patience.bear(index.settle)
        await _bring_back_calibration(settings, space, patience, stack)
        vectors = Refill(index, patience)
        # What workers sent meanwhile too: an old event written before a newer record was is among it.
        topic = await topic_of(settings, space)
        await _feed(vectors.add, past_batches(settings.kafka, topic, partial(tell, "items"), catch_up=True))
        publisher = KafkaPublisher(settings.kafka, client_id="crosscurrent-rebuild")  # connects once it has to send
        stack.push_async_callback(publisher.stop)
        await vectors.mend(VectorsTopic(topic, publisher, index))
        store = RedisPeopleStore(settings.redis, settings.people, space.model, space.dims)
        stack.push_async_callback(store.close)
        people = RefillPeople(store, space.model, patience)
        await _feed(people.add, past_batches(settings.kafka, Topic.PROFILES, partial(tell, "profiles")))
    return Rebuilt(vectors=vectors.done, people=people.done)


async def topic_of(settings: Settings, space: Space) -> str:
    """Full name of the topic with a model's vectors.

    Raises:
        Misconfigured: The broker cannot be reached.
    """
    return vectors_topic(settings.kafka.topic_prefix, await stream_at(settings.kafka, space.model))


async def stream_at(settings: KafkaSettings, model: ModelRef) -> str:
    """What topic and group of a model are named after on the broker; empty for the first one's.

    Raises:
        Misconfigured: The broker cannot be reached.
    """
    try:
        async with KafkaPublisher(settings, client_id=CLIENT_ID) as publisher:
            return await stream_of(publisher, settings, model)
    except RetryLater as exc:
        raise Misconfigured(unreachable(settings, exc)) from exc


async def _feed(
    add: Callable[[Sequence[PastRecord]], Awaitable[None]], batches: AsyncGenerator[list[PastRecord]]
) -> None:
    async with aclosing(batches):
        async for batch in batches:
            await add(batch)


async def _bring_back_calibration(settings: Settings, space: Space, patience: Patience, stack: AsyncExitStack) -> None:
    """Before the items, so that no query worker measures an index that is half there."""
    store = RedisCalibrationStore(settings.redis, space.model, space.dims)
    stack.push_async_callback(store.close)
    history = KafkaCalibrationHistory(settings.kafka, Topic.CALIBRATION.named(settings.kafka.topic_prefix))
    if await patience.bear(store.read) is None:
        await patience.bear(lambda: bring_back(store, history, space.model, now_ms=now_ms()))
