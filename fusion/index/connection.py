"""One connection pool to Redis or Redis Cluster: commands in, raw replies out, one round trip for many."""

from collections.abc import AsyncIterator, Sequence
from hashlib import sha1
from pathlib import Path
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from config.errors import Misconfigured
from config.settings import RedisSettings
from fusion.index.redis_errors import LIBRARY_ERRORS, explain

Argument = bytes | str | int | float
Command = Sequence[Argument]

_PROTOCOL = 2  # replies as flat lists, whatever the server's default is


class RedisConnection:
    """Asks Redis; nothing is connected before the first question.

    Raises:
        Misconfigured: When ``redis.url`` is no address of a Redis.
    """

    def __init__(self, settings: RedisSettings) -> None:
        try:
            self._client = _cluster(settings) if settings.cluster else _single(settings)
        except ValueError as exc:
            # The message of the library may repeat the address, and the address may hold a password.
            raise Misconfigured("redis.url is not an address such as redis://host:6379/0") from exc

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Send all commands in one round trip and give their replies, in order.

        Never a transaction: inside MULTI a vector search holds up the whole server instead of taking a thread.

        Raises:
            RetryLater: When Redis cannot be asked now.
            RejectEvent: When a filter does not parse.
            Misconfigured: When an operator must change something.
        """
        if not commands:
            return []
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        try:
            replies: list[Any] = await pipeline.execute(raise_on_error=False)
        except LIBRARY_ERRORS as exc:
            raise explain(exc) from exc
        for reply in replies:
            if isinstance(reply, LIBRARY_ERRORS):
                raise explain(reply) from reply
        return replies

    async def scan(self, pattern: str, at_once: int) -> AsyncIterator[list[str]]:
        """Names of keys of all nodes, some at a time; of those made or deleted meanwhile any may be left out.

        Raises:
            RetryLater: When Redis cannot be asked now.
        """
        nodes = [self._client]
        if isinstance(self._client, RedisCluster):
            await self._client.initialize()
            nodes = self._client.get_primaries()
        for node in nodes:
            cursor: int | None = None
            while cursor != 0:
                try:
                    reply = await node.execute_command("SCAN", cursor or 0, "MATCH", pattern, "COUNT", at_once)
                except LIBRARY_ERRORS as exc:
                    raise explain(exc) from exc
                cursor, names = int(reply[0]), reply[1]
                if names:
                    yield [name.decode() for name in names]

    async def close(self) -> None:
        """Give back the connections."""
        await self._client.aclose()


class Script:
    """A Lua script that lies beside our code; it runs atomically, on one shard's keys.

    Args:
        file: Where it lies.
    """

    def __init__(self, file: Path) -> None:
        self._source = file.read_text(encoding="utf-8")
        self._digest = sha1(self._source.encode(), usedforsecurity=False).hexdigest()

    def commands(self, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]) -> list[Command]:
        """Calls, each of keys and arguments, as commands for one round trip to one shard.

        The first carries the source, which the server keeps for the others: a server that was restarted, failed over
        or flushed needs no second try, which would report writes of the first one as stale.
        """
        heads = [("EVAL", self._source), *[("EVALSHA", self._digest)] * (len(calls) - 1)]
        return [(*head, len(keys), *keys, *arguments) for head, (keys, arguments) in zip(heads, calls, strict=True)]


def _options(settings: RedisSettings) -> dict[str, Any]:
    return {
        "socket_timeout": settings.request_timeout_s,
        "socket_connect_timeout": settings.request_timeout_s,
        "max_connections": settings.max_connections,
        "protocol": _PROTOCOL,
    }


def _single(settings: RedisSettings) -> Any:
    # Once more at once, for a connection that the server closed while idle; longer waits belong to delivery.
    pool = BlockingConnectionPool.from_url(
        settings.url.get_secret_value(),
        timeout=settings.request_timeout_s,
        retry=Retry(NoBackoff(), 1),
        **_options(settings),
    )
    client = Redis.from_pool(pool)
    client.response_callbacks.clear()  # replies as the server gives them
    return client


def _cluster(settings: RedisSettings) -> Any:
    return RedisCluster.from_url(settings.url.get_secret_value(), **_options(settings))
