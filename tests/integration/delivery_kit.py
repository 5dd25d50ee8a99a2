"""A content worker as a process of its own, and eyes on what it did."""

import asyncio
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from config.settings import Settings, load_settings
from config.vocabulary import Role
from workers.contracts.topics import Topic
from workers.operate.admin import create_topics
from workers.operate.children import Child
from workers.operate.embedded import EmbeddedRedis
from workers.streams.publisher import KafkaPublisher

READY_S = 120.0
DONE_S = 120.0

_RUN = """
import sys
from pathlib import Path
from config.settings import load_settings
from config.vocabulary import Role
from workers.streams.main import run_worker
sys.exit(run_worker(Role(sys.argv[1]), load_settings(), Path(sys.argv[2])))
"""


@dataclass(kw_only=True)
class Ground:
    """Servers and names of one test, and workers on them."""

    kafka: str
    redis: str
    prefix: str
    folder: Path
    extra: Mapping[str, str] = field(default_factory=dict)
    started: int = 0

    def __post_init__(self) -> None:
        create_topics(self.settings.kafka)

    @property
    def settings(self) -> Settings:
        """Settings as the workers have them."""
        return load_settings(
            overrides={
                "kafka": {"bootstrap_servers": self.kafka, "topic_prefix": self.prefix},
                "redis": {"url": self.redis, "prefix": self.prefix},
                "model": {"profile": "deterministic"},
                "metrics": {"port": 0},
            }
        )

    def worker(self, role: Role = Role.CONTENT) -> "WorkerProcess":
        """Start one more worker process."""
        self.started += 1
        environment = {
            "CROSSCURRENT_KAFKA__BOOTSTRAP_SERVERS": self.kafka,
            "CROSSCURRENT_KAFKA__TOPIC_PREFIX": self.prefix,
            "CROSSCURRENT_REDIS__URL": self.redis,
            "CROSSCURRENT_REDIS__PREFIX": self.prefix,
            "CROSSCURRENT_MODEL__PROFILE": "deterministic",
            "CROSSCURRENT_METRICS__PORT": "0",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        return WorkerProcess(self.folder / f"worker-{self.started}", role, environment | self.extra)

    def topic(self, topic: Topic) -> str:
        """Full name of a topic."""
        return topic.named(self.prefix)

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator[KafkaPublisher]:
        """A producer of our own."""
        async with KafkaPublisher(self.settings.kafka, client_id="test") as publisher:
            yield publisher

    async def read(self, topic: Topic) -> list[tuple[bytes | None, bytes | None]]:
        """Every record of a topic as (key, value), partition by partition."""
        name = self.topic(topic)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka, fetch_max_wait_ms=100)
        await consumer.start()
        try:
            partitions = [TopicPartition(name, one) for one in range(self.settings.kafka.partitions)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            await consumer.seek_to_beginning(*partitions)
            found: list[tuple[bytes | None, bytes | None]] = []
            wanted = sum(ends.values())
            while len(found) < wanted:
                batch = await consumer.getmany(timeout_ms=500)
                found += [(record.key, record.value) for records in batch.values() for record in records]
            return found
        finally:
            await consumer.stop()


class WorkerProcess:
    """One worker; killed at the end if it still runs."""

    def __init__(self, folder: Path, role: Role, environment: Mapping[str, str]) -> None:
        folder.mkdir()
        self._announced = folder / "address.json"
        command = [sys.executable, "-c", _RUN, role.value, str(self._announced)]
        self.child = Child(f"{role} worker", command, folder / "log", environment=environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.stop(grace_s=20.0)

    async def ready(self) -> Self:
        """Wait until ``/ready`` says yes."""
        await self.until(lambda: self.status("/ready") == 200, READY_S)
        return self

    async def until(self, condition: Callable[[], bool], timeout_s: float = DONE_S) -> None:
        """Wait for something about this worker, which must live meanwhile."""
        deadline = time.monotonic() + timeout_s
        while not await asyncio.to_thread(condition):
            if self.child.exit_code is not None:
                raise self.child.failure(f"ended with {self.child.exit_code}")
            if time.monotonic() > deadline:
                raise self.child.failure(f"did not get there within {timeout_s:.0f} s")
            await asyncio.sleep(0.1)

    def kill(self) -> None:
        """``kill -9``: nothing is committed, nothing is said to the group."""
        told = json.loads(self._announced.read_text())
        os.kill(told["pid"], signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        told = json.loads(self._announced.read_text())
        os.kill(told["pid"], signal.SIGTERM)
        deadline = time.monotonic() + 30.0
        while (code := self.child.exit_code) is None:
            assert time.monotonic() < deadline, self.child.log_tail()
            time.sleep(0.05)
        return code

    def status(self, path: str) -> int:
        """Status of one of its pages; 0 while it serves none."""
        return self._get(path)[0]

    def page(self, path: str) -> str:
        """Text of one of its pages; empty while it serves none."""
        return self._get(path)[1]

    def metric(self, series: str) -> float:
        """Value of a series as written on the page, such as ``events_total{…}``; 0 when absent."""
        for line in self._get("/metrics")[1].splitlines():
            name, _, value = line.rpartition(" ")
            if name == f"crosscurrent_{series}":
                return float(value)
        return 0.0

    def ended(self, outcome: str, role: Role = Role.CONTENT) -> float:
        """How many events ended so."""
        return self.metric(f'events_total{{outcome="{outcome}",role="{role}"}}')

    def _get(self, path: str) -> tuple[int, str]:
        if not self._announced.exists():
            return 0, ""
        port = json.loads(self._announced.read_text())["port"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            return exc.code, exc.read().decode()
        except OSError:
            return 0, ""


class RestartableRedis(EmbeddedRedis):
    """Redis that can go away and come back on its port with its data."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, append_only=True)

    def come_back(self) -> None:
        """Start again after ``stop``."""
        from workers.operate.embedded import find_program

        command = self.command(find_program(self.package, self.program, self.folder))
        self._child = Child(self.name, command, self.folder / "again.log")
        self._child.wait_until(self.answers, timeout_s=20.0)


def content(item: int) -> tuple[bytes, bytes]:
    """Key and value of a text item's event."""
    item_id = f"item-{item}"
    event = {"type": "content.upsert", "item_id": item_id, "modalities": {"text": {"text": f"the cat number {item}"}}}
    return item_id.encode(), json.dumps(event).encode()


async def publish(publisher: KafkaPublisher, topic: str, items: range) -> None:
    """Publish items, confirmed."""
    await asyncio.gather(*(publisher.send(topic, key=key, value=value) for key, value in map(content, items)))


async def eventually(condition: Callable[[], Awaitable[bool]], timeout_s: float = DONE_S) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: It does not.
    """
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - the condition lives in another process
            await asyncio.sleep(0.2)
