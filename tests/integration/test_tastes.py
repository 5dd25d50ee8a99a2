"""A taste made of steps in another model's space is what counting there from the start would have made."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from config.settings import PeopleSettings, RedisSettings
from config.vocabulary import Action, ItemId, ModelRef, UserId
from fusion.people.protocol import Interaction
from fusion.people.redis_store import RedisPeopleStore
from fusion.people.redis_tastes import RedisTastes, Walked
from tests.fusion_builders import unit

SETTINGS = PeopleSettings(half_life_s=7200, steps=20)
OLD, NEW = ModelRef("old", "1"), ModelRef("new", "1")
DIMS = {OLD: 16, NEW: 24}
NOW_MS = 1_760_000_000_000
ANN, BOB = UserId("ann"), UserId("bob")
ITEMS = [ItemId(f"item-{number}") for number in range(12)]


def vectors(model: ModelRef) -> dict[ItemId, NDArray[np.float32]]:
    """What a model makes of the items; the last two are in no index."""
    seed = 1000 if model == NEW else 0
    return {item_id: unit(seed + place, DIMS[model]) for place, item_id in enumerate(ITEMS[:10])}


@dataclass(kw_only=True)
class People:
    """Stores of both models, and the tastes in the new one's space."""

    redis: RedisSettings
    old: RedisPeopleStore
    new: RedisPeopleStore
    tastes: RedisTastes

    async def everybody(self) -> list[list[Walked]]:
        """All that there are."""
        return [some async for some in self.tastes.everybody(10)]

    async def adopt(self) -> list[UserId]:
        """Give tastes to all; who got one, by name."""
        found: list[UserId] = []
        for some in await self.everybody():
            given = await self.tastes.adopt(some, vectors(NEW))
            found += [each.user_id for each, is_given in zip(some, given, strict=True) if is_given]
        return sorted(found)


@pytest.fixture
async def people(redis_url: str, prefix: str) -> AsyncIterator[People]:
    """Three shards, nobody there."""
    redis = RedisSettings(url=redis_url, prefix=prefix, shards=3)
    old, new = (RedisPeopleStore(redis, SETTINGS, model, DIMS[model]) for model in (OLD, NEW))
    made = People(redis=redis, old=old, new=new, tastes=RedisTastes(redis, NEW, SETTINGS.half_life_s))
    yield made
    for each in (made.old, made.new, made.tastes):
        await each.close()


def act(model: ModelRef, number: int, user_id: UserId = ANN, *, late_ms: int = 0) -> Interaction:
    """One of several acts of different worth, some of them dislikes, some on items that nobody knows."""
    item_id = ITEMS[number % len(ITEMS)]
    return Interaction(
        event_id=f"e{number}",
        user_id=user_id,
        item_id=item_id,
        action=Action.LIKE,
        occurred_at_ms=NOW_MS + 600_000 * number + late_ms,
        weight=(1.0, 3.0, -2.0, 0.5)[number % 4],
        vector=vectors(model).get(item_id),
    )


async def test_it_is_what_counting_there_makes(people: People, redis_url: str, prefix: str) -> None:
    """Every user's vector, strength and time, to the last digits of float64; also when given twice."""
    elsewhere = RedisSettings(url=redis_url, prefix=f"{prefix}-oracle", shards=2)
    oracle = RedisPeopleStore(elsewhere, SETTINGS, NEW, DIMS[NEW])
    for user_id, numbers in ((ANN, range(15)), (BOB, range(3, 5))):
        await people.old.record([act(OLD, number, user_id) for number in numbers])
        await oracle.record([act(NEW, number, user_id) for number in numbers])
    before = await people.old.profile(ANN, now_ms=NOW_MS)

    assert await people.adopt() == [ANN, BOB]
    assert await people.adopt() == [ANN, BOB]

    for user_id in (ANN, BOB):
        made = await people.new.profile(user_id, now_ms=NOW_MS)
        wanted = await oracle.profile(user_id, now_ms=NOW_MS)
        assert made is not None
        assert wanted is not None
        assert made.sums is not None
        assert wanted.sums is not None
        np.testing.assert_allclose(made.sums.total, wanted.sums.total, rtol=1e-12, atol=1e-12)
        assert made.sums.strength == pytest.approx(wanted.sums.strength)
        assert made.sums.reference_ms == wanted.sums.reference_ms
    after = await people.old.profile(ANN, now_ms=NOW_MS)
    assert before is not None
    assert after is not None
    assert after.vector is not None
    np.testing.assert_array_equal(after.vector, before.vector)
    await oracle.close()


async def test_what_was_counted_there_stays(people: People) -> None:
    """A taste that grew in the space knows more than the last steps: it is not replaced by them."""
    await people.new.record([act(NEW, 1)])
    before = await people.new.profile(ANN, now_ms=NOW_MS)
    assert await people.adopt() == []
    after = await people.new.profile(ANN, now_ms=NOW_MS)
    assert before is not None
    assert after is not None
    assert after.vector is not None
    np.testing.assert_array_equal(after.vector, before.vector)


async def test_whoever_acted_meanwhile_is_left(people: People) -> None:
    """Steps that were read before are no taste of now; read again they are. Nor is anybody made up who is forgotten."""
    await people.old.record([act(OLD, 1), act(OLD, 2, BOB)])
    read = await people.everybody()
    await people.old.record([act(OLD, 3)])
    await people.old.forget(BOB, occurred_at_ms=NOW_MS * 2)
    for some in read:
        assert await people.tastes.adopt(some, vectors(NEW)) == [False] * len(some)
    assert await people.new.profile(BOB, now_ms=NOW_MS) is None
    assert await people.adopt() == [ANN]


async def test_unknown_items_make_no_taste(people: People) -> None:
    """A user who only met items that are in no index stays cold."""
    await people.old.record([act(OLD, 10), act(OLD, 11)])
    assert await people.adopt() == []
