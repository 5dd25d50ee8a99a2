"""What was shown, in Redis: under the user, in the user's shard, within bounds and for a while."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

from config.settings import PeopleSettings
from config.vocabulary import Modality, QueryId, UserId
from fusion.index.connection import Argument, RedisConnection, Script
from fusion.people.checks import check_user_id
from fusion.people.layout import PeopleKeys, idle_ms
from fusion.people.modality_weights import BOUND, FADE, SHARED_RATE, factors
from fusion.people.served import Act, Joined, Served, pack_served, unpack_served

_SERVE: Final = Script(Path(__file__).with_name("serve.lua"))
_JOIN: Final = Script(Path(__file__).with_name("join.lua"))


class RedisServedStore:
    """What was shown to each user, with what they did to it.

    Args:
        connection: Of the store that it belongs to, which also erases.
        keys: Where things lie.
        people: How much is kept and for how long, and whether clicks teach weights.
    """

    def __init__(self, connection: RedisConnection, keys: PeopleKeys, people: PeopleSettings) -> None:
        self._connection = connection
        self._keys = keys
        self._people = people

    async def remember(self, served: Served) -> None:
        """Keep an answer; see ``ServedStore.remember``."""
        if not self._people.served_queries:
            return
        user_id = served.user_id
        check_user_id(user_id)
        shown, order, _ = self._keys.served(user_id)
        users = self._keys.served_users(self._keys.shard_of(user_id))
        keys = [shown, order, self._keys.forgotten(user_id), users]
        bounds = [self._people.served_queries, max(int(self._people.served_ttl_s * 1000.0), 1)]
        arguments: list[Argument] = [served.query_id, pack_served(served), served.at_ms, *bounds, user_id]
        await self._connection.ask(_SERVE.commands([(keys, arguments)]))

    async def join(self, acts: Sequence[Act]) -> list[Joined | None]:
        """Mark each act; see ``ServedStore.join``."""
        by_shard: dict[int, list[int]] = {}
        for place, act in enumerate(acts):
            check_user_id(act.user_id)
            by_shard.setdefault(self._keys.shard_of(act.user_id), []).append(place)
        calls = [_JOIN.commands([self._call(acts[place]) for place in places]) for places in by_shard.values()]
        replies = await asyncio.gather(*(self._connection.ask(call) for call in calls))
        joined: list[Joined | None] = [None] * len(acts)
        for places, reply in zip(by_shard.values(), replies, strict=True):
            for place, each in zip(places, reply, strict=True):
                joined[place] = _joined(each)
        return joined

    def _call(self, act: Act) -> tuple[list[str], list[Argument]]:
        people = self._people
        shown, _, weights = self._keys.served(act.user_id)
        rate = people.weight_rate if people.learn_weights else 0.0
        keys = [shown, weights, self._keys.weights(self._keys.shard_of(act.user_id))]
        rules: list[Argument] = [rate, FADE, SHARED_RATE, BOUND, idle_ms(people.half_life_s)]
        return keys, [act.query_id, act.item_id, int(act.clicked), *rules]

    async def weights(self, user_id: UserId | None) -> dict[Modality, float]:
        """Factors of the weights; see ``ServedStore.weights``."""
        shards = range(self._keys.shards)
        shared = [_logs(reply) for reply in await asyncio.gather(*(self._read(self._keys.weights(s)) for s in shards))]
        everybody = {
            modality: sum(each.get(modality, 0.0) for _, each in shared) / len(shared)
            for modality in {modality for _, each in shared for modality in each}
        }
        if user_id is None:
            return factors(everybody)
        generation, own = _logs(await self._read(self._keys.served(user_id)[2]))
        return factors(everybody, own if generation == shared[self._keys.shard_of(user_id)][0] else {})

    async def _read(self, key: str) -> list[bytes]:
        (reply,) = await self._connection.ask([("HGETALL", key)])
        return list(reply)

    async def reset_weights(self) -> None:
        """Forget what clicks taught: everybody's now, each user's where it is met next."""
        for shard in range(self._keys.shards):
            key = self._keys.weights(shard)
            names = [str(modality) for modality in Modality]
            await self._connection.ask([("HDEL", key, *names), ("HINCRBY", key, "generation", 1)])

    async def everything(self) -> AsyncIterator[Served]:
        """Every answer that is kept now."""
        for shard in range(self._keys.shards):
            (users,) = await self._connection.ask([("ZRANGE", self._keys.served_users(shard), 0, -1)])
            for name in users:
                user_id = UserId(name.decode())
                reply = await self._read(self._keys.served(user_id)[0])
                for query_id, packed in zip(reply[::2], reply[1::2], strict=True):
                    yield unpack_served(packed, QueryId(query_id.decode()), user_id)


def _joined(reply: Any) -> Joined | None:
    if not reply:
        return None
    rank, seen, clicked, first = (int(each) for each in reply)
    return Joined(rank=rank, newly_seen=bool(seen), newly_clicked=bool(clicked), first_click=bool(first))


def _logs(reply: Sequence[bytes]) -> tuple[str, dict[Modality, float]]:
    """Generation and logarithms of a hash of weights."""
    read = {name.decode(): value.decode() for name, value in zip(reply[::2], reply[1::2], strict=True)}
    generation = read.pop("generation", "0")
    return generation, {Modality(name): float(value) for name, value in read.items()}
