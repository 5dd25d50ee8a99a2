"""Records of the profiles topic become profiles again; what must not come back does not."""

import json
from datetime import UTC, datetime

import numpy as np

from config.settings import DeliverySettings, PeopleSettings
from config.vocabulary import Action, ItemId, UserId
from fusion.people.memory_store import MemoryPeopleStore
from fusion.people.protocol import Interaction, Profile, Sums
from tests.fusion_builders import DIMS, MODEL, unit
from workers.contracts.profiles import UserProfile, forgotten_headers
from workers.operate.past_records import PastRecord
from workers.operate.patience import Patience
from workers.operate.refill_people import RefillPeople

ANN = UserId("ann")


def snapshot(*, updated_at_ms: int = 1000) -> UserProfile:
    """A profile as the interaction worker sends it."""
    sums = Sums(total=np.asarray(unit(1), np.float64), strength=1.0, reference_ms=updated_at_ms)
    profile = Profile(
        user_id=ANN,
        vector=unit(1),
        strength=1.0,
        recent=(ItemId("a"),),
        updated_at_ms=updated_at_ms,
        touched_ms=(updated_at_ms,),
        sums=sums,
    )
    return UserProfile.of(profile, MODEL, datetime(2026, 5, 1, tzinfo=UTC))


def past(profile: UserProfile) -> PastRecord:
    """Its record."""
    return PastRecord(partition=0, offset=0, value=profile.to_bytes(), key=b"ann", at_ms=0)


def gone(at_ms: int | None) -> PastRecord:
    """The record that ends Ann."""
    return PastRecord(partition=0, offset=0, value=None, key=b"ann", headers=forgotten_headers(at_ms), at_ms=0)


def refill(people: MemoryPeopleStore) -> RefillPeople:
    """A refill of a store."""
    return RefillPeople(people, MODEL, Patience(DeliverySettings(), longest_s=1))


async def test_the_last_record_of_a_user_holds() -> None:
    """A user who was forgotten and came back is who came back; one who was forgotten last is gone."""
    people = MemoryPeopleStore(PeopleSettings(), DIMS)
    await refill(people).add([past(snapshot()), gone(2000), past(snapshot(updated_at_ms=3000))])
    held = await people.profile(ANN, now_ms=3000)
    assert held is not None
    assert held.updated_at_ms == 3000

    await refill(people).add([past(snapshot(updated_at_ms=4000)), gone(5000)])
    assert await people.profile(ANN, now_ms=5000) is None
    assert await people.forgotten_ms(ANN) == 5000


async def test_an_old_wish_does_not_erase_what_came_after_it() -> None:
    """The store may remember the wish no more while the topic still does."""
    people = MemoryPeopleStore(PeopleSettings(), DIMS)
    like = Interaction(
        event_id="e",
        user_id=ANN,
        item_id=ItemId("a"),
        action=Action.LIKE,
        occurred_at_ms=9000,
        weight=1,
        vector=unit(1),
    )
    await people.record([like])
    doing = refill(people)
    await doing.add([gone(2000)])
    assert doing.done.kept == 1
    assert await people.profile(ANN, now_ms=9000) is not None


async def test_what_is_no_profile_of_this_model_is_told_and_passed_over() -> None:
    """Each kind by its reason."""
    written = json.loads(snapshot().to_bytes())
    bare = {name: value for name, value in written.items() if name != "sums"}
    other = written | {"model": "other@9"}
    people = MemoryPeopleStore(PeopleSettings(), DIMS)
    doing = refill(people)
    values = [json.dumps(bare).encode(), json.dumps(other).encode(), b"{}"]
    await doing.add(
        [*(PastRecord(partition=0, offset=0, value=value, key=b"ann", at_ms=0) for value in values), gone(None)]
    )
    assert dict(doing.done.passed_over) == {
        "a profile without its sums and times": 1,
        "profiles of other@9, and the settings name test@1": 1,
        "no record of a profile": 1,
        "the end of a user, without a time": 1,
    }
    assert await people.profile(ANN, now_ms=1000) is None
