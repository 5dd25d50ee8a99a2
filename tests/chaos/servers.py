"""The broker and Redis under test, each behind a proxy, and what can be done to them."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.chaos.proxy import Proxy
from workers.operate.children import Child
from workers.operate.embedded import EmbeddedKafka, EmbeddedRedis


class ProxiedKafka(EmbeddedKafka):
    """The embedded broker, which tells clients to come through a proxy.

    Args:
        proxy_port: What it advertises.
    """

    def __init__(self, folder: Path, proxy_port: int) -> None:
        super().__init__(folder)
        self._proxy_port = proxy_port

    def command(self, program: Path) -> Sequence[str]:
        """Command line with the proxy's address in it."""
        own = list(super().command(program))
        own[own.index("--advertised-listener-url") + 1] = f"tcp://127.0.0.1:{self._proxy_port}"
        return own


@dataclass(kw_only=True)
class Servers:
    """Where workers find both, and the means to break them.

    Args:
        bootstrap: The broker's address, through its proxy where there is one.
        broker: That proxy.
        cache: The proxy before Redis.
        kill_broker: Kills one of several brokers that keep their data, and says which; None where there is but one.
        bring_back_broker: Starts that one again.
    """

    bootstrap: str
    broker: Proxy | None
    cache: Proxy
    redis: EmbeddedRedis
    kill_broker: Callable[[int], int] | None = None
    bring_back_broker: Callable[[int], object] | None = None

    @property
    def redis_url(self) -> str:
        """Redis through its proxy."""
        return f"redis://127.0.0.1:{self.cache.port}/0"

    def flush(self) -> None:
        """``FLUSHALL``, as somebody types it by mistake."""
        with redis.Redis.from_url(self.redis.url) as client:
            client.flushall()

    def kill_redis(self) -> None:
        """``kill -9``; nothing was persisted."""
        kill_9(self.redis.child)
        self.redis.stop()

    async def bring_back_redis(self) -> None:
        """Start an empty one behind the same proxy."""
        await asyncio.to_thread(self.redis.start)
        self.cache.target_port = self.redis.port


def kill_9(child: Child) -> None:
    """End a whole child, its minder included, with no chance to say anything."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


@asynccontextmanager
async def embedded_servers(folder: Path) -> AsyncIterator[Servers]:
    """Embedded ones, both behind a proxy."""
    broker, cache = Proxy(), Proxy()
    await broker.start()
    await cache.start()
    with ProxiedKafka(folder / "kafka", broker.port) as kafka, EmbeddedRedis(folder / "redis") as own_redis:
        broker.target_port, cache.target_port = kafka.port, own_redis.port
        try:
            yield Servers(bootstrap=f"127.0.0.1:{broker.port}", broker=broker, cache=cache, redis=own_redis)
        finally:
            await broker.stop()
            await cache.stop()


@asynccontextmanager
async def given_broker(bootstrap: str, folder: Path) -> AsyncIterator[Servers]:
    """Somebody's own broker, which is left in peace, and an embedded Redis behind a proxy."""
    cache = Proxy()
    await cache.start()
    with EmbeddedRedis(folder / "redis") as own_redis:
        cache.target_port = own_redis.port
        try:
            yield Servers(bootstrap=bootstrap, broker=None, cache=cache, redis=own_redis)
        finally:
            await cache.stop()
