"""People in Redis: every interaction is one script on the user's shard, so it counts everywhere once or nowhere."""

import asyncio
from collections.abc import Callable, Sequence
from operator import add
from pathlib import Path
from typing import Any, Final

from config.settings import PeopleSettings, RedisSettings
from config.vocabulary import ItemId, ModelRef, UserId
from fusion.index.connection import Argument, Command, RedisConnection, Script
from fusion.people.checks import check_interaction, check_profile, check_user_id, highest
from fusion.people.decay import add_log2, backward, decayed
from fusion.people.layout import (
    COVISITS_KEPT,
    PARTNERS_COUNTED,
    TRENDS_KEPT,
    PeopleKeys,
    idle_ms,
    is_step,
    pack_profile,
    pack_restored,
    pack_step,
    profile_direction,
    touches_of,
    unpack_profile,
    unpack_step,
)
from fusion.people.protocol import Interaction, Profile, Sums
from fusion.people.redis_served import RedisServedStore

_RECORD: Final = Script(Path(__file__).with_name("record.lua"))
_RESTORE: Final = Script(Path(__file__).with_name("restore.lua"))
_FORGET: Final = Script(Path(__file__).with_name("forget.lua"))

Scores = dict[ItemId, float]


class RedisPeopleStore:
    """Profiles, trends and pairs in Redis, sharded by user.

    What is kept after ``forget``: the sums over everybody, trends and pairs. They hold no user and cannot be taken
    apart; a user's share in trends decays, and in pairs it goes when a pair is pushed out or untouched for long.

    Args:
        redis: Where Redis is and how it is laid out.
        people: How behaviour counts.
        model: The model whose vectors make the profiles; profiles of two models never meet.
        dims: Length of its vectors.
    """

    def __init__(self, redis: RedisSettings, people: PeopleSettings, model: ModelRef, dims: int) -> None:
        self._people = people
        self._dims = dims
        self._model = model
        self._keys = PeopleKeys(redis.prefix, redis.shards, model)
        self._connection = RedisConnection(redis)
        self.served = RedisServedStore(self._connection, self._keys, people)

    @property
    def model(self) -> ModelRef:
        """The model whose vectors make the profiles."""
        return self._model

    async def record(self, interactions: Sequence[Interaction]) -> list[bool]:
        """Count each interaction once, in order; see ``PeopleStore.record``."""
        by_shard: dict[int, list[int]] = {}
        for place, interaction in enumerate(interactions):
            check_interaction(interaction, self._dims)
            by_shard.setdefault(self._keys.shard_of(interaction.user_id), []).append(place)
        counted: dict[int, bool] = {}
        replies = await asyncio.gather(
            *(self._record([interactions[place] for place in places]) for places in by_shard.values())
        )
        for places, reply in zip(by_shard.values(), replies, strict=True):
            counted.update(zip(places, map(bool, reply), strict=True))
        return [counted[place] for place in range(len(interactions))]

    async def _record(self, interactions: Sequence[Interaction]) -> list[Any]:
        return await self._connection.ask(_RECORD.commands([self._call(each) for each in interactions]))

    def _call(self, interaction: Interaction) -> tuple[list[str], list[Argument]]:
        user_id = interaction.user_id
        shard = self._keys.shard_of(user_id)
        keys = [*self._keys.user(user_id), self._keys.forgotten(user_id), self._keys.trends(shard)]
        vector = b"" if interaction.vector is None else pack_profile(interaction.vector)
        event: list[Argument] = [
            interaction.event_id,
            interaction.item_id,
            interaction.occurred_at_ms,
            interaction.weight,
            vector,
        ]
        step = pack_step(interaction) if is_step(interaction) else ""
        rules = [*self._rules(shard), step, self._people.steps]
        return keys, [*event, str(self._model), *rules]

    def _rules(self, shard: int) -> list[Argument]:
        people = self._people
        return [
            people.half_life_s * 1000.0,
            people.trend_half_life_s * 1000.0,
            people.history,
            people.remembered_events,
            people.covisit_window_s * 1000.0,
            self._keys.covisits(shard, ItemId("")),
            TRENDS_KEPT,
            COVISITS_KEPT,
            PARTNERS_COUNTED,
            idle_ms(people.half_life_s),
        ]

    async def profile(self, user_id: UserId, *, now_ms: int) -> Profile | None:
        """Read a profile as of ``now_ms``; see ``PeopleStore.profile``."""
        check_user_id(user_id)
        profile_key, _, history_key, _, steps_key = self._keys.user(user_id)
        fields = [f"{name}:{self._model}" for name in ("vector", "strength", "reference_ms")]
        stored, history, steps = await self._connection.ask(
            [
                ("HMGET", profile_key, *fields, "updated_ms"),
                ("ZRANGE", history_key, 0, -1, "REV", "WITHSCORES"),
                ("ZRANGE", steps_key, 0, -1, "REV", "WITHSCORES"),
            ]
        )
        vector, strength, reference_ms, updated_ms = stored
        if updated_ms is None:
            return None
        recent = sorted(_scores(history).items(), key=lambda touched: (-touched[1], touched[0]))
        return Profile(
            user_id=user_id,
            vector=None if vector is None else profile_direction(unpack_profile(vector)),
            strength=0.0 if vector is None else self._strength(float(strength), int(float(reference_ms)), now_ms),
            recent=tuple(item_id for item_id, _ in recent),
            updated_at_ms=int(updated_ms),
            steps=tuple(unpack_step(*step) for step in zip(steps[::2], map(int, steps[1::2]), strict=True)),
            touched_ms=tuple(int(touched) for _, touched in recent),
            sums=None
            if vector is None
            else Sums(total=unpack_profile(vector), strength=float(strength), reference_ms=int(float(reference_ms))),
        )

    def _strength(self, amount: float, reference_ms: int, now_ms: int) -> float:
        return decayed(amount, from_ms=reference_ms, to_ms=now_ms, half_life_s=self._people.half_life_s)

    async def restore(self, profiles: Sequence[Profile]) -> list[bool]:
        """Put profiles back; see ``PeopleStore.restore``."""
        for profile in profiles:
            check_profile(profile, self._dims)
        by_shard: dict[int, list[int]] = {}
        for place, profile in enumerate(profiles):
            by_shard.setdefault(self._keys.shard_of(profile.user_id), []).append(place)
        replies = await asyncio.gather(
            *(
                self._connection.ask(_RESTORE.commands([self._restoring(profiles[place]) for place in places]))
                for places in by_shard.values()
            )
        )
        restored: dict[int, bool] = {}
        for places, reply in zip(by_shard.values(), replies, strict=True):
            restored.update(zip(places, map(bool, reply), strict=True))
        return [restored[place] for place in range(len(profiles))]

    def _restoring(self, profile: Profile) -> tuple[list[str], list[Argument]]:
        keys = [*self._keys.user(profile.user_id), self._keys.forgotten(profile.user_id)]
        sums: list[Argument] = [b"", 0, 0]
        if profile.sums is not None:
            sums = [pack_profile(profile.sums.total), repr(profile.sums.strength), profile.sums.reference_ms]
        history = dict(zip(profile.recent, profile.touched_ms, strict=True))
        kept: list[dict[Any, int]] = [history, touches_of(profile), pack_restored(profile.steps)]
        rows = [value for each in kept for name, at_ms in each.items() for value in (at_ms, name)]
        head: list[Argument] = [profile.updated_at_ms, str(self._model), *sums, idle_ms(self._people.half_life_s)]
        return keys, [*head, *map(len, kept), *rows]

    async def forgotten_ms(self, user_id: UserId) -> int | None:
        """When a user asked to be forgotten; see ``PeopleStore.forgotten_ms``."""
        check_user_id(user_id)
        (at_ms,) = await self._connection.ask([("GET", self._keys.forgotten(user_id))])
        return None if at_ms is None else int(at_ms)

    async def forget(self, user_id: UserId, *, occurred_at_ms: int) -> bool:
        """Erase a user; see ``PeopleStore.forget``."""
        check_user_id(user_id)
        users = self._keys.served_users(self._keys.shard_of(user_id))
        keys = [self._keys.forgotten(user_id), users, *self._keys.everything(user_id)]
        kept_ms = max(int(self._people.forgotten_kept_s * 1000.0), 1)
        (erased,) = await self._connection.ask(_FORGET.commands([(keys, [occurred_at_ms, kept_ms, user_id])]))
        return bool(erased)

    async def trends(self, count: int, *, now_ms: int) -> list[tuple[ItemId, float]]:
        """The items most acted on lately; see ``PeopleStore.trends``."""
        logs = await self._merged_trends(2 * count)
        half_life_s = self._people.trend_half_life_s
        return [(item_id, backward(log2, now_ms, half_life_s)) for item_id, log2 in highest(logs, count)]

    async def _merged_trends(self, most: int) -> Scores:
        """Totals over all shards of the items that are high in any: found in one round, added up in a second."""
        tops = await self._ask_each(
            lambda shard: [("ZRANGE", self._keys.trends(shard), 0, most - 1, "REV", "WITHSCORES")]
        )
        if len(tops) == 1:
            return _scores(tops[0][0])
        named = list(dict.fromkeys(item_id for (top,) in tops for item_id in _scores(top)))
        if not named:
            return {}
        totals: Scores = {}
        for (scores,) in await self._ask_each(lambda shard: [("ZMSCORE", self._keys.trends(shard), *named)]):
            there = {item_id: float(score) for item_id, score in zip(named, scores, strict=True) if score is not None}
            _join(totals, there, add_log2)
        return totals

    async def covisited(self, item_id: ItemId, count: int) -> list[tuple[ItemId, float]]:
        """Items touched near this one; see ``PeopleStore.covisited``."""
        return (await self.partners([item_id], count))[0]

    async def partners(self, item_ids: Sequence[ItemId], count: int) -> list[list[tuple[ItemId, float]]]:
        """The same for each of several items, one round trip a shard; see ``PeopleStore.partners``.

        An item has at most twice ``COVISITS_KEPT`` partners in a shard, so all of them are read and add up exactly.
        """
        if not item_ids:
            return []
        found = await self._ask_each(
            lambda shard: [("ZRANGE", self._keys.covisits(shard, each), 0, -1, "WITHSCORES") for each in item_ids]
        )
        totals: list[Scores] = [{} for _ in item_ids]
        for replies in found:
            for total, reply in zip(totals, replies, strict=True):
                _join(total, _scores(reply), add)
        return [highest(total, count) for total in totals]

    async def _ask_each(self, commands: Callable[[int], Sequence[Command]]) -> list[list[Any]]:
        return await asyncio.gather(*(self._connection.ask(commands(shard)) for shard in range(self._keys.shards)))

    async def close(self) -> None:
        """Give back connections."""
        await self._connection.close()


def _scores(reply: Sequence[bytes]) -> Scores:
    return {ItemId(name.decode()): float(score) for name, score in zip(reply[::2], reply[1::2], strict=True)}


def _join(totals: Scores, more: Scores, joined: Callable[[float, float], float]) -> None:
    for item_id, score in more.items():
        totals[item_id] = joined(totals[item_id], score) if item_id in totals else score
