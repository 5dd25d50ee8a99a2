"""The index against a real Redis: atomic writes, trouble told apart, filters that agree, Redis Cluster."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import Misconfigured, RetryLater
from config.settings import RedisSettings
from config.vocabulary import ItemId, Modality, ModelRef, Version
from fusion.answer import answer
from fusion.index import redis_shard
from fusion.index.connection import Command, RedisConnection
from fusion.index.filter_plan import Plan, Way
from fusion.index.filters import parse_filter
from fusion.index.protocol import FUSED, Item, VectorSearch, WriteOutcome
from fusion.index.redis_index import RedisVectorIndex
from fusion.index.redis_layouts import RedisLayouts
from fusion.request import QueryPart, RankingRequest
from tests.fusion_builders import DIMS, MODEL, item, tombstone, unit
from workers.operate.embedded import EmbeddedRedis


@pytest.fixture
async def index(redis_url: str, prefix: str) -> AsyncIterator[RedisVectorIndex]:
    """An empty index over three shards."""
    made = RedisVectorIndex(RedisSettings(url=redis_url, prefix=prefix, shards=3), MODEL, DIMS)
    yield made
    await made.close()


@pytest.fixture
def server(redis_url: str) -> Iterator[Any]:
    """A plain client, to look behind the index."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


def search(vector: Any, **changes: Any) -> VectorSearch:
    """A search among texts."""
    return VectorSearch(**{"target": Modality.TEXT, "vector": vector, "count": 10, **changes})


class TestWriting:
    """One script a change."""

    async def test_writers_that_overlap_never_mix_versions(self, index: RedisVectorIndex, redis_url: str) -> None:
        """Two writers race with the same versions of one item: vectors, attributes and version stay together."""
        other = RedisVectorIndex(index._settings, MODEL, DIMS)
        versions = [
            item("a", at_ms=number, vectors={Modality.TEXT: unit(number)}, attributes={"n": number})
            for number in range(60)
        ]
        shuffled = [versions[place] for place in np.random.default_rng(1).permutation(60)]

        outcomes = await asyncio.gather(
            *(
                writer.write([each])
                for pair in zip(versions, shuffled, strict=True)
                for writer, each in zip((index, other), pair, strict=True)
            )
        )

        read = (await index.fetch([ItemId("a")]))[ItemId("a")]
        assert (read.version, read.attributes) == (Version(59, 0), {"n": 59})
        np.testing.assert_array_equal(read.vectors[Modality.TEXT], unit(59))
        (found,) = (await index.search([search(unit(59), filter=".n == 59")])).neighbours
        assert found[0].cosine == pytest.approx(1.0, abs=0.01)
        assert sum(outcome == [WriteOutcome.APPLIED] for outcome in outcomes) < 120
        await other.close()

    async def test_a_write_refused_half_way_is_done_again_whole(self, index: RedisVectorIndex, server: Any) -> None:
        """The version is stored last, so what failed in between is no replay."""
        shard = index._keys.shard_of("a")
        blocked = index._keys.vectors(shard, FUSED)
        server.set(blocked, "not a vector set")
        with pytest.raises(Misconfigured, match=r"redis\.prefix"):
            await index.write([item("a")])
        assert await index.fetch([ItemId("a")]) == {}

        server.delete(blocked)

        assert await index.write([item("a")]) == [WriteOutcome.APPLIED]
        assert set(await index.fetch([ItemId("a")])) == {"a"}

    async def test_a_server_that_lost_its_scripts_is_no_trouble(self, index: RedisVectorIndex, server: Any) -> None:
        """After a restart or failover the first call of each batch brings the script along."""
        await index.write([item("a")])
        server.script_flush()

        assert await index.write([item("b"), item("c")]) == [WriteOutcome.APPLIED] * 2

    async def test_two_models_live_side_by_side(self, index: RedisVectorIndex) -> None:
        """The same event is written for each model, with its own vectors and version."""
        new = RedisVectorIndex(index._settings, ModelRef("test", "2"), DIMS * 2)
        await index.write([item("a")])

        assert await new.write([item("a", vectors={Modality.TEXT: unit(5, DIMS * 2)})]) == [WriteOutcome.APPLIED]

        assert (await index.fetch([ItemId("a")]))[ItemId("a")].vectors[Modality.TEXT].shape == (DIMS,)
        assert await new.write([tombstone("a", at_ms=2000)]) == [WriteOutcome.APPLIED]
        assert set(await index.fetch([ItemId("a")])) == {"a"}
        await new.close()

    async def test_deleting_and_writing_thousands_of_times_is_survived(self, index: RedisVectorIndex) -> None:
        """VREM has crashed servers: a stress of our own (redis/redis#15424)."""
        for turn in range(10):
            names = [f"i{place}" for place in range(60)]
            await index.write([item(name, at_ms=2 * turn) for name in names])
            await asyncio.gather(
                index.write([tombstone(name, at_ms=2 * turn + 1) for name in names]),
                index.search([search(unit(turn))]),
            )
        assert (await index.counts())[Modality.TEXT] == 0
        await index.check()


class TestTrouble:
    """Each kind of trouble is the right instruction."""

    async def test_a_server_that_is_away_is_waited_for(self, prefix: str) -> None:
        """Nothing is wrong with the event."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"redis://127.0.0.1:{taken.getsockname()[1]}"
            away = RedisVectorIndex(RedisSettings(url=url, prefix=prefix), MODEL, DIMS)
            for attempt in (
                away.write([item("a")]),
                away.search([search(unit(1))]),
                away.fetch([ItemId("a")]),
                away.check(),
            ):
                with pytest.raises(RetryLater):
                    await attempt
            await away.close()

    async def test_a_server_that_was_silent_answers_the_next_question_and_no_earlier_one(self, tmp_path: Path) -> None:
        """Whoever gives up at a deadline leaves no reply behind that somebody else would read as theirs."""
        with EmbeddedRedis(tmp_path) as own, redis.Redis.from_url(own.url) as client:
            index = RedisVectorIndex(RedisSettings(url=own.url, max_connections=2), MODEL, DIMS)
            await index.write([item(f"i{n}", vectors={Modality.TEXT: unit(n)}) for n in range(20)])
            clock = asyncio.get_running_loop()
            client.execute_command("CLIENT", "PAUSE", 800, "ALL")
            began = clock.time()
            given_up = [
                asyncio.create_task(index.search([search(unit(n), count=3, deadline=began + 0.2)])) for n in range(4)
            ]
            for task in given_up:
                with pytest.raises(RetryLater, match="deadline"):
                    await task
            assert clock.time() - began < 0.7

            lists = [(await index.search([search(unit(n))])).neighbours[0] for n in range(20)]

            assert [found[0].item_id for found in lists] == [f"i{n}" for n in range(20)]
            await index.close()

    async def test_an_address_that_is_none_is_refused_without_its_password(self) -> None:
        """Secrets are never printed."""
        with pytest.raises(Misconfigured) as caught:
            RedisVectorIndex(RedisSettings(url="http://:hunter2@host"), MODEL, DIMS)

        assert "redis.url" in str(caught.value)
        assert "hunter2" not in str(caught.value)

    async def test_a_wrong_password_is_an_operators_matter(self, tmp_path: Path) -> None:
        """Not something to retry for ever."""
        with EmbeddedRedis(tmp_path) as own:
            with redis.Redis.from_url(own.url) as client:
                client.config_set("requirepass", "right")
            locked = RedisVectorIndex(RedisSettings(url=own.url.replace("redis://", "redis://:wrong@")), MODEL, DIMS)
            with pytest.raises(Misconfigured, match=r"redis\.url"):
                await locked.check()
            await locked.close()

    async def test_another_number_of_shards_is_noticed(self, index: RedisVectorIndex, redis_url: str) -> None:
        """Items would be looked for where they are not."""
        await index.check()
        other = RedisVectorIndex(index._settings.model_copy(update={"shards": 2}), MODEL, DIMS)
        with pytest.raises(Misconfigured, match="laid out with 3"):
            await other.check()
        await other.close()

    async def test_vectors_of_another_length_are_noticed(self, index: RedisVectorIndex) -> None:
        """At the start, not at the first write."""
        await index.write([item(f"i{place}") for place in range(9)])
        longer = RedisVectorIndex(index._settings, MODEL, DIMS + 1)
        with pytest.raises(Misconfigured, match="length 32"):
            await longer.check()
        with pytest.raises(Misconfigured, match="another name or version"):
            await longer.write([item("i1", at_ms=9000, vectors={Modality.TEXT: unit(1, DIMS + 1)})])
        await longer.close()

    async def test_another_quantisation_is_noticed(self, index: RedisVectorIndex) -> None:
        """Redis refuses it, and the refusal says which setting."""
        await index.write([item("a")])
        other = RedisVectorIndex(index._settings.model_copy(update={"quantisation": "NOQUANT"}), MODEL, DIMS)
        with pytest.raises(Misconfigured, match=r"redis\.quantisation"):
            await other.write([item("a", at_ms=9000, vectors={Modality.TEXT: unit(8)})])
        await other.close()


class TestFilling:
    """Whatever way a filtered search is begun, its list is filled."""

    @pytest.fixture
    async def filled(self, index: RedisVectorIndex) -> RedisVectorIndex:
        """Of 1,500 items 30 are rare, spread over three shards."""
        for start in range(0, 1500, 250):
            await index.write(
                [
                    item(f"i{n}", vectors={Modality.TEXT: unit(n)}, attributes={"rare": int(n % 50 == 0)})
                    for n in range(start, start + 250)
                ]
            )
        return index

    @pytest.mark.parametrize("way", Way)
    @pytest.mark.parametrize("listed", [3, 1000])
    @pytest.mark.parametrize("more", [None, Plan(Way.GRAPH, 2), Plan(Way.GRAPH, 100_000)])
    async def test_a_short_list_is_filled_from_any_plan(
        self, filled: RedisVectorIndex, way: Way, listed: int, more: Plan | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two steps through the graph find nothing rare; more steps, a listing or a scan find all of it."""
        monkeypatch.setattr(redis_shard, "plan_filtered", lambda *_: Plan(way, 2))
        monkeypatch.setattr(redis_shard, "wider", lambda *_: more)
        monkeypatch.setattr(redis_shard, "LISTED", listed)

        report = await filled.search([search(unit(3), filter=".rare == 1", count=25), search(unit(3))])

        exact = sorted(range(0, 1500, 50), key=lambda n: -float(unit(n) @ unit(3)))[:25]
        rare = {neighbour.item_id for neighbour in report.neighbours[0]}
        assert len(rare) == 25
        assert len(rare & {f"i{n}" for n in exact}) >= 24
        assert (report.unfilled, len(report.neighbours[1])) == ((), 10)

    async def test_a_list_that_there_is_no_time_to_fill_is_said_to_be_short(
        self, filled: RedisVectorIndex, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was found by then is the answer, and the ranking warns."""
        monkeypatch.setattr(redis_shard, "plan_filtered", lambda *_: Plan(Way.GRAPH, 2))
        filled._connection.__class__ = SlowScans
        part = QueryPart(modality=Modality.TEXT, vector=unit(0))
        now = asyncio.get_running_loop().time()

        report = await filled.search([search(unit(3)), search(unit(0), filter=".rare == 1", deadline=now + 0.5)])
        ranking = await answer(RankingRequest(parts=(part,), filter=".rare == 1", deadline=now + 1.5), filled, {})

        assert (report.unfilled, report.failed_shards) == ((1,), ())
        assert "filter" in ranking.warnings[0]
        assert ranking.failed_shards == ()


class SlowScans(RedisConnection):
    """A connection over which looking at every item takes longer than anyone waits."""

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """As always, but for scans."""
        if any("TRUTH" in command for command in commands):
            await asyncio.sleep(30)
        return await super().ask(commands)


class TestCache:
    """Items are sent once, and never believed unseen."""

    async def test_what_is_held_is_not_sent_again(self, index: RedisVectorIndex) -> None:
        """The second reading moves a word an item."""
        await index.check()
        names = [ItemId(f"i{place}") for place in range(600)]
        await index.write([item(name, attributes={"name": name}) for name in names])
        first = await index.fetch(names)
        index._connection.__class__ = Weighing
        second = await index.fetch(names)

        assert {name: read.attributes for name, read in second.items()} == {name: {"name": name} for name in names}
        assert all(second[name] is first[name] for name in names)
        assert Weighing.vectors_sent == 0

    @pytest.mark.parametrize("named_anew", [False, True])
    async def test_a_flushed_and_refilled_store_is_another_store(
        self, index: RedisVectorIndex, server: Any, named_anew: bool
    ) -> None:
        """The same version may name something else then, whether or not a worker has started since."""
        await index.check()
        await index.write([item("a", attributes={"v": 1})])
        await index.fetch([ItemId("a")])
        server.delete(*server.keys(f"*{index._keys.prefix}*"))
        other = RedisVectorIndex(index._settings, MODEL, DIMS)
        if named_anew:
            await other.check()
        await other.write([item("a", attributes={"v": 2})])

        for _ in range(3):
            assert (await index.fetch([ItemId("a")]))[ItemId("a")].attributes == {"v": 2}
        await other.close()

    async def test_another_process_writes(self, index: RedisVectorIndex) -> None:
        """As the content worker does: the query worker's next reading sees it."""
        await index.check()
        writer = RedisVectorIndex(index._settings, MODEL, DIMS)
        for turn in range(50):
            await writer.write([item("a", at_ms=turn, vectors={Modality.TEXT: unit(turn)}, attributes={"turn": turn})])
            read = (await index.fetch([ItemId("a")]))[ItemId("a")]
            assert read.attributes == {"turn": turn}
            np.testing.assert_array_equal(read.vectors[Modality.TEXT], unit(turn))
        await writer.close()

    async def test_readers_and_writers_that_overlap_read_whole_items(self, index: RedisVectorIndex) -> None:
        """Version, vectors and attributes belong together in every reading, under a cache too small for all."""
        small = RedisVectorIndex(index._settings.model_copy(update={"item_cache_mb": 1}), MODEL, DIMS)
        await small.check()
        names = [ItemId(f"i{place}") for place in range(900)]

        async def write() -> None:
            for turn in range(5):
                vectors = {Modality.TEXT: unit(turn)}
                await index.write([item(n, at_ms=turn, vectors=vectors, attributes={"t": turn}) for n in names])

        async def read() -> None:
            for _ in range(8):
                for each in (await small.fetch(names)).values():
                    turn = each.version.occurred_at_ms
                    assert each.attributes == {"t": turn}
                    np.testing.assert_array_equal(each.vectors[Modality.TEXT], unit(turn))

        await asyncio.gather(write(), read(), read())
        assert {each.attributes["t"] for each in (await small.fetch(names)).values()} == {4}
        await small.close()


class Weighing(RedisConnection):
    """Counts the vectors that come back."""

    vectors_sent = 0

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """As always, and count."""
        replies = await super().ask(commands)
        Weighing.vectors_sent += sum(isinstance(each, list) for reply in replies for each in reply)
        return replies


class OneShardDown(RedisConnection):
    """A connection on which one shard's keys cannot be asked for."""

    tag = "{never}"

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """As always, but for that shard."""
        if any(self.tag in str(word) for command in commands for word in command):
            message = "that shard is away"
            raise RetryLater(message)
        return await super().ask(commands)


class OneShardHangs(OneShardDown):
    """A connection on which one shard never answers."""

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """As always, but for that shard."""
        if any(self.tag in str(word) for command in commands for word in command):
            await asyncio.sleep(30)
        return await super().ask(commands)


class NotReadable(OneShardDown):
    """A connection on which one shard's items cannot be read any more."""

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """As always, but for scripts on that shard."""
        scripts = [command for command in commands if command[0] in {"EVAL", "EVALSHA"}]
        return await (super().ask(commands) if scripts else RedisConnection.ask(self, commands))


class TestFailedShards:
    """A lost shard degrades answers, it does not end them."""

    async def test_the_others_answer(self, index: RedisVectorIndex, prefix: str) -> None:
        """The report and the ranking name the shard; its items are missing."""
        names = [f"i{place}" for place in range(60)]
        await index.write([item(name, vectors={Modality.TEXT: unit(1)}) for name in names])
        broken = OneShardDown(index._settings)
        broken.tag = f"{{{prefix}:1}}"
        await index._connection.close()
        index._connection = broken

        report = await index.search([search(unit(1), count=60)])
        request = RankingRequest(parts=(QueryPart(modality=Modality.TEXT, vector=unit(1)),), k=60)
        ranking = await answer(request, index, {})

        there = {name for name in names if index._keys.shard_of(name) != 1}
        assert report.failed_shards == (1,)
        assert {neighbour.item_id for neighbour in report.neighbours[0]} == there
        assert {hit.item_id for hit in ranking.hits} == there
        assert ranking.failed_shards == (1,)
        assert "shards 1" in ranking.warnings[0]

    async def test_a_shard_that_hangs_costs_no_more_than_the_deadline(
        self, index: RedisVectorIndex, prefix: str
    ) -> None:
        """It counts as away: the others' answer comes in time, from the search and from the reading alike."""
        names = [ItemId(f"i{place}") for place in range(60)]
        await index.write([item(name, vectors={Modality.TEXT: unit(1)}) for name in names])
        index._connection.__class__ = OneShardHangs
        OneShardHangs.tag = f"{{{prefix}:1}}"
        there = {name for name in names if index._keys.shard_of(name) != 1}
        clock = asyncio.get_running_loop()
        began = clock.time()

        report = await index.search([search(unit(1), count=60, deadline=began + 0.3)])
        read = await index.read(names, deadline=began + 0.6)
        request = RankingRequest(
            parts=(QueryPart(modality=Modality.TEXT, vector=unit(1)),), k=60, deadline=clock.time() + 1
        )
        ranking = await answer(request, index, {})

        assert report.failed_shards == read.failed_shards == ranking.failed_shards == (1,)
        assert {neighbour.item_id for neighbour in report.neighbours[0]} == set(read.items) == there
        assert {hit.item_id for hit in ranking.hits} == there
        assert clock.time() - began < 2

    async def test_a_shard_that_goes_away_between_search_and_reading_leaves_the_others(
        self, index: RedisVectorIndex, prefix: str
    ) -> None:
        """Its items are missing, and the ranking says so."""
        names = [ItemId(f"i{place}") for place in range(60)]
        await index.write([item(name, vectors={Modality.TEXT: unit(1)}) for name in names])
        index._connection.__class__ = NotReadable
        NotReadable.tag = f"{{{prefix}:2}}"
        request = RankingRequest(parts=(QueryPart(modality=Modality.TEXT, vector=unit(1)),), k=60)

        ranking = await answer(request, index, {})

        assert {hit.item_id for hit in ranking.hits} == {name for name in names if index._keys.shard_of(name) != 2}
        assert ranking.failed_shards == (2,)
        with pytest.raises(RetryLater):
            await index.fetch(names)

    async def test_without_any_shard_it_is_tried_again(self, index: RedisVectorIndex, prefix: str) -> None:
        """An empty answer would be a lie."""
        broken = OneShardDown(index._settings)
        broken.tag = prefix
        await index._connection.close()
        index._connection = broken
        with pytest.raises(RetryLater):
            await index.search([search(unit(1))])


ATTRIBUTES: list[dict[str, Any]] = [
    {"a": 1, "b": "x", "c": ["x", "y"], "d": True},
    {"a": -2.5, "b": "10", "c": [], "d": False},
    {"a": 0, "b": "", "c": ["10", "猫"]},
    {"a": 2021, "b": "猫 x", "d": True},
    {"b": "5", "c": ["5"]},
    {"a": 1e3, "b": "'q", "c": ["x"], "d": False},
]

literals = st.sampled_from(
    ["0", "1", "-2.5", "10", "5", "2021", "1e3", '"x"', '"10"', '""', "'猫'", '"5"', '"\'q"', "'y'"]
)
fields = st.sampled_from([".a", ".b", ".c", ".d", ".a", ".b", ".missing"])
lists = st.lists(literals, max_size=3).map(lambda members: f"[{', '.join(members)}]")


def _wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operand = inner.map(lambda text: f"({text})") | fields | literals
    symbols = st.sampled_from(
        ["and", "or", "&&", "||", "==", "!=", ">", ">=", "<", "<=", "+", "-", "*", "/", "%", "**"]
    )
    return st.one_of(
        st.tuples(operand, symbols, operand).map(" ".join),
        st.tuples(fields | literals, st.just("in"), lists | fields).map(" ".join),
        st.tuples(st.sampled_from(["not", "!"]), operand).map(" ".join),
    )


@pytest.fixture(scope="module")
def filtered(redis_url: str) -> Iterator[Any]:
    """A function from a filter to the places of the attributes that Redis selects."""
    with redis.Redis.from_url(redis_url, protocol=2) as client:
        key, one = "test-filters", np.ones(4, "<f4").tobytes()
        for place, attributes in enumerate(ATTRIBUTES):
            client.execute_command(
                "VADD", key, "FP32", one, place, "SETATTR", json.dumps(attributes, ensure_ascii=False)
            )
        yield lambda source: {
            int(name)
            for name in client.execute_command("VSIM", key, "FP32", one, "COUNT", 50, "FILTER", source, "TRUTH")
        }
        client.delete(key)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.recursive(fields | literals, _wider, max_leaves=10))
def test_redis_selects_what_our_evaluator_selects(filtered: Any, source: str) -> None:
    """Any filter that we accept means the same in both places."""
    parsed = parse_filter(source)

    assert filtered(parsed.canonical) == {n for n, attributes in enumerate(ATTRIBUTES) if parsed.matches(attributes)}


async def test_redis_cluster_holds_an_index(tmp_path: Path) -> None:
    """An item's keys share a hash tag, so its script runs in a cluster; shards lie on different slots."""
    with ClusterRedis(tmp_path) as own:
        with redis.Redis.from_url(own.url) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            for _ in range(100):
                if "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO")):
                    break
                await asyncio.sleep(0.05)
        index = RedisVectorIndex(RedisSettings(url=own.url, cluster=True, shards=4), MODEL, DIMS)
        written: list[Item] = [item(f"i{place}", attributes={"n": place}) for place in range(40)]
        await index.check()
        assert set(await index.write(written)) == {WriteOutcome.APPLIED}
        request = RankingRequest(
            parts=(QueryPart(modality=Modality.TEXT, vector=written[7].vectors[Modality.TEXT]),), filter=".n < 20"
        )
        ranking = await answer(request, index, {})
        assert ranking.hits[0].item_id == "i7"
        assert len(ranking.hits) == 10
        assert (await index.counts())[Modality.TEXT] == 40
        layouts = RedisLayouts(index._settings)
        await layouts.forget(index.layout)
        assert not await index.fetch([each.item_id for each in written])
        await layouts.close()
        await index.close()
        with redis.Redis.from_url(own.url) as client:
            assert {name.rpartition(b":")[2] for name in client.scan_iter()} == {b"meta"}


class ClusterRedis(EmbeddedRedis):
    """One node that is a whole cluster."""

    def command(self, program: Path) -> Sequence[str]:
        """As always, with the cluster switched on."""
        return [*super().command(program), "--cluster-enabled", "yes"]
