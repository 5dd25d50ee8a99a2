"""Settings to a role's handler: the composition root's middle. Heavy libraries are imported here and late.

Only the roles that embed load encoders: an interaction worker imports no deep-learning library at all.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from config.settings import Settings
from config.vocabulary import Role
from encoders.identity import identify
from fusion.index.protocol import VectorIndex
from workers.contracts.topics import Topic
from workers.streams.gauges import Gauges
from workers.streams.metrics import Metrics
from workers.streams.observer import MetricsObserver
from workers.streams.records import Handler, Publisher


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a role is made of; everything that must be closed is on the stack that composed it."""

    handler: Handler
    index: VectorIndex
    gauges: Gauges


async def compose(
    role: Role, settings: Settings, *, publisher: Publisher, metrics: Metrics, stack: AsyncExitStack
) -> Parts:
    """Make the handler of a role and what it needs.

    Args:
        role: Whose handler.
        settings: Read and validated.
        publisher: Sends what the handler sends; started already.
        metrics: Told what the handler measures.
        stack: Closes what was opened, the last first.

    Raises:
        Misconfigured: A profile, package, weight file or address is wrong; says what to do.
    """
    if role is Role.INTERACTIONS:
        return _interactions(settings, publisher=publisher, metrics=metrics, stack=stack)
    return await _embedding(role, settings, publisher=publisher, metrics=metrics, stack=stack)


def _interactions(settings: Settings, *, publisher: Publisher, metrics: Metrics, stack: AsyncExitStack) -> Parts:
    from fusion.index.redis_index import RedisVectorIndex
    from fusion.people.redis_store import RedisPeopleStore
    from workers.streams.interactions import InteractionHandler

    space = identify(settings.model)
    metrics.runs(space.model)
    index = RedisVectorIndex(settings.redis, space.model, space.dims)
    stack.push_async_callback(index.close)
    people = RedisPeopleStore(settings.redis, settings.people, space.model, space.dims)
    stack.push_async_callback(people.close)
    handler = InteractionHandler(
        index=index,
        people=people,
        publisher=publisher,
        settings=settings.people,
        profiles_topic=Topic.PROFILES.named(settings.kafka.topic_prefix),
        max_event_bytes=settings.kafka.max_event_bytes,
    )
    return Parts(handler=handler, index=index, gauges=Gauges(metrics, index))


async def _embedding(
    role: Role, settings: Settings, *, publisher: Publisher, metrics: Metrics, stack: AsyncExitStack
) -> Parts:
    """Parts of a role that embeds: loading takes seconds, so it happens in a thread and the probes are answered."""
    from encoders.accelerator import accelerator_memory_bytes
    from encoders.batching import DeviceBatcher
    from encoders.registry import load_encoders
    from fusion.index.redis_index import RedisVectorIndex
    from workers.streams.fetch import MediaFetcher

    encoders = await asyncio.to_thread(load_encoders, settings.model)
    metrics.runs(encoders.model)
    batcher = DeviceBatcher(encoders, settings.model, observer=metrics)
    stack.push_async_callback(batcher.close)
    index = RedisVectorIndex(settings.redis, encoders.model, encoders.dims)
    stack.push_async_callback(index.close)
    fetcher = await stack.enter_async_context(MediaFetcher(settings.media))
    shared = {
        "batcher": batcher,
        "index": index,
        "fetcher": fetcher,
        "publisher": publisher,
        "media": settings.media,
        "max_event_bytes": settings.kafka.max_event_bytes,
        "observer": MetricsObserver(metrics),
    }
    handler = _content(settings, shared, stack) if role is Role.CONTENT else _queries(settings, shared, stack)
    gauges = Gauges(metrics, index, encode_depth=lambda: batcher.waiting, device_memory=accelerator_memory_bytes)
    return Parts(handler=handler, index=index, gauges=gauges)


def _content(settings: Settings, shared: dict[str, Any], stack: AsyncExitStack) -> Handler:
    from workers.streams.content import ContentHandler

    handler = ContentHandler(
        **shared,
        vectors_topic=Topic.VECTORS.named(settings.kafka.topic_prefix),
        content=settings.content,
    )
    stack.callback(handler.close)
    return handler


def _queries(settings: Settings, shared: dict[str, Any], stack: AsyncExitStack) -> Handler:
    from fusion.people.redis_store import RedisPeopleStore
    from workers.streams.queries import QueryHandler

    encoders = shared["batcher"].encoders
    people = RedisPeopleStore(settings.redis, settings.people, encoders.model, encoders.dims)
    stack.push_async_callback(people.close)
    handler = QueryHandler(
        **shared,
        people=people,
        calibration=encoders.calibration,
        settings=settings.query,
        results_topic=Topic.RESULTS.named(settings.kafka.topic_prefix),
    )
    stack.callback(handler.close)
    return handler
