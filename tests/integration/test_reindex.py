"""The index gets another model under workers that go on: each answer is of one model, and lacks nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from typer.testing import CliRunner

from config.errors import Misconfigured, RetryLater
from config.vocabulary import Action, ItemId, Modality, ModelRef, Role, UserId
from fusion.index import relayout
from fusion.index.followed_index import FollowedIndex
from fusion.index.layouts import OtherState
from fusion.people.protocol import Interaction
from fusion.people.redis_store import RedisPeopleStore
from tests.fusion_builders import item, unit
from tests.integration.delivery_kit import Ground, WorkerProcess, eventually, publish
from workers.contracts.result import Result
from workers.contracts.topics import Topic, stream_name, vectors_topic
from workers.operate import reindex
from workers.operate.cli import app
from workers.operate.client import AsyncClient
from workers.operate.embedded import EmbeddedRedis
from workers.operate.layout_desk import LayoutDesk
from workers.operate.rebuild import rebuild
from workers.streams.publisher import KafkaPublisher
from workers.streams.vectors_topic import VectorsTopic

OLD, NEW = ModelRef("deterministic", "1"), ModelRef("second", "2")
ITEMS = 40


@dataclass(kw_only=True)
class House:
    """Servers, settings files of both models, and what was answered so far."""

    ground: Ground
    publisher: KafkaPublisher
    configs: dict[ModelRef, Path]
    profile: Path
    answers: list[Result] = field(default_factory=list)

    def worker(self, role: Role, model: ModelRef) -> WorkerProcess:
        """Start a worker of one of the models."""
        name = "deterministic" if model == OLD else str(self.profile)
        self.ground.extra = {"CROSSCURRENT_MODEL__PROFILE": name, "CROSSCURRENT_QUERY__DEADLINE_MS": "20000"}
        return self.ground.worker(role)

    async def command(self, *options: str, model: ModelRef = OLD, code: int = 0) -> str:
        """What ``crosscurrent reindex`` prints."""
        arguments = ["--config", str(self.configs[model]), "reindex", *options]
        run = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        assert run.exit_code == code, run.output
        return run.output

    async def ask(self, client: AsyncClient, number: int) -> Result:
        """Ask for an item by its own text: both models find it first, among the others."""
        question = {
            "kind": "search",
            "parts": [{"modality": "text", "text": f"the cat number {number}"}],
            "k": 200,
            "explain": True,
        }
        return await client.query(question, timeout_s=20)

    def desk(self, model: ModelRef = OLD) -> LayoutDesk:
        """An operator's."""
        from config.settings import load_settings

        return LayoutDesk(load_settings(self.configs[model], {}))


@pytest.fixture
async def house(kafka_bootstrap: str, prefix: str, tmp_path: Path) -> AsyncIterator[House]:
    """A second model that needs no weights either, of another length."""
    profile = tmp_path / "second.yaml"
    modalities = {"text": None, "image": None}
    second = {"name": "second", "version": "2", "kind": "deterministic", "dims": 64, "modalities": modalities}
    profile.write_text(yaml.safe_dump(second))
    with EmbeddedRedis(tmp_path / "redis") as server:
        ground = Ground(kafka=kafka_bootstrap, redis=server.url, prefix=prefix, folder=tmp_path)
        configs = {}
        for model, name in ((OLD, "deterministic"), (NEW, str(profile))):
            configs[model] = tmp_path / f"{model.name}-settings.yaml"
            settings: dict[str, Any] = {
                "kafka": {"bootstrap_servers": kafka_bootstrap, "topic_prefix": prefix},
                "redis": {"url": server.url, "prefix": prefix},
                "model": {"profile": name},
                "query": {"deadline_ms": 300},
            }
            configs[model].write_text(yaml.safe_dump(settings))
        async with ground.publisher() as publisher:
            yield House(ground=ground, publisher=publisher, configs=configs, profile=profile)


@pytest.mark.slow
async def test_another_model_answers(house: House) -> None:
    """Begun, filled from the topic, compared, flipped, back, dropped, under writers and askers; then Redis is lost."""
    topic = house.ground.topic(Topic.CONTENT)
    stop = asyncio.Event()

    async def asking(client: AsyncClient) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            result = await house.ask(client, turn % ITEMS)
            assert result.error is None, result.error
            assert result.hits[0].item_id == f"item-{turn % ITEMS}"
            assert {hit.item_id for hit in result.hits} >= {f"item-{number}" for number in range(ITEMS)}
            house.answers.append(result)

    with (
        house.worker(Role.CONTENT, OLD) as old_content,
        house.worker(Role.QUERIES, OLD) as queries,
    ):
        await asyncio.gather(old_content.ready(), queries.ready())
        await publish(house.publisher, topic, range(ITEMS))
        await old_content.until(lambda: old_content.ended("done") >= ITEMS)
        await _like(house, OLD, 3, 4)
        async with AsyncClient(house.ground.settings) as client, asyncio.TaskGroup() as group:
            group.create_task(asking(client))
            filling = group.create_task(house.command("--profile", str(house.profile)))
            async with house.desk() as desk:
                await eventually(lambda: _is_begun(desk))
            with house.worker(Role.CONTENT, NEW) as new_content:
                await new_content.ready()
                await publish(house.publisher, topic, range(ITEMS, ITEMS + 20))
                told = await filling
                assert "content workers of the new model fill it" in told
                assert "rank correlation" in told
                async with house.desk() as desk:
                    await eventually(lambda: _is_held(desk))
                await house.command("--flip")
                await publish(house.publisher, topic, range(ITEMS + 20, ITEMS + 30))
                await new_content.until(lambda: new_content.ended("done") >= ITEMS + 30)
                await asyncio.sleep(1)
                await house.command("--back")
                await asyncio.sleep(1)
                await house.command("--flip")
                assert (await _taste(house, 4)) > 0.9
                await _like(house, OLD, 5)  # by an interaction worker that is not started again yet
                refused = await house.command("--drop", code=78)
                assert "run with deterministic@1" in refused
                stop.set()
    told = [(each.model, _layout(each)) for each in house.answers]
    changes = [one for place, one in enumerate(told) if not place or one != told[place - 1]]
    async with house.desk(NEW) as desk:
        name = (await desk.status()).live.name
    assert changes == [(str(OLD), None), (str(NEW), name), (str(OLD), None), (str(NEW), name)]

    with house.worker(Role.CONTENT, NEW) as content, house.worker(Role.QUERIES, NEW) as queries:
        await asyncio.gather(content.ready(), queries.ready())
        async with house.desk(NEW) as desk:
            await eventually(lambda: _is_alone(desk), 30)
        await house.command("--drop", model=NEW)
        assert (await _taste(house, 5)) > (await _taste(house, 3)) > 0.2
        async with AsyncClient(house.ground.settings) as client:
            result = await house.ask(client, 3)
        assert (result.model, result.hits[0].item_id, len(result.hits)) == (str(NEW), "item-3", ITEMS + 30)
    await _lose_and_rebuild(house)


async def _lose_and_rebuild(house: House) -> None:
    """What the new model made comes back from its own topic."""
    async with house.desk(NEW) as desk:
        with redis.Redis.from_url(desk.settings.redis.url.get_secret_value()) as client:
            client.flushall()
        done = (await rebuild(desk.settings, lambda *_: None)).vectors
        assert (done.items, dict(done.passed_over)) == (ITEMS + 30, {})
        assert (await _taste(house, 5)) > (await _taste(house, 3)) > 0.2
        index = FollowedIndex(desk.settings.redis, NEW, 64)
        assert len(await index.fetch([ItemId(f"item-{number}") for number in range(100)])) == ITEMS + 30
        await index.close()
    assert vectors_topic(house.ground.prefix, stream_name(NEW)).endswith(".vectors.second-2")


async def _like(house: House, model: ModelRef, *items: int) -> None:
    """Do what an interaction worker of a model does with likes of Ann's, each worth three times the one before."""
    async with house.desk(model) as desk:
        settings, space = desk.settings, desk.space
        index = FollowedIndex(settings.redis, space.model, space.dims)
        people = RedisPeopleStore(settings.redis, settings.people, space.model, space.dims)
        for number in items:
            item_id = ItemId(f"item-{number}")
            (item,) = (await index.fetch([item_id])).values()
            act = Interaction(
                event_id=f"like {number}",
                user_id=UserId("ann"),
                item_id=item_id,
                action=Action.LIKE,
                occurred_at_ms=time.time_ns() // 1_000_000,
                weight=3.0**number,
                vector=next(iter(item.vectors.values())),
            )
            assert await people.record([act]) == [True]
        await index.close()
        await people.close()


async def _taste(house: House, number: int) -> float:
    """How near Ann's taste is to an item, in the new model's space."""
    async with house.desk(NEW) as desk:
        settings = desk.settings
        index = FollowedIndex(settings.redis, NEW, 64)
        people = RedisPeopleStore(settings.redis, settings.people, NEW, 64)
        profile = await people.profile(UserId("ann"), now_ms=time.time_ns() // 1_000_000)
        (item,) = (await index.fetch([ItemId(f"item-{number}")])).values()
        await index.close()
        await people.close()
    assert profile is not None
    assert profile.vector is not None
    return float(profile.vector @ next(iter(item.vectors.values())))


async def _is_begun(desk: LayoutDesk) -> bool:
    return (await desk.status()).record is not None


async def _is_held(desk: LayoutDesk) -> bool:
    return all(str(NEW) in each.models for each in await desk.followers(Role.QUERIES))


async def _is_alone(desk: LayoutDesk) -> bool:
    return all(
        each.models == (str(NEW),) or str(OLD) not in each.models[:1] for each in (await desk.status()).followers
    )


def _layout(result: Result) -> str | None:
    assert result.explanation is not None
    return result.explanation.layout


async def test_a_flip_waits_for_the_model_and_for_its_content(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused while a query worker lacks the model, or while events are not encoded yet; a live model is no new one."""
    monkeypatch.setattr("workers.operate.layout_desk._CATCH_UP_S", 0.2)
    async with house.desk() as desk:
        with pytest.raises(Misconfigured, match="as the index is"):
            await reindex.begin(desk, "deterministic", None)
        await relayout.finish(desk.layouts, await reindex.begin(desk, str(house.profile), None))
        await desk.layouts.follow("queries:one", 2, [OLD])
        with pytest.raises(Misconfigured, match="queries:one cannot answer with second@2"):
            await desk.flip()
        await desk.layouts.follow("queries:one", 2, [OLD, NEW])
        await publish(house.publisher, house.ground.topic(Topic.CONTENT), range(3))
        with pytest.raises(Misconfigured, match="3 events behind"):
            await desk.flip()
        assert (await desk.two()).state is OtherState.FILLED


async def test_begun_again_it_holds_what_was_made_before(house: House) -> None:
    """The group of the new model does not read events again that it is done with: their vectors come from its topic."""
    async with house.desk() as desk:
        await reindex.begin(desk, str(house.profile), None)
        topic = vectors_topic(house.ground.prefix, stream_name(NEW))
        index = FollowedIndex(desk.settings.redis, NEW, 64)
        made = [item(f"item-{number}", vectors={Modality.TEXT: unit(number, 64)}) for number in range(9)]
        await VectorsTopic(topic, house.publisher, index).publish(made)
        await index.write(made)
        await desk.drop()

        await reindex.until_filled(desk, await reindex.begin(desk, str(house.profile), None), lambda *_: None)
        await desk.flip()

        await index.follow("content:new")
        assert len(await index.fetch([each.item_id for each in made])) == 9
        await index.close()


async def test_workers_of_the_model_that_was_given_up(house: House) -> None:
    """They write nowhere, are told why, and do not start again; the first layout is left alone."""
    async with house.desk() as desk:
        settings = desk.settings.redis
        old = FollowedIndex(settings, OLD, 256)
        await old.check()
        await relayout.finish(desk.layouts, await reindex.begin(desk, str(house.profile), None))
        await desk.flip()
        await desk.drop()
        await old.follow("content:old")
        with pytest.raises(RetryLater, match="set to that one's, or stop it"):
            await old.write([item("i", vectors={Modality.TEXT: unit(1, 256)})])
        with pytest.raises(Misconfigured, match="set to that one's, or stop it"):
            await old.check()
        await old.close()
