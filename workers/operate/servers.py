"""The broker and the Redis that a system runs on, and what the settings must say to use them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.operate.children import Child
from workers.operate.embedded import EmbeddedKafka, EmbeddedRedis


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Two servers of our own that answer.

    Args:
        broker: Its address, as ``kafka.bootstrap_servers`` takes it.
        redis: Its address, as ``redis.url`` takes it.
        children: Their processes.
    """

    broker: str
    redis: str
    children: tuple[Child, ...]

    @property
    def settings(self) -> Mapping[str, dict[str, Any]]:
        """Settings that lead to them; whatever else those say of their own servers does not hold for these."""
        return {
            "kafka": {"bootstrap_servers": self.broker, "security_protocol": "PLAINTEXT", "replication_factor": 1},
            "redis": {"url": self.redis, "cluster": False},
        }


@contextmanager
def memory_servers(folder: Path) -> Iterator[Servers]:
    """Servers that keep everything in memory only.

    Args:
        folder: For their logs.

    Raises:
        Misconfigured: One is not installed.
        ChildError: One does not start.
    """
    with EmbeddedRedis(folder / "redis") as redis, EmbeddedKafka(folder / "kafka") as kafka:
        yield Servers(broker=kafka.bootstrap_servers, redis=redis.url, children=(redis.child, kafka.child))
