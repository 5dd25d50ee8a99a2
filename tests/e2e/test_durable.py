"""A single machine that keeps what it knows: stopped, killed and started on its folder, with Apache Kafka itself."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
import redis

from config.errors import Misconfigured
from config.settings import Settings, load_settings
from config.vocabulary import Modality, ModelRef
from fusion.index.redis_index import RedisVectorIndex
from tests.e2e.test_demo import environment, processes_of
from tests.integration.delivery_kit import eventually
from workers.contracts.topics import Topic
from workers.operate.client import AsyncClient
from workers.operate.kafka_home import find_kafka
from workers.operate.lasting_ports import lasting_ports
from workers.operate.past_records import past_records


def why_not() -> str:
    """What is missing to run these tests; empty when nothing is."""
    try:
        find_kafka()
    except Misconfigured as exc:
        return str(exc)
    return ""


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),  # four starts, of a minute each where others keep the cores busy
    pytest.mark.skipif(bool(why_not()), reason=f"these need Apache Kafka itself: {why_not()}"),
]

ITEMS = 200
USERS = 6
STREAM = 3000
READY_S = 200.0
SEEN_S = 120.0
COLOURS = ("red", "green", "blue", "grey", "white")
LIKED_AT = "2026-01-01T10:00:00Z"


@dataclass(kw_only=True)
class Machine:
    """``crosscurrent up --data`` on one folder, run again and again."""

    folder: Path
    name: str = "kept 数据"  # which Java and Kafka must read
    runs: int = 0
    up: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """The folder that is kept."""
        return self.folder / self.name

    @property
    def told(self) -> dict[str, Any]:
        """What the folder says of itself."""
        return dict(json.loads((self.data / "crosscurrent.json").read_text()))

    def tell(self, **changes: Any) -> None:
        """Let the folder say something else."""
        (self.data / "crosscurrent.json").write_text(json.dumps(self.told | changes))

    @property
    def settings(self) -> Settings:
        """Settings of whoever uses it."""
        ports = self.told["ports"]
        return load_settings(
            overrides={
                "kafka": {"bootstrap_servers": f"127.0.0.1:{ports['broker']}"},
                "redis": {"url": f"redis://127.0.0.1:{ports['redis']}/0"},
                "model": {"profile": "deterministic"},
            }
        )

    @property
    def redis(self) -> "redis.Redis[bytes]":
        """Its Redis."""
        return redis.Redis.from_url(self.settings.redis.url.get_secret_value())

    def command(self) -> list[str]:
        """What runs it."""
        config = self.folder / "settings.yaml"
        # Backgrounds that are measured begin to count half a minute later: that would be some change of scores.
        config.write_text("query: {calibration_refresh_s: 0}\nmodel: {profile: deterministic, threads: 1}\n")
        words = ["--config", str(config), "up", "--data", str(self.data), "--kafka-heap-mb", "256"]
        return [sys.executable, "-m", "workers.operate", *words]

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Started and ready; killed at the end unless it was stopped."""
        self.runs += 1
        log = self.folder / f"up-{self.runs}.log"
        with log.open("wb") as output:
            self.up = subprocess.Popen(
                self.command(), stdout=output, stderr=subprocess.STDOUT, env=self.environment, start_new_session=True
            )
        try:
            deadline = time.monotonic() + READY_S
            while "running; Ctrl-C stops it" not in (told := log.read_text()):
                assert self.up.poll() is None, told
                assert time.monotonic() < deadline, told
                time.sleep(0.1)
            yield self
        finally:
            self.kill()

    @property
    def environment(self) -> Mapping[str, str]:
        """Ours, with a mark by which all its processes are found; the encoding that says least of names."""
        (self.folder / "scratch").mkdir(exist_ok=True)
        return environment(self.folder / "scratch") | {"LC_ALL": "C.UTF-8"}

    def stop(self, how: signal.Signals) -> None:
        """Ask it to stop, and see that it does so in good order and leaves nothing running."""
        assert self.up is not None
        self.up.send_signal(how)
        assert self.up.wait(90) == 0, (self.folder / f"up-{self.runs}.log").read_text()
        assert self.processes() == []

    def kill(self) -> None:
        """``kill -9`` of everything at once."""
        assert self.up is not None
        if self.up.poll() is None:
            os.killpg(self.up.pid, signal.SIGKILL)
            self.up.wait()
        deadline = time.monotonic() + 10
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.processes() == []

    def processes(self) -> list[str]:
        """What of it is alive."""
        return processes_of(self.folder / "scratch")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One that was never started."""
    return Machine(folder=tmp_path)


def item(number: int, text: str = "") -> dict[str, Any]:
    """A content event."""
    colour = COLOURS[number % len(COLOURS)]
    text = text or f"a {colour} boat number {number}"
    place = {"latitude": number % 90, "longitude": number % 180}
    modalities = {"text": {"text": text}, **({"location": place} if number % 3 else {})}
    attributes = {"number": number, "colour": colour}
    return {"type": "content.upsert", "item_id": f"item-{number}", "modalities": modalities, "attributes": attributes}


def like(user: int, number: int) -> dict[str, Any]:
    """An interaction."""
    return {
        "type": "interaction", "event_id": f"like-{user}-{number}", "user_id": f"user-{user}", "action": "like",
        "item_id": f"item-{number}", "occurred_at": LIKED_AT,
    }  # fmt: skip


async def indexed(machine: Machine) -> int:
    """How many items have a text in the index."""
    index = RedisVectorIndex(machine.settings.redis, ModelRef("deterministic", "1"), 256)
    try:
        return (await index.counts()).get(Modality.TEXT, 0)
    finally:
        await index.close()


async def seen(machine: Machine, count: int) -> None:
    """Wait until so many items are in the index."""
    await eventually(lambda: reached(machine, count), SEEN_S)
    assert await indexed(machine) == count


async def reached(machine: Machine, count: int) -> bool:
    """Whether so many items are in the index by now."""
    return await indexed(machine) >= count


def counted(machine: Machine) -> dict[str, float]:
    """What the likes add up to for each user: 3 for each, and not a digit more for one that came twice."""
    with machine.redis as client:
        keys = [key.decode() for key in client.scan_iter(match="*:user:*", count=1000)]
        return {key.rpartition(":")[2]: float(client.hget(key, "strength:deterministic@1") or 0) for key in keys}


async def liked(machine: Machine, count: int) -> None:
    """Wait until so many likes have been counted, and a little longer: for one too many."""

    async def are_counted() -> bool:
        return sum(counted(machine).values()) > 3.0 * count - 0.5

    await eventually(are_counted, SEEN_S)
    await asyncio.sleep(1.0)


@asynccontextmanager
async def client_of(machine: Machine) -> AsyncIterator[AsyncClient]:
    """Publishes and asks."""
    async with AsyncClient(machine.settings) as client:
        yield client


@dataclass(kw_only=True)
class Answers:
    """What is asked before and after; trends and pairs, which shape recommendations, are in Redis alone."""

    exact: list[Any]
    recommended: list[Any]


async def answers(machine: Machine) -> Answers:
    """Ids and scores of questions of several kinds; ids alone where scores move with the time that passes."""
    exact: list[Any] = []
    async with client_of(machine) as client:
        for number in range(10):
            text = f"a {COLOURS[number % len(COLOURS)]} boat {number}"
            for more in ({}, {"filter": f".number > {number * 10}"}, {"fusion": {"strategy": "rrf"}}):
                result = await client.search(text, k=10, **more)
                assert len(result.hits) == 10
                exact.append([(hit.item_id, hit.score) for hit in result.hits])
            result = await client.query({"kind": "similar", "item_id": f"item-{number}"})
            exact.append([(hit.item_id, hit.score) for hit in result.hits])
        users = [await client.query({"kind": "recommend", "user_id": f"user-{user}"}) for user in range(USERS)]
    assert all(result.hits for result in users)
    return Answers(exact=exact, recommended=[[hit.item_id for hit in result.hits] for result in users])


async def test_the_same_answers_after_stop_kill_and_loss_of_redis(machine: Machine, tmp_path: Path) -> None:
    """After Ctrl-C, after kill -9 of everything, and after Redis's own files are gone, at the same addresses.

    On the way Kafka's folder is made ready again, as after a kill right behind the first time; the ports are changed by
    hand, as the message on taken ones says; and the folder moves.
    """
    with machine.running():
        async with client_of(machine) as client:
            await client.publish_many([item(number) for number in range(ITEMS)])
            await client.publish({"type": "content.delete", "item_id": "item-7"})
            await seen(machine, ITEMS - 1)
            await client.publish_many([like(user, user * 20 + step) for user in range(USERS) for step in (1, 2, 3)])
        await liked(machine, 3 * USERS)
        tastes = counted(machine)
        assert tastes == {f"user-{user}": pytest.approx(9.0) for user in range(USERS)}
        before = await answers(machine)
        ports = machine.told["ports"]
        machine.stop(signal.SIGINT)

    machine.tell(formatted=False)
    with machine.running():
        assert machine.told["ports"] == ports
        assert await answers(machine) == before
        assert counted(machine) == tastes
        machine.kill()

    machine.tell(ports=dict(zip(ports, lasting_ports(3), strict=True)))
    with machine.running():
        assert await answers(machine) == before
        assert counted(machine) == tastes
        machine.stop(signal.SIGTERM)

    shutil.rmtree(machine.data / "redis")
    machine.data.rename(tmp_path / "moved")
    machine.name = "moved"
    with machine.running():
        assert "filling Redis again" in (machine.folder / f"up-{machine.runs}.log").read_text()
        assert (await answers(machine)).exact == before.exact
        assert await indexed(machine) == ITEMS - 1
        assert counted(machine) == tastes


async def test_kill_9_in_the_middle_of_a_stream_loses_and_doubles_nothing(machine: Machine) -> None:
    """Items and likes are on their way when everything is killed; after a start all are there, each counted once."""
    with machine.running():
        async with client_of(machine) as client:
            await client.publish_many([item(number) for number in range(USERS)])
            await seen(machine, USERS)
            likes = [like(user, number) for number in range(USERS) for user in range(100)]
            await client.publish_many([item(number) for number in range(USERS, STREAM)])
            await client.publish_many([item(number, f"a new boat {number}") for number in range(USERS)])
            await client.publish_many(likes)
        await eventually(lambda: reached(machine, STREAM // 10), SEEN_S)
        at_kill = await indexed(machine), sum(counted(machine).values())
        machine.kill()
    assert at_kill < (STREAM, 3.0 * len(likes))
    with machine.running():
        refused = await asyncio.to_thread(
            subprocess.run, machine.command(), env=machine.environment, capture_output=True, text=True, check=False
        )
        assert refused.returncode == 78
        assert "is in use by process" in refused.stderr
        await seen(machine, STREAM)
        await liked(machine, len(likes))
        assert counted(machine) == {f"user-{user}": pytest.approx(3.0 * USERS) for user in range(100)}
        assert pairs_of(machine, "item-0") == {f"item-{number}": 100.0 for number in range(1, USERS)}
        kept = [record.key async for record in past_records(machine.settings.kafka, Topic.VECTORS, lambda *_: None)]
        assert set(kept) == {f"item-{number}".encode() for number in range(STREAM)}
        letters = past_records(machine.settings.kafka, Topic.DEAD_LETTERS, lambda *_: None)
        assert [record async for record in letters] == []
        async with client_of(machine) as client:
            found = await client.search("a new boat 3", k=1)
        assert [hit.item_id for hit in found.hits] == ["item-3"]
        machine.stop(signal.SIGTERM)


def pairs_of(machine: Machine, item_id: str) -> dict[str, float]:
    """How often other items were liked by who liked this one."""
    with machine.redis as client:
        (key,) = client.scan_iter(match=f"*:covisit:{item_id}", count=1000)
        return {partner.decode(): score for partner, score in client.zrange(key, 0, -1, withscores=True)}
