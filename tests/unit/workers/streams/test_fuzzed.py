"""The short form of ``make fuzz``: damaged events and files through the handlers and delivery, without servers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from config.errors import Reason
from config.settings import PeopleSettings
from config.vocabulary import Modality, Role
from fusion.people.memory_store import MemoryPeopleStore
from tests.fuzzing.campaign import Damaged, damaged_events, damaged_files
from tests.fuzzing.seeds import media_seeds
from tests.unit.workers.streams import test_content_handler, test_query_handler
from tests.unit.workers.streams.kit import DEAD_LETTERS, TOPIC, delivery_of
from tests.unit.workers.streams.support import DIMS, MAX_EVENT_BYTES, index_of
from workers.contracts.dead_letter import DEAD_LETTERS as READER
from workers.streams.interactions import InteractionHandler
from workers.streams.memory import MemoryPublisher
from workers.streams.records import Handler, Record, Refused
from workers.streams.timing import now_ms

BATCH = 50


@asynccontextmanager
async def handler_of(role: Role) -> AsyncIterator[Handler]:
    """The handler of a role, over stores in memory."""
    if role is Role.CONTENT:
        async with test_content_handler.house() as content:
            yield content.handler
    elif role is Role.QUERIES:
        async with test_query_handler.house() as queries:
            yield queries.handler
    else:
        yield InteractionHandler(
            index=index_of(),
            people=MemoryPeopleStore(PeopleSettings(), DIMS),
            publisher=MemoryPublisher(),
            settings=PeopleSettings(),
            profiles_topic="test.profiles",
            max_event_bytes=MAX_EVENT_BYTES,
        )


async def delivered(role: Role, damaged: Iterator[Damaged]) -> tuple[int, int]:
    """How many were delivered, and how many of these were refused; each must end, and none by a defect."""
    publisher = MemoryPublisher()
    records = [
        Record(
            topic=TOPIC,
            partition=0,
            offset=offset,
            key=each.key,
            value=each.value,
            headers=each.headers,
            timestamp_ms=now_ms(),
        )
        for offset, each in enumerate(damaged)
    ]
    async with handler_of(role) as handler:
        delivery = delivery_of(handler, publisher, role=role)
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            assert all(await delivery.deliver(batch, asyncio.Event()))
    letters = [READER.validate_json(sent.value or b"") for sent in publisher.on(DEAD_LETTERS)]
    assert [letter.message for letter in letters if letter.reason == "internal" or not letter.message] == []
    return len(records), len(letters)


@pytest.mark.parametrize("role", Role)
async def test_damaged_events_are_served_or_refused(role: Role) -> None:
    """Bytes and fields changed, values that somebody's code trips over, headers of replays that are none."""
    sent, refused = await delivered(role, damaged_events(role, 400, seed=3))

    assert 0.02 < refused / sent < 0.98  # some of either, or nothing is tried


async def test_damaged_files_are_served_or_refused() -> None:
    """Pictures of every format, and some of sounds and clips."""
    sent, refused = await delivered(Role.CONTENT, damaged_files(media_seeds(clips=6), 300, seed=3))

    assert 0.1 < refused / sent < 0.9


async def test_a_reading_beyond_all_measure_is_refused_by_name() -> None:
    """In single precision it would be infinite, which encoders would take for missing or worse."""
    sensor = {"channels": ["pressure_hpa"], "sample_rate_hz": 1.0, "values": [[1013.2], [1e300]]}
    async with test_content_handler.house((Modality.SENSOR,)) as content:
        [outcome] = await content.handle({"type": "content.upsert", "item_id": "a", "modalities": {"sensor": sensor}})

    assert isinstance(outcome, Refused)
    assert (outcome.reason, outcome.field) == (Reason.INVALID_EVENT, "modalities.sensor.values")
