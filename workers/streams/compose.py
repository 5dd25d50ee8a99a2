"""Settings to a role's handler: the composition root's middle. Heavy libraries are imported here and late.

Only the roles that embed load encoders: an interaction worker imports no deep-learning library, unless it is told to
read comments and one comes.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from config.settings import Settings
from config.vocabulary import Role
from encoders.identity import identify
from workers.contracts.topics import Topic, vectors_topic
from workers.streams.calibration import CalibrationKeeper
from workers.streams.compose_queries import live_handler
from workers.streams.gauges import Gauges
from workers.streams.layouts import Follower
from workers.streams.metrics import Metrics
from workers.streams.observer import MetricsObserver
from workers.streams.records import Handler, Ledger, NoLedger, Publisher

if TYPE_CHECKING:
    from fusion.index.followed_index import FollowedIndex
    from workers.streams.tag_counter import TagCounter


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a role is made of; everything that must be closed is on the stack that composed it."""

    handler: Handler
    index: "FollowedIndex"
    gauges: Gauges
    follower: Follower
    ledger: Ledger = field(default_factory=NoLedger)
    calibration: CalibrationKeeper | None = None

    async def check(self) -> None:
        """See that the stores are there and fit, and read what must be known before the first event.

        Raises:
            Misconfigured: An operator must change something.
            RetryLater: A store is away.
        """
        await self.index.check()
        if self.calibration is not None:
            await self.calibration.load()

    async def look_after(self) -> None:
        """Do what is done now and then, until cancelled."""
        upkeep = [self.gauges.run(), self.follower.run()]
        await asyncio.gather(*upkeep, *([] if self.calibration is None else [self.calibration.run()]))


async def compose(
    role: Role,
    settings: Settings,
    *,
    publisher: Publisher,
    metrics: Metrics,
    stack: AsyncExitStack,
    stream: str = "",
) -> Parts:
    """Make the handler of a role and what it needs.

    Args:
        role: Whose handler.
        settings: Read and validated.
        publisher: Sends what the handler sends; started already.
        metrics: Told what the handler measures.
        stack: Closes what was opened, the last first.
        stream: Which vectors topic content workers write to; see ``vectors_topic``.

    Raises:
        Misconfigured: A profile, package, weight file or address is wrong; says what to do.
    """
    if role is Role.INTERACTIONS:
        return _interactions(settings, publisher=publisher, metrics=metrics, stack=stack)
    return await _embedding(role, settings, publisher=publisher, metrics=metrics, stack=stack, stream=stream)


def _interactions(settings: Settings, *, publisher: Publisher, metrics: Metrics, stack: AsyncExitStack) -> Parts:
    from fusion.index.followed_index import FollowedIndex
    from fusion.people.redis_store import RedisPeopleStore
    from workers.streams.comments import CommentReader
    from workers.streams.feedback import Feedback
    from workers.streams.interactions import InteractionHandler

    space = identify(settings.model)
    metrics.runs(space.model)
    index = FollowedIndex(settings.redis, space.model, space.dims)
    stack.push_async_callback(index.close)
    people = RedisPeopleStore(settings.redis, settings.people, space.model, space.dims)
    stack.push_async_callback(people.close)
    comments = CommentReader(settings.model) if settings.people.read_comments else None
    if comments is not None:
        stack.push_async_callback(comments.close)
    handler = InteractionHandler(
        index=index,
        people=people,
        publisher=publisher,
        settings=settings.people,
        profiles_topic=Topic.PROFILES.named(settings.kafka.topic_prefix),
        max_event_bytes=settings.kafka.max_event_bytes,
        comments=comments,
        feedback=Feedback(metrics),
    )
    return Parts(
        handler=handler, index=index, gauges=Gauges(metrics, index), follower=Follower(Role.INTERACTIONS, index)
    )


async def _embedding(
    role: Role, settings: Settings, *, publisher: Publisher, metrics: Metrics, stack: AsyncExitStack, stream: str
) -> Parts:
    """Parts of a role that embeds: loading takes seconds, so it happens in a thread and the probes are answered."""
    from encoders.accelerator import accelerator_memory_bytes
    from encoders.batching import DeviceBatcher
    from encoders.registry import load_encoders
    from fusion.index.followed_index import FollowedIndex
    from workers.streams.fetch import MediaFetcher

    encoders = await asyncio.to_thread(load_encoders, settings.model)
    metrics.runs(encoders.model)
    batcher = DeviceBatcher(encoders, settings.model, observer=metrics)
    stack.push_async_callback(batcher.close)
    index = FollowedIndex(settings.redis, encoders.model, encoders.dims)
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
    gauges = Gauges(metrics, index, encode_depth=lambda: batcher.waiting, device_memory=accelerator_memory_bytes)
    if role is Role.CONTENT:
        handler, ledger = await _content(settings, shared, metrics, stack, stream)
        return Parts(handler=handler, index=index, gauges=gauges, follower=Follower(role, index), ledger=ledger)
    live, keeper = live_handler(settings, shared, metrics, stack)
    follower = Follower(role, index, live)
    return Parts(handler=live, index=index, gauges=gauges, follower=follower, calibration=keeper)


async def _content(
    settings: Settings, shared: dict[str, Any], metrics: Metrics, stack: AsyncExitStack, stream: str
) -> tuple[Handler, Ledger]:
    from workers.streams.content import ContentHandler
    from workers.streams.tagging import make_tagger

    words = {
        **shared,
        "vectors_topic": vectors_topic(settings.kafka.topic_prefix, stream),
        "content": settings.content,
    }
    counter = None
    if sets := settings.tagging.label_sets():
        words |= {"tagger": await make_tagger(shared["batcher"], sets)}
        # An event is counted once: by the workers of the model that answers.
        if not stream or await shared["index"].answering() == shared["index"].model:
            words |= {"counter": (counter := _counter(settings, shared, metrics))}
    handler = ContentHandler(**words)
    stack.callback(handler.close)
    return handler, counter or NoLedger()


def _counter(settings: Settings, shared: dict[str, Any], metrics: Metrics) -> "TagCounter":
    from workers.streams.tag_books import Windows
    from workers.streams.tag_counter import TagCounter
    from workers.streams.tag_history import KafkaHistory

    tagging, topic = settings.tagging, Topic.TAG_COUNTS.named(settings.kafka.topic_prefix)
    labels = {name: tuple(each.labels) for name, each in tagging.label_sets().items()}
    metrics.tags_with(labels)
    return TagCounter(
        Windows(sets=labels, window_ms=tagging.window_s * 1000, grace_ms=tagging.grace_s * 1000),
        history=KafkaHistory(settings.kafka, topic),
        publisher=shared["publisher"],
        topic=topic,
        observer=shared["observer"],
    )
