"""Query workers over one real Redis answer with one table of backgrounds, and go on with it when Redis is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.errors import Misconfigured
from config.settings import MediaSettings, PeopleSettings, QuerySettings, RedisSettings
from config.vocabulary import Background, ItemId, Modality, Role, Version
from encoders.base import TextInput
from encoders.batching import DeviceBatcher
from fusion.index.protocol import Item
from fusion.index.redis_calibration import RedisCalibrationStore
from fusion.index.redis_index import RedisVectorIndex
from fusion.people.redis_store import RedisPeopleStore
from tests.unit.workers.streams.support import DIMS, MAX_EVENT_BYTES, MODEL, PROFILE, batching, record
from workers.contracts.result import RESULTS, Result
from workers.operate.embedded import EmbeddedRedis
from workers.streams.calibration import CalibrationKeeper
from workers.streams.fetch import MediaFetcher
from workers.streams.memory import MemoryPublisher
from workers.streams.metrics import Metrics
from workers.streams.queries import QueryHandler

PRIOR = {(query, item): Background(mean=0.4, std=0.2) for query in PROFILE for item in PROFILE}
REFRESH_S = 1.0  # so a worker looks every 0.1 s, and a table is announced 0.3 s ahead
WORDS = ("cat", "dog", "car", "tree", "house", "river", "stone", "cloud", "bread", "chair", "lamp", "ship")


@dataclass(slots=True, kw_only=True)
class QueryWorker:
    """A query worker without Kafka: its own connections, its own copy of everything."""

    handler: QueryHandler
    keeper: CalibrationKeeper
    publisher: MemoryPublisher
    metrics: Metrics
    asked: int = 0

    async def ask(self, text: str) -> Result:
        """Ask for a text; the result without its times."""
        self.asked += 1
        query = {"query_id": "q", "kind": "search", "parts": [{"modality": "text", "text": text}], "explain": True}
        await self.handler.handle([record(query, offset=self.asked)])
        result = RESULTS.validate_json(self.publisher.sent[-1].value or b"")
        # An item is older in a later answer: its age is no part of what must agree.
        hits = tuple(hit.model_copy(update={"explanation": None}) for hit in result.hits)
        return result.model_copy(update={"timings_ms": {}, "occurred_at": None, "hits": hits})

    def refreshes(self, outcome: str) -> float:
        """How many of its measurements ended so."""
        name = "crosscurrent_calibration_refreshes_total"
        return self.metrics.registry.get_sample_value(name, {"outcome": outcome}) or 0.0


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Closes what a test opened."""
    async with AsyncExitStack() as made:
        yield made


async def worker(settings: RedisSettings, batcher: DeviceBatcher, stack: AsyncExitStack) -> QueryWorker:
    """Start a worker as its process would."""
    index = RedisVectorIndex(settings, MODEL, DIMS, PROFILE)
    store = RedisCalibrationStore(settings, MODEL, DIMS)
    people = RedisPeopleStore(settings, PeopleSettings(), MODEL, DIMS)
    for one in (index, store, people):
        stack.push_async_callback(one.close)
    metrics, publisher = Metrics(Role.QUERIES), MemoryPublisher()
    keeper = CalibrationKeeper(index=index, store=store, prior=PRIOR, refresh_s=REFRESH_S, metrics=metrics)
    fetcher = await stack.enter_async_context(MediaFetcher(MediaSettings()))
    handler = QueryHandler(
        batcher=batcher,
        index=index,
        people=people,
        fetcher=fetcher,
        publisher=publisher,
        calibration=keeper,
        settings=QuerySettings(),
        media=MediaSettings(),
        results_topic="cc.results",
        max_event_bytes=MAX_EVENT_BYTES,
    )
    stack.callback(handler.close)
    await keeper.load()
    return QueryWorker(handler=handler, keeper=keeper, publisher=publisher, metrics=metrics)


async def write(settings: RedisSettings, batcher: DeviceBatcher, stack: AsyncExitStack, texts: list[str]) -> None:
    """Index texts, each with a sound as well."""
    index = RedisVectorIndex(settings, MODEL, DIMS, PROFILE)
    stack.push_async_callback(index.close)
    vectors: list[Any] = await batcher.encode_many([(Modality.TEXT, TextInput(text=text)) for text in texts])
    await index.write(
        [
            Item(
                item_id=ItemId(text),
                version=Version(1, 0),
                vectors={Modality.TEXT: vector, Modality.AUDIO: vectors[place - 1]},
            )
            for place, (text, vector) in enumerate(zip(texts, vectors, strict=True))
        ]
    )


async def until(condition: Any, *workers: QueryWorker) -> None:
    """Let the workers look until something is so."""
    async with asyncio.timeout(20):
        while not condition():
            for one in workers:
                await one.keeper.look()
            await asyncio.sleep(0.02)


async def test_workers_share_one_table(redis_url: str, prefix: str, stack: AsyncExitStack) -> None:
    """One of them measures; both, and one that starts later, give the same result to the last digit."""
    settings = RedisSettings(url=redis_url, prefix=prefix, shards=2)
    batcher = await stack.enter_async_context(batching())
    await write(settings, batcher, stack, [f"{one} {other}" for one in WORDS for other in WORDS])
    one, other = await worker(settings, batcher, stack), await worker(settings, batcher, stack)
    shipped = await one.ask("cat")
    assert await other.ask("cat") == shipped

    await until(lambda: PRIOR not in (one.keeper.table(), other.keeper.table()), one, other)
    later = await worker(settings, batcher, stack)
    measured = await one.ask("cat")

    assert measured != shipped
    assert await other.ask("cat") == await later.ask("cat") == measured
    assert one.keeper.table() == other.keeper.table() == later.keeper.table()
    assert one.refreshes("replaced") + other.refreshes("replaced") == 1


async def test_what_one_worker_was_asked_another_one_measures_with(
    redis_url: str, prefix: str, stack: AsyncExitStack
) -> None:
    """Queries are remembered for all, as vectors without a name, and go with their key."""
    settings = RedisSettings(url=redis_url, prefix=prefix)
    batcher = await stack.enter_async_context(batching())
    one, other = await worker(settings, batcher, stack), await worker(settings, batcher, stack)
    for word in WORDS:
        await one.ask(word)
    await one.keeper.look()

    store = RedisCalibrationStore(settings, MODEL, DIMS)
    stack.push_async_callback(store.close)
    remembered = await store.remembered(now_ms=other.keeper._clock())

    assert remembered.keys() == {Modality.TEXT}
    assert remembered[Modality.TEXT].shape == (len(WORDS), DIMS)


async def test_redis_that_goes_away_leaves_the_table(tmp_path: Path, prefix: str, stack: AsyncExitStack) -> None:
    """Refreshing fails and is counted, and queries have the table that they had."""
    batcher = await stack.enter_async_context(batching())
    server = EmbeddedRedis(tmp_path)
    with server:
        settings = RedisSettings(url=server.url, prefix=prefix, request_timeout_s=1)
        await write(settings, batcher, stack, [f"{one} {other}" for one in WORDS for other in WORDS[:4]])
        one = await worker(settings, batcher, stack)
        await until(lambda: one.keeper.table() != PRIOR, one)
        before = one.keeper.table()

    await one.keeper.look()

    assert one.keeper.table() == before
    assert one.refreshes("failed") == 1


@pytest.mark.parametrize(
    "tables",
    ["nonsense", "[{}]", '[{"measured_at_ms":1,"effective_at_ms":1,"items":{},"backgrounds":{"text>text":[0,0]}}]'],
)
async def test_what_is_not_understood_is_told_apart(
    redis_url: str, prefix: str, stack: AsyncExitStack, tables: str
) -> None:
    """A table without spread would fail every query: it is never used, and the way out is named."""
    settings = RedisSettings(url=redis_url, prefix=prefix)
    store = RedisCalibrationStore(settings, MODEL, DIMS)
    stack.push_async_callback(store.close)
    await store._connection.ask([("HSET", store._keys.calibration(), "revision", 1, "tables", tables)])

    with pytest.raises(Misconfigured, match="delete it"):
        await store.read()

    batcher = await stack.enter_async_context(batching())
    one = await worker(settings, batcher, stack)
    assert one.keeper.table() == PRIOR
    assert one.refreshes("failed") == 1
