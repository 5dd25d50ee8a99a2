"""Tastes in another model's space: a sum of vectors cannot be carried over, the steps that it was made of can."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.settings import RedisSettings
from config.vocabulary import ItemId, ModelRef, UserId
from fusion.index.connection import Argument, RedisConnection, Script
from fusion.people.decay import decayed
from fusion.people.layout import PeopleKeys, pack_profile, unpack_step
from fusion.people.protocol import Step, Sums

_ADOPT: Final = Script(Path(__file__).with_name("adopt.lua"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """A user's steps, newest first, as they are now; how many there are, and when the newest was."""

    user_id: UserId
    steps: tuple[Step, ...]


class RedisTastes:
    """Reads all users' steps, and gives them tastes.

    Args:
        redis: Where Redis is and how it is laid out.
        model: In whose space.
        half_life_s: After this long a step counts half.
    """

    def __init__(self, redis: RedisSettings, model: ModelRef, half_life_s: float) -> None:
        self._keys = PeopleKeys(redis.prefix, redis.shards, model)
        self._half_life_s = half_life_s
        self._connection = RedisConnection(redis)

    async def everybody(self, at_once: int) -> AsyncIterator[list[Walked]]:
        """Users who took steps, some at a time; who comes meanwhile may be left out.

        Raises:
            RetryLater: Redis is away.
        """
        for shard in range(self._keys.shards):
            start = f"{self._keys.tag(shard)}:user:"
            async for names in self._connection.scan(f"{start}*", at_once):
                walked = await self.walked([UserId(name.removeprefix(start)) for name in names])
                if walked:
                    yield walked

    async def walked(self, users: Sequence[UserId]) -> list[Walked]:
        """The steps of users of one shard as they are now; who took none is left out.

        Raises:
            RetryLater: Redis is away.
        """
        replies = await self._connection.ask(
            [("ZRANGE", self._keys.user(user_id)[-1], 0, -1, "REV", "WITHSCORES") for user_id in users]
        )
        return [
            Walked(
                user_id=user_id,
                steps=tuple(unpack_step(*step) for step in zip(raw[::2], map(int, raw[1::2]), strict=True)),
            )
            for user_id, raw in zip(users, replies, strict=True)
            if raw
        ]

    async def adopt(self, walked: Sequence[Walked], vectors: Mapping[ItemId, NDArray[np.float32]]) -> list[bool]:
        """Give users the tastes that their steps make.

        Args:
            walked: All of one shard, as ``everybody`` gives them.
            vectors: float32 unit vectors of shape (dims,) of the items in the model's space; those unknown are absent.

        Returns:
            False, and nothing changed, for a user whose steps lead to no known item, who acted meanwhile, or has a
            taste in this space that was counted and not adopted.
        """
        made = [sums_of(each.steps, vectors, self._half_life_s) for each in walked]
        asked = [place for place, sums in enumerate(made) if sums is not None]
        calls = [
            (self._changed(each.user_id), self._arguments(each, sums))
            for each, sums in zip(walked, made, strict=True)
            if sums is not None
        ]
        replies = await self._connection.ask(_ADOPT.commands(calls)) if calls else []
        given = {place for place, reply in zip(asked, replies, strict=True) if reply}
        return [place in given for place in range(len(walked))]

    def _changed(self, user_id: UserId) -> list[str]:
        profile, *_, steps = self._keys.user(user_id)
        return [profile, steps]

    def _arguments(self, each: Walked, sums: Sums) -> list[Argument]:
        seen = (len(each.steps), each.steps[0].occurred_at_ms)
        return [str(self._keys.model), *seen, pack_profile(sums.total), repr(sums.strength), sums.reference_ms]

    async def close(self) -> None:
        """Give back connections."""
        await self._connection.close()


def sums_of(steps: Sequence[Step], vectors: Mapping[ItemId, NDArray[np.float32]], half_life_s: float) -> Sums | None:
    """What counting these steps one by one comes to (``record.lua``); None where no item of them is known."""
    known = [step for step in steps if step.weight and step.item_id in vectors]
    if not known:
        return None
    reference_ms = max(step.occurred_at_ms for step in known)
    shares = [
        decayed(step.weight, from_ms=step.occurred_at_ms, to_ms=reference_ms, half_life_s=half_life_s) for step in known
    ]
    rows = np.stack([np.asarray(vectors[step.item_id], np.float64) for step in known])
    strength = float(np.sum(np.abs(shares)))
    return Sums(total=np.asarray(shares) @ rows, strength=strength, reference_ms=reference_ms)
