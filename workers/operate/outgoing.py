"""Events on their way to Kafka: which topic and key each has, and sending many of them, each confirmed."""

import asyncio
import json
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter

from config.errors import CrosscurrentError
from config.settings import KafkaSettings
from workers.contracts.content import CONTENT_EVENTS, ContentDelete, ContentUpsert
from workers.contracts.interaction import INTERACTION_EVENTS, Interaction, UserForget
from workers.contracts.parse import parse_event
from workers.contracts.query import QUERIES, Query
from workers.contracts.topics import Topic
from workers.operate.connections import broker_errors, lacked_right, max_request_bytes
from workers.streams.security import client_options

InputEvent = ContentUpsert | ContentDelete | Interaction | UserForget | Query

_LINGER_MS = 5  # events published together travel together; one alone hardly waits
_BATCH_BYTES = 512 * 1024
_MOST_IN_FLIGHT = 256  # enough to fill every partition's batch, few enough to bound memory

ADAPTERS: Mapping[Topic, TypeAdapter[Any]] = {
    Topic.CONTENT: CONTENT_EVENTS,
    Topic.INTERACTIONS: INTERACTION_EVENTS,
    Topic.QUERIES: QUERIES,
}
"""What reads an event of each input topic."""


class PublishError(CrosscurrentError):
    """The broker did not confirm an event; the message names the event and the cause."""


def checked(event: InputEvent | Mapping[str, Any], settings: KafkaSettings) -> InputEvent:
    """Return the event itself, or the one that a mapping in the wire's form describes.

    Raises:
        RejectEvent: The mapping is no event; the message names every wrong field.
    """
    if not isinstance(event, Mapping):
        return event
    topic = _topic_of_mapping(event)
    read: InputEvent = parse_event(
        json.dumps(event, ensure_ascii=False).encode(), ADAPTERS[topic], max_bytes=settings.max_event_bytes
    )
    return read


def _topic_of_mapping(event: Mapping[str, Any]) -> Topic:
    if "kind" in event:
        return Topic.QUERIES
    return Topic.INTERACTIONS if event.get("type") in {"interaction", "user.forget"} else Topic.CONTENT


def address(event: InputEvent) -> tuple[Topic, str]:
    """The topic an event belongs on, and its key."""
    match event:
        case ContentUpsert() | ContentDelete():
            return Topic.CONTENT, event.item_id
        case Interaction() | UserForget():
            return Topic.INTERACTIONS, event.user_id
        case Query():
            return Topic.QUERIES, event.query_id


class Sender:
    """A producer that waits for all in-sync replicas.

    A retry after a lost confirmation may double an event, which changes nothing: effects are repeatable. It does not
    reorder, because aiokafka has one batch of a partition under way. So no idempotent producer is asked for, which
    the embedded broker does not offer.

    Args:
        settings: Where the broker is and how topics are called.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: Any = None

    async def start(self) -> None:
        """Connect.

        Raises:
            Misconfigured: The broker cannot be reached.
        """
        from aiokafka import AIOKafkaProducer

        producer = AIOKafkaProducer(
            acks="all",
            linger_ms=_LINGER_MS,
            max_batch_size=_BATCH_BYTES,
            max_request_size=max_request_bytes(self._settings),
            **client_options(self._settings),
        )
        try:
            async with broker_errors(self._settings):
                await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer

    async def stop(self) -> None:
        """Send what is waiting and disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def send(self, event: InputEvent) -> None:
        """Send one event and return once it is confirmed.

        Raises:
            PublishError: It was not.
        """
        await self._confirmed(await self._hand_over(event), event)

    async def send_many(
        self, events: Iterable[InputEvent] | AsyncIterable[InputEvent], on_confirmed: Callable[[], object]
    ) -> int:
        """Send events in batches, calling back for each that is confirmed, and return their number.

        Events of one key stay in order. The first failure stops the sending.

        Raises:
            PublishError: An event was not confirmed.
        """
        sent, in_flight = 0, set[asyncio.Task[None]]()
        try:
            async for event in _each(events):
                confirmed = asyncio.ensure_future(self._confirmed(await self._hand_over(event), event))
                in_flight.add(confirmed)
                sent += 1
                if len(in_flight) >= _MOST_IN_FLIGHT:
                    in_flight = await _settle(in_flight, on_confirmed, all_of_them=False)
            await _settle(in_flight, on_confirmed, all_of_them=True)
        except BaseException:
            await asyncio.gather(*in_flight, return_exceptions=True)  # none may complain unheard later
            raise
        return sent

    async def _hand_over(self, event: InputEvent) -> asyncio.Future[Any]:
        """Put an event into its partition's batch; waits while that is full."""
        from aiokafka.errors import KafkaError

        topic, key = address(event)
        name = topic.named(self._settings.topic_prefix)
        try:
            return await self._producer.send(name, value=event.to_bytes(), key=key.encode())  # type: ignore[no-any-return]
        except KafkaError as exc:
            raise self._failure(event, exc) from exc

    async def _confirmed(self, future: asyncio.Future[Any], event: InputEvent) -> None:
        from aiokafka.errors import KafkaError

        try:
            await future
        except KafkaError as exc:
            raise self._failure(event, exc) from exc

    def _failure(self, event: InputEvent, cause: Exception) -> PublishError:
        topic, key = address(event)
        taken = f"the broker did not take {key!r} for the {topic} topic"
        if lacked := lacked_right(self._settings, cause, "Write", topic.named(self._settings.topic_prefix)):
            return PublishError(f"{taken}: {lacked}")
        return PublishError(
            f"{taken} ({type(cause).__name__}: {cause}): check that the topic exists (crosscurrent topics list) and "
            "that kafka.max_event_bytes admits the event"
        )


async def _each(events: Iterable[InputEvent] | AsyncIterable[InputEvent]) -> AsyncIterable[InputEvent]:
    if isinstance(events, AsyncIterable):
        async for event in events:
            yield event
    else:
        for event in events:
            yield event


async def _settle(
    tasks: set[asyncio.Task[None]], on_confirmed: Callable[[], object], *, all_of_them: bool
) -> set[asyncio.Task[None]]:
    if not tasks:
        return tasks
    when = asyncio.ALL_COMPLETED if all_of_them else asyncio.FIRST_COMPLETED
    done, waiting = await asyncio.wait(tasks, return_when=when)
    for task in done:
        task.result()
        on_confirmed()
    return waiting
