"""Recommendations on real servers: a click moves them within a second, and who is forgotten was never there."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from typer.testing import CliRunner

from config.vocabulary import Role
from tests.integration.delivery_kit import Ground, WorkerProcess, eventually
from workers.contracts.result import Result
from workers.contracts.topics import Topic
from workers.operate.cli import app
from workers.operate.client import AsyncClient

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

GROUPS, PER_GROUP = 8, 12
CLICKS = 5
OBJECTIVE_S = 1.0


@dataclass(kw_only=True)
class Shop:
    """All three workers on real servers, with eight groups of items that share their words."""

    ground: Ground
    client: AsyncClient
    workers: Mapping[Role, WorkerProcess]
    events: int = 0

    async def fill(self) -> None:
        """Publish the items and wait until all are found."""
        items = [(group, number) for group in range(GROUPS) for number in range(PER_GROUP)]
        await self.client.publish_many(item(group, number) for group, number in items)
        await self.until(lambda result: len(result.hits) == len(items), "nobody", k=len(items))

    async def act(self, user: str, item_id: str, action: str = "click", **fields: Any) -> None:
        """Something a user does, confirmed by the broker."""
        self.events += 1
        event = {"type": "interaction", "event_id": f"{user}-event-{self.events}", "user_id": user, "item_id": item_id}
        await self.client.publish({**event, "action": action, "session_id": f"{user}-session", **fields})

    async def recommended(self, user: str, **fields: Any) -> Result:
        """What a user is shown now."""
        return await self.client.query({"kind": "recommend", "user_id": user, "k": 8, **fields})

    async def until(self, there: Callable[[Result], bool], user: str, **fields: Any) -> Result:
        """Ask again and again until the answer is as expected."""
        async with asyncio.timeout(60):
            while not there(result := await self.recommended(user, **fields)):
                pass
        return result


def item(group: int, number: int) -> dict[str, Any]:
    """An item whose words and place are like those of its group."""
    text = f"theme{group} motif{group} own{group}x{number}"
    modalities = {"text": {"text": text}, "location": {"latitude": float(group), "longitude": 0.0}}
    return {"type": "content.upsert", "item_id": f"g{group}-{number:02}", "modalities": modalities}


@asynccontextmanager
async def shop(ground: Ground) -> AsyncIterator[Shop]:
    """Start it, filled."""
    async with AsyncExitStack() as stack:
        workers = {role: stack.enter_context(ground.worker(role)) for role in Role}
        for worker in workers.values():
            await worker.ready()
        client = await stack.enter_async_context(AsyncClient(ground.settings))
        made = Shop(ground=ground, client=client, workers=workers)
        await made.fill()
        yield made


def ids(result: Result) -> list[str]:
    """Item ids by rank."""
    return [hit.item_id for hit in result.hits]


def groups(result: Result) -> list[int]:
    """The group of each hit."""
    return [int(item_id[1]) for item_id in ids(result)]


@pytest.fixture
def ground(kafka_bootstrap: str, redis_url: str, prefix: str, tmp_path: Path) -> Ground:
    """Topics, keys and workers of this test, which learn all they can."""
    learning = {"CROSSCURRENT_PEOPLE__LEARN_WEIGHTS": "true"}
    return Ground(kafka=kafka_bootstrap, redis=redis_url, prefix=prefix, folder=tmp_path, extra=learning)


async def test_a_click_moves_the_next_recommendation_within_a_second(ground: Ground) -> None:
    """From sending the click to the answer that follows it: broker, workers, Redis and back, for a warm user."""
    took_s = []
    async with shop(ground) as here:
        await here.act("mika", "g0-00")
        shown = await here.until(lambda result: set(groups(result)) == {0}, "mika")
        for _ in range(CLICKS):
            new = min(set(range(GROUPS)) - set(groups(shown)))
            began = time.monotonic()
            await here.act("mika", f"g{new}-00")
            shown = await here.until(lambda result, new=new: new in groups(result), "mika")
            took_s.append(time.monotonic() - began)
    print(f"\nclick to changed recommendation: {[round(one * 1000) for one in took_s]} ms")  # noqa: T201
    # One of them may meet a pause of a machine that has much to do.
    assert statistics.median(took_s) < OBJECTIVE_S
    assert max(took_s) < 5 * OBJECTIVE_S


async def test_a_forgotten_user_leaves_no_trace_and_is_cold_again(ground: Ground) -> None:
    """No key and no value of Redis names them; the topic ends with a tombstone; they see what any cold user sees."""
    async with shop(ground) as here:
        for user in ("juno", "mika"):
            for item_id in ("g1-00", "g1-01", "g2-00"):
                await here.act(user, item_id, query_id=f"{user}-query")
            shown = await here.recommended(user)
            await here.act(user, shown.hits[1].item_id, query_id=shown.query_id)
            await here.act(user, "g3-00", "comment", text=f"{user} wrote this")
            await here.act(user, "g4-00", "rate", value=1.0)
        await here.until(lambda result: "g4-00" not in ids(result), "mika", k=96)
        kinds = {key.split(":")[2] for key in traces(ground, "mika")}
        assert kinds >= {"user", "user-events", "user-steps", "user-served", "served-users", "user-weights"}
        await here.client.publish({"type": "user.forget", "user_id": "mika"})
        await eventually(lambda: asyncio.to_thread(lambda: not traces(ground, "mika")), timeout_s=30)

        forgotten = await here.recommended("mika", k=30, explain=True)
        never_there = await here.recommended("stranger", k=30, explain=True)
        others = traces(ground, "juno")

    assert others, "the user who stays is found by the same search"
    kept: dict[str, Any] = {"query_id": True, "occurred_at": True, "timings_ms": True}
    kept |= {"hits": {"__all__": {"explanation": {"age_s"}}}}  # items are older in the later answer
    assert forgotten.model_dump(exclude=kept) == never_there.model_dump(exclude=kept)
    left = [value for key, value in await ground.read(Topic.PROFILES) if key == b"mika"]
    assert left[-1] is None
    assert json.loads(left[-2] or b"{}")["user_id"] == "mika"


async def test_what_was_shown_and_done_is_measured_and_exported(ground: Ground, tmp_path: Path) -> None:
    """The interaction worker's page has the numbers; the file has one line a shown item, marked."""
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(shop(ground))
        await here.act("mika", "g1-00")
        shown = await here.until(lambda result: set(groups(result)) == {1}, "mika")
        for hit in shown.hits[:4]:
            await here.act("mika", hit.item_id, "impression", query_id=shown.query_id)
        await here.act("mika", shown.hits[1].item_id, query_id=shown.query_id)
        worker = here.workers[Role.INTERACTIONS]
        await eventually(lambda: asyncio.to_thread(lambda: worker.metric("clicks_total") == 1), timeout_s=30)
        read = {name: worker.metric(name) for name in ("click_through_ratio", "reciprocal_rank_sum")}
    config = tmp_path / "settings.yaml"
    redis_settings = {"url": ground.redis, "prefix": ground.prefix}
    config.write_text(json.dumps({"redis": redis_settings, "model": {"profile": "deterministic"}}))
    words = ["--config", str(config), "export", "joined", "--out", str(tmp_path / "joined.jsonl")]
    done = await asyncio.to_thread(CliRunner().invoke, app, words)

    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in (tmp_path / "joined.jsonl").read_text().splitlines()]
    mine = [line for line in lines if line["query_id"] == shown.query_id]
    assert [line["item_id"] for line in mine] == ids(shown)
    assert [line["seen"] for line in mine] == [True] * 4 + [False] * 4
    assert [line["rank"] for line in mine if line["clicked"]] == [2]
    assert set(mine[0]["modality_scores"]) == {"text", "location"}
    assert read["click_through_ratio"] == pytest.approx(0.25, abs=0.01)
    assert read["reciprocal_rank_sum"] == pytest.approx(0.5)


def traces(ground: Ground, name: str) -> list[str]:
    """Keys whose name or value holds a name, of all keys that there are."""
    with redis.Redis.from_url(ground.redis) as client:
        keys = [key for key in client.scan_iter(count=1000) if ground.prefix.encode() in key]
        return [key.decode() for key in keys if name.encode() in key + contents(client, key)]


def contents(client: "redis.Redis", key: bytes) -> bytes:
    """Everything that a key holds, as bytes."""
    kind = client.type(key)
    if kind == b"vectorset":
        return b" ".join(client.execute_command("VRANDMEMBER", key, 10**6))
    readers: dict[bytes, Callable[[], Any]] = {
        b"none": list,  # erased since it was listed
        b"string": lambda: [client.get(key)],
        b"hash": lambda: [part for pair in client.hgetall(key).items() for part in pair],
        b"zset": lambda: client.zrange(key, 0, -1),
        b"set": lambda: list(client.smembers(key)),
        b"list": lambda: client.lrange(key, 0, -1),
    }
    return b" ".join(readers[kind]())
