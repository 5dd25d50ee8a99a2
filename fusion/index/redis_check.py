"""Whether a Redis fits: its version, its vector sets, and how the prefix was laid out before."""

import re
import uuid
from itertools import pairwise
from typing import Any, Final

from config.errors import Misconfigured
from fusion.index.connection import RedisConnection
from fusion.index.layout import Keys
from fusion.index.protocol import FUSED

OLDEST: Final = (8, 0, 0)
"""The first Redis with vector sets."""

CRASHING: Final = ((8, 4, 0), (8, 4, 6))
"""From the first to before the second, VREM crashes the server and its replicas (redis/redis#15424, #15661)."""


async def check_shard(connection: RedisConnection, keys: Keys, shard: int, dims: int, generation: int = 0) -> None:
    """See that a shard's server can hold the index, and that what it holds fits the settings.

    Notes the number of shards at the first call, so that a later change of the setting is noticed, and names this life
    of the store, so that nothing read before a flush is taken for what is there after it. Where there is a record of
    layouts, a shard that lost its fence gets one again.

    Raises:
        Misconfigured: With what to change.
        RetryLater: When it cannot be asked.
    """
    meta = keys.meta(shard)
    (version,) = await connection.ask([("EVAL", "return redis.REDIS_VERSION", 1, meta)])
    check_version(version.decode())
    *_, shards, info = await connection.ask(
        [
            *([("HSETNX", meta, "fence", generation)] if generation else []),
            ("HSETNX", meta, "shards", keys.shards),
            ("HSETNX", meta, "epoch", uuid.uuid4().hex),
            ("HGET", meta, "shards"),
            ("VINFO", keys.vectors(shard, FUSED)),
        ]
    )
    if int(shards) != keys.shards:
        raise Misconfigured(
            f"redis.shards is {keys.shards}, and {keys.prefix!r} was laid out with {int(shards)}: set it back;"
            f" 'crosscurrent reshard --shards {keys.shards}' gives the index another number of shards"
        )
    if info is not None and (stored := _field(info, b"vector-dim")) != dims:
        raise Misconfigured(
            f"{keys.model} makes vectors of length {dims}, and Redis holds vectors of length {stored} for it:"
            " give the new model another name or version"
        )


def check_version(version: str) -> None:
    """See that a Redis of this version has vector sets that can be relied on.

    Raises:
        Misconfigured: If not; says which to use.
    """
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    if numbers < OLDEST:
        raise Misconfigured(f"Redis {version} has no vector sets: use Redis 8 or later")
    if CRASHING[0] <= numbers < CRASHING[1]:
        raise Misconfigured(f"Redis {version} crashes when an item is deleted: use 8.4.6 or later, or 8.2")


def _field(info: list[Any], name: bytes) -> int:
    return int(next(value for key, value in pairwise(info) if key == name))
