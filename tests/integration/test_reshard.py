"""The index gets another number of shards under writers and readers: nothing is missed, nothing is mixed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import redis
import yaml
from typer.testing import CliRunner

from config.errors import Misconfigured, RetryLater
from config.settings import Settings
from config.vocabulary import ItemId, Modality, Role, UserId, Version
from encoders.identity import identify
from fusion.index import relayout
from fusion.index.followed_index import FollowedIndex
from fusion.index.layouts import Layout
from fusion.index.protocol import Item, Tombstone, WriteOutcome
from fusion.index.redis_index import RedisVectorIndex
from fusion.people.redis_store import RedisPeopleStore
from tests.fusion_builders import item, passage, tombstone, unit
from tests.integration.delivery_kit import Ground, publish
from workers.contracts.topics import Topic
from workers.operate import reshard
from workers.operate.cli import app
from workers.operate.client import AsyncClient
from workers.operate.embedded import EmbeddedRedis
from workers.operate.layout_desk import LayoutDesk, Status
from workers.operate.rebuild import rebuild
from workers.streams.layouts import Follower
from workers.streams.publisher import KafkaPublisher
from workers.streams.vectors_topic import VectorsTopic

ITEMS = 200


@dataclass(kw_only=True)
class House:
    """Topics, a Redis of one's own, and what a content worker has of both."""

    settings: Settings
    publisher: KafkaPublisher
    index: FollowedIndex
    config: Path
    ground: Ground
    written: dict[ItemId, Item | Tombstone] = field(default_factory=dict)

    async def write(self, *changes: Item | Tombstone) -> list[WriteOutcome]:
        """Do what a content worker does with changes, in its order."""
        topic = Topic.VECTORS.named(self.settings.kafka.topic_prefix)
        await VectorsTopic(topic, self.publisher, self.index).publish(changes)
        outcomes = await self.index.write(changes)
        self.written |= {change.item_id: change for change in changes}
        return outcomes

    def redis(self) -> "redis.Redis[bytes]":
        """The server itself."""
        return redis.Redis.from_url(self.settings.redis.url.get_secret_value())

    def desk(self) -> LayoutDesk:
        """An operator's."""
        return LayoutDesk(self.settings)

    async def expect_all_in(self, index: RedisVectorIndex) -> None:
        """Every item is there in its last version, whole, and what was deleted is not."""
        held = await index.fetch_whole(list(self.written))
        last = {item_id: each for item_id, each in self.written.items() if isinstance(each, Item)}
        assert held.keys() == last.keys()
        for item_id, each in last.items():
            assert held[item_id].version == each.version
            assert held[item_id].attributes == each.attributes
            assert len(held[item_id].segments) == len(each.segments)
            for modality, vector in each.vectors.items():
                np.testing.assert_array_equal(held[item_id].vectors[modality], vector)
        for modality, count in (await index.counts()).items():
            assert count == sum(modality in each.vectors for each in last.values())


@pytest.fixture
async def house(kafka_bootstrap: str, prefix: str, tmp_path: Path) -> AsyncIterator[House]:
    """Two shards, and the encoders that need no weights."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        ground = Ground(kafka=kafka_bootstrap, redis=server.url, prefix=prefix, folder=tmp_path)
        known = ground.settings
        settings = known.model_copy(
            update={
                "redis": known.redis.model_copy(update={"shards": 2}),
                "query": known.query.model_copy(update={"deadline_ms": 300}),
            }
        )
        config = tmp_path / "settings.yaml"
        config.write_text(
            yaml.safe_dump(
                {
                    "kafka": {"bootstrap_servers": kafka_bootstrap, "topic_prefix": prefix},
                    "redis": {"url": server.url, "prefix": prefix, "shards": 2},
                    "model": {"profile": "deterministic"},
                    "query": {"deadline_ms": 300},
                }
            )
        )
        space = identify(settings.model)
        index = FollowedIndex(settings.redis, space.model, space.dims)
        await index.check()
        async with ground.publisher() as publisher:
            yield House(settings=settings, publisher=publisher, index=index, config=config, ground=ground)
        await index.close()


def some_item(number: int, at_ms: int, dims: int) -> Item:
    """An item of one to three modalities with attributes and a segment."""
    kinds = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)
    return item(
        f"item-{number}",
        at_ms=at_ms,
        vectors={kind: unit(at_ms + place, dims) for place, kind in enumerate(kinds[: 1 + number % 3])},
        attributes={"n": number, "at": at_ms},
        segments=[passage("a passage", unit(number, dims))],
    )


async def fill_first(house: House, count: int = ITEMS) -> None:
    """Items in the first layout, one of them deleted."""
    await house.write(*(some_item(number, 1000 + number, house.index.dims) for number in range(count)))
    await house.write(tombstone("item-7", at_ms=5000))


async def both(desk: LayoutDesk, check: Callable[[RedisVectorIndex], Awaitable[None]]) -> None:
    """Look at the live layout and at the other one."""
    async with desk.open(await desk.two()) as indexes:
        for index in indexes:
            await check(index)


def nothing(*_: object) -> None:
    """Tell nobody."""


async def test_writes_go_on_while_it_is_filled_and_both_hold_all(house: House) -> None:
    """Items new, changed, deleted and brought back meanwhile are in both in their last version, nothing else."""
    await fill_first(house)
    stop = asyncio.Event()

    async def worker(place: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            number, at_ms = (17 * turn + place) % (2 * ITEMS) // 2 * 2 + place, 10_000 + turn
            gone = turn % 5 == 0
            await house.write(
                tombstone(f"item-{number}", at_ms=at_ms) if gone else some_item(number, at_ms, house.index.dims)
            )

    async with house.desk() as desk, asyncio.TaskGroup() as group:
        for place in range(2):
            group.create_task(worker(place))
        await asyncio.sleep(0.3)
        done = await reshard.fill(desk, 5, nothing)
        await asyncio.sleep(0.3)
        stop.set()
    assert done.items + done.deletions > 0
    async with house.desk() as desk:
        await both(desk, house.expect_all_in)
        found = await reshard.compare_layouts(desk, 60)
    assert len(found.answers) == 60
    assert found.identical == 60, [each.label for each in found.differing]
    assert found.live_items == found.other_items


async def test_a_writer_that_has_not_heard_writes_to_both(house: House) -> None:
    """It read the record before; its next write is refused, and done again in both layouts, with one outcome."""
    await fill_first(house, 10)
    async with house.desk() as desk:
        new = Layout(name="new", shards=3, model=house.index.model)
        home = desk.layouts.home(house.index.model)
        await relayout.begin(desk.layouts, house.settings.redis, home, new, house.index.dims)
        assert house.index.generation == 0

        outcomes = await house.index.write([some_item(3, 9_000, house.index.dims), tombstone("item-4", at_ms=2)])

        assert outcomes == [WriteOutcome.APPLIED, WriteOutcome.STALE]
        assert house.index.generation == 1
        async with desk.open(await desk.two()) as (live, other):
            for index in (live, other):
                assert (await index.versions([ItemId("item-3")]))["item-3"] == Version(9_000, 0)


async def test_flip_back_and_drop(house: House) -> None:
    """Each layout goes on following the stream until it is dropped; a dropped one leaves nothing, people stay."""
    await fill_first(house)
    space = identify(house.settings.model)
    people = RedisPeopleStore(house.settings.redis, house.settings.people, space.model, space.dims)
    await people.forget(UserId("ann"), occurred_at_ms=5)
    async with house.desk() as desk:
        await reshard.fill(desk, 5, nothing)
        with pytest.raises(Misconfigured, match="was not live before"):
            await desk.back()

        await desk.flip()
        await house.write(some_item(1, 20_000, house.index.dims))
        await both(desk, house.expect_all_in)
        assert (await desk.status()).live.shards == 5

        await desk.back()
        await house.write(some_item(2, 21_000, house.index.dims), tombstone("item-3", at_ms=21_000))
        await both(desk, house.expect_all_in)
        assert (await desk.status()).live.shards == 2

        await desk.flip()
        late = RedisVectorIndex(house.settings.redis, space.model, space.dims, generation=house.index.generation)
        await desk.drop()
        with pytest.raises(Misconfigured, match="may not be written to"):
            await late.write([some_item(4, 30_000, house.index.dims)])
        await late.close()
    await house.write(some_item(5, 31_000, house.index.dims))
    await house.index.check()
    live = await house.index.live()
    assert live.layout.shards == 5
    await house.expect_all_in(live)
    with house.redis() as client:
        first = {key for key in client.keys("*") if b":item:" in key or b":vec:" in key}
        assert all(live.layout.name.encode() in key for key in first)
    assert await people.forgotten_ms(UserId("ann")) == 5
    await people.close()


async def test_only_what_is_filled_can_be_flipped_to(house: House) -> None:
    """Not while it is being filled, not when it lacks items that are on no topic; and two at a time are enough."""
    await fill_first(house, 20)
    async with house.desk() as desk:
        new = Layout(name="new", shards=3, model=house.index.model)
        home = desk.layouts.home(house.index.model)
        await relayout.begin(desk.layouts, house.settings.redis, home, new, house.index.dims)
        with pytest.raises(Misconfigured, match="cannot be flipped to"):
            await desk.flip()
        with pytest.raises(Misconfigured, match="second layout is there already"):
            await reshard.fill(desk, 4, nothing)
        done = await reshard.fill(desk, 3, nothing)  # the same again goes on
        assert done.items + done.deletions >= 20
        async with desk.open(await desk.two()) as (live, _):
            await live.write([some_item(999, 1, house.index.dims)])
        with pytest.raises(Misconfigured, match=r"lacks items.*1 of text"):
            await desk.flip()
        await desk.drop()
        assert (await desk.status()).live.shards == 2


async def test_redis_is_emptied_meanwhile(house: House) -> None:
    """The record goes with everything else: the settings hold again, for the worker, the fill and the rebuild."""
    await fill_first(house)
    async with house.desk() as desk:
        await reshard.fill(desk, 5, nothing)
        await desk.flip()
        await house.write(some_item(1, 20_000, house.index.dims))
        record = await desk.two()
        with house.redis() as client:
            client.flushall()

        await house.write(some_item(2, 21_000, house.index.dims))
        done = (await rebuild(house.settings, nothing)).vectors

        async with desk.open(record) as (_, other):
            with pytest.raises(Misconfigured, match="may not be written to"):
                await other.write([some_item(3, 22_000, house.index.dims)])
    live = await house.index.live()
    assert live.layout.shards == 2
    assert done.items == ITEMS - 2  # one deleted, one written by the worker since
    await house.expect_all_in(live)


async def test_the_record_alone_is_lost(house: House) -> None:
    """Nobody writes where nobody may read; the rebuild starts anew where the settings say."""
    await fill_first(house, 40)
    async with house.desk() as desk:
        await reshard.fill(desk, 5, nothing)
    await house.index.close()
    house.index = FollowedIndex(house.settings.redis, house.index.model, house.index.dims)  # a worker that comes anew
    with house.redis() as client:
        client.delete(f"{{{house.settings.redis.prefix}:0}}:layout")

    with pytest.raises(RetryLater, match="record of its layouts was lost"):
        await house.write(some_item(1, 20_000, house.index.dims))
    await rebuild(house.settings, nothing)
    await house.write(some_item(2, 20_000, house.index.dims))

    assert (await house.index.versions([ItemId("item-1")]))["item-1"] == Version(20_000, 0)
    live = await house.index.live()
    assert live.layout.shards == 2
    house.written[ItemId("item-1")] = some_item(1, 20_000, house.index.dims)
    await house.expect_all_in(live)


async def test_a_shard_that_lost_its_keys_is_written_to_again(house: House) -> None:
    """A node of a cluster lost everything, the record is elsewhere: fences are put up again by whoever writes."""
    await fill_first(house)
    async with house.desk() as desk:
        await reshard.fill(desk, 3, nothing)
    await house.write(some_item(1, 20_000, house.index.dims))
    with house.redis() as client:
        lost = [key for key in client.keys("*") if b":1}" in key]
        client.delete(*lost)

    await house.write(*(some_item(number, 21_000, house.index.dims) for number in range(ITEMS)))

    async with house.desk() as desk:
        await both(desk, house.expect_all_in)


@pytest.mark.slow
async def test_workers_answer_all_the_time(house: House) -> None:
    """Content and query workers run, the commands are given: each answer has every item, from one layout each."""
    environment = {"CROSSCURRENT_REDIS__SHARDS": "2", "CROSSCURRENT_QUERY__DEADLINE_MS": "20000"}
    house.ground.extra = {**house.ground.extra, **environment}
    topic, asked, layouts = house.ground.topic(Topic.CONTENT), 0, list[str | None]()
    question = {
        "kind": "search",
        "parts": [{"modality": "text", "text": "the cat"}],
        "k": 200,
        "explain": True,
    }
    with house.ground.worker(Role.CONTENT) as content, house.ground.worker(Role.QUERIES) as queries:
        await asyncio.gather(content.ready(), queries.ready())
        await publish(house.publisher, topic, range(60))
        await content.until(lambda: content.ended("done") >= 60)
        stop = asyncio.Event()

        async def ask(client: AsyncClient) -> None:
            nonlocal asked
            while not stop.is_set():
                result = await client.query(question, timeout_s=20)
                assert result.error is None, result.error
                assert {f"item-{number}" for number in range(60)} <= {hit.item_id for hit in result.hits}
                assert result.explanation is not None
                layouts.append(result.explanation.layout)
                asked += 1

        async def write() -> None:
            for number in range(60, 150):
                await publish(house.publisher, topic, range(number, number + 1))
                await publish(house.publisher, topic, range(number % 60, number % 60 + 1))
                await asyncio.sleep(0.05)

        async with AsyncClient(house.settings) as client, asyncio.TaskGroup() as group:
            group.create_task(ask(client))
            writing = group.create_task(write())
            await command(house, "--shards", "5", "--flip")
            await asyncio.sleep(1)
            await command(house, "--back")
            await asyncio.sleep(1)
            await command(house, "--flip")
            told = await command(house, "--drop")
            await writing
            await content.until(lambda: content.ended("done") + content.ended("stale") >= 60 + 180)
            await asyncio.sleep(1)
            stop.set()
    live = (await desk_status(house)).live
    assert "1 content, 1 queries" in told
    assert [name for place, name in enumerate(layouts) if name != (layouts[place - 1] if place else None)] == [
        live.name,
        None,
        live.name,
    ]  # the first one had no name
    assert asked > 20
    assert (await (await house.index.live()).counts())[Modality.TEXT] == 150


async def command(house: House, *options: str) -> str:
    """What ``crosscurrent reshard`` prints."""
    run = await asyncio.to_thread(CliRunner().invoke, app, ["--config", str(house.config), "reshard", *options])
    assert run.exit_code == 0, run.output
    return run.stdout


async def desk_status(house: House) -> Status:
    """Which layouts there are."""
    async with house.desk() as desk:
        return await desk.status()


async def test_the_drop_waits_for_whoever_reads(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that follows no more keeps the layout it may read from being deleted."""
    monkeypatch.setattr("workers.operate.layout_desk.ALIVE_S", 0.5)
    await fill_first(house, 20)
    reader = FollowedIndex(house.settings.redis, house.index.model, house.index.dims)
    follower = Follower(Role.QUERIES, reader)
    await follower.look()
    async with house.desk() as desk:
        await reshard.fill(desk, 3, nothing)
        status = await desk.flip()
        assert [each.generation for each in status.behind] == [0]
        with pytest.raises(Misconfigured, match="may read it still"):
            await desk.drop()
        assert len(await reader.fetch([ItemId("item-1")])) == 1
        await follower.look()
        await follower.look()
        await desk.drop()
        assert (await desk.status()).followers[0].generation == 4
    assert (await reader.live()).layout.shards == 3
    await reader.close()
