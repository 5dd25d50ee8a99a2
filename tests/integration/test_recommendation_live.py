"""Recommendations on real servers: a click moves them within a second, and who is forgotten was never there."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from config.vocabulary import Role
from tests.integration.delivery_kit import Ground
from workers.contracts.result import Result
from workers.contracts.topics import Topic
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
    events: int = 0

    async def fill(self) -> None:
        """Publish the items and wait until all are found."""
        texts = {
            f"g{group}-{n:02}": f"theme{group} motif{group} own{group}x{n}"
            for group in range(GROUPS)
            for n in range(12)
        }
        await self.client.publish_many(
            {"type": "content.upsert", "item_id": item_id, "modalities": {"text": {"text": text}}}
            for item_id, text in texts.items()
        )
        await self.until(lambda result: len(result.hits) == len(texts), "nobody", k=len(texts))

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


@asynccontextmanager
async def shop(ground: Ground) -> AsyncIterator[Shop]:
    """Start it, filled."""
    async with AsyncExitStack() as stack:
        workers = [stack.enter_context(ground.worker(role)) for role in Role]
        for worker in workers:
            await worker.ready()
        client = await stack.enter_async_context(AsyncClient(ground.settings))
        made = Shop(ground=ground, client=client)
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
    """Topics, keys and workers of this test."""
    return Ground(kafka=kafka_bootstrap, redis=redis_url, prefix=prefix, folder=tmp_path)


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
            await here.act(user, "g3-00", "comment", text=f"{user} wrote this")
            await here.act(user, "g4-00", "rate", value=1.0)
        await here.until(lambda result: ids(result)[0].startswith("g"), "mika", explain=True)
        await here.until(lambda result: "g1-00" not in ids(result), "mika", k=50)
        assert traces(ground, "mika")
        await here.client.publish({"type": "user.forget", "user_id": "mika"})
        await here.until(lambda result: "g1-00" in ids(result), "mika", k=50)

        forgotten = await here.recommended("mika", k=30, explain=True)
        never_there = await here.recommended("stranger", k=30, explain=True)
        others = traces(ground, "juno")

    assert traces(ground, "mika") == []
    assert others, "the user who stays is found by the same search"
    kept = {"query_id", "occurred_at", "timings_ms"}
    assert forgotten.model_dump(exclude=kept) == never_there.model_dump(exclude=kept)
    left = [value for key, value in await ground.read(Topic.PROFILES) if key == b"mika"]
    assert left[-1] is None
    assert json.loads(left[-2] or b"{}")["user_id"] == "mika"


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
        b"string": lambda: [client.get(key)],
        b"hash": lambda: [part for pair in client.hgetall(key).items() for part in pair],
        b"zset": lambda: client.zrange(key, 0, -1),
        b"set": lambda: list(client.smembers(key)),
        b"list": lambda: client.lrange(key, 0, -1),
    }
    return b" ".join(readers[kind]())
