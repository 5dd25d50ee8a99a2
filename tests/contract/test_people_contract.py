"""What every people store does, whatever it is made of."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from config.errors import Misconfigured, RejectEvent
from config.settings import PeopleSettings, RedisSettings
from config.vocabulary import Action, ItemId, UserId
from fusion.people.memory_store import MemoryPeopleStore
from fusion.people.protocol import Interaction, PeopleStore, Profile, Step, Sums
from fusion.people.redis_store import RedisPeopleStore
from tests.fusion_builders import DIMS, MODEL, unit

KINDS = ("memory", "redis with 1 shard", "redis with 4 shards")
NOW_MS = 1_760_000_000_000
HOUR_MS = 3_600_000
SETTINGS = PeopleSettings(
    half_life_s=7200, trend_half_life_s=3600, history=5, steps=4, remembered_events=20, covisit_window_s=1800
)
ANN, BOB = UserId("ann"), UserId("bob")


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[PeopleStore]:
    """The store under test, empty."""
    made: PeopleStore
    if request.param == "memory":
        made = MemoryPeopleStore(SETTINGS, DIMS)
    else:
        shards = 4 if "4" in request.param else 1
        url, prefix = request.getfixturevalue("redis_url"), request.getfixturevalue("prefix")
        made = RedisPeopleStore(RedisSettings(url=url, prefix=prefix, shards=shards), SETTINGS, MODEL, DIMS)
    yield made
    await made.close()


def act(event_id: str, item_id: str = "a", **changes: Any) -> Interaction:
    """A click of Ann's, now, on an item whose vector its id decides."""
    known: dict[str, Any] = {
        "event_id": event_id,
        "user_id": ANN,
        "item_id": ItemId(item_id),
        "action": Action.CLICK,
        "occurred_at_ms": NOW_MS,
        "weight": 1.0,
        "vector": unit(sum(item_id.encode(errors="replace"))),
    }
    return Interaction(**{**known, **changes})


class TestProfiles:
    """What a user likes now."""

    async def test_a_user_never_seen_has_none(self, store: PeopleStore) -> None:
        """Not an empty one."""
        assert await store.profile(ANN, now_ms=NOW_MS) is None

    async def test_one_action_makes_a_profile_of_its_item(self, store: PeopleStore) -> None:
        """The vector is the item's, the strength the action's weight."""
        assert await store.record([act("1", weight=3.0)]) == [True]

        profile = await store.profile(ANN, now_ms=NOW_MS)

        assert profile is not None
        assert profile.vector is not None
        np.testing.assert_allclose(profile.vector, unit(97), atol=1e-6)
        assert profile.strength == pytest.approx(3.0)
        assert (profile.recent, profile.updated_at_ms) == (("a",), NOW_MS)

    async def test_an_older_action_counts_by_half_a_half_life(self, store: PeopleStore) -> None:
        """One half-life earlier counts half; the mean is by decayed weight."""
        await store.record([act("1", "a", occurred_at_ms=NOW_MS - 2 * HOUR_MS), act("2", "b")])

        profile = await store.profile(ANN, now_ms=NOW_MS)

        assert profile is not None
        assert profile.vector is not None
        expected = 0.5 * unit(97) + unit(98)
        np.testing.assert_allclose(profile.vector, expected / np.linalg.norm(expected), atol=1e-6)
        assert profile.strength == pytest.approx(1.5)

    async def test_strength_decays_until_it_is_read(self, store: PeopleStore) -> None:
        """Read one half-life later it is half; the direction stays."""
        await store.record([act("1")])

        later = await store.profile(ANN, now_ms=NOW_MS + 2 * HOUR_MS)

        assert later is not None
        assert later.strength == pytest.approx(0.5)

    async def test_the_order_of_arrival_does_not_matter(self, store: PeopleStore) -> None:
        """Late events end in the same profile."""
        events = [("a", 0, 1.0), ("b", 3, -2.0), ("c", 1, 4.0)]
        vectors = []
        for number, order in enumerate(permutations(events)):
            user = UserId(f"user-{number}")
            await store.record(
                [
                    act(name, name, user_id=user, occurred_at_ms=NOW_MS - hours * HOUR_MS, weight=weight)
                    for name, hours, weight in order
                ]
            )
            profile = await store.profile(user, now_ms=NOW_MS)
            assert profile is not None
            vectors.append(profile.vector)

        for vector in vectors[1:]:
            np.testing.assert_allclose(vector, vectors[0], atol=1e-6)

    async def test_dislikes_point_away(self, store: PeopleStore) -> None:
        """A negative weight subtracts; strength grows all the same."""
        await store.record([act("1", "a", weight=2.0), act("2", "b", weight=-1.0)])

        profile = await store.profile(ANN, now_ms=NOW_MS)

        assert profile is not None
        assert profile.vector is not None
        expected = 2 * unit(97) - unit(98)
        np.testing.assert_allclose(profile.vector, expected / np.linalg.norm(expected), atol=1e-6)
        assert profile.strength == pytest.approx(3.0)

    @pytest.mark.parametrize("change", [{"vector": None}, {"weight": 0.0}])
    async def test_without_vector_or_weight_only_history_grows(self, store: PeopleStore, change: Any) -> None:
        """The user is cold, and the item is not recommended again."""
        await store.record([act("1", **change)])

        profile = await store.profile(ANN, now_ms=NOW_MS)

        assert profile is not None
        assert (profile.vector, profile.strength, profile.recent) == (None, 0.0, ("a",))

    async def test_likes_and_dislikes_that_cancel_leave_no_direction(self, store: PeopleStore) -> None:
        """Rather than a vector of noise."""
        await store.record([act("1", weight=1.0), act("2", weight=-1.0)])

        profile = await store.profile(ANN, now_ms=NOW_MS)

        assert profile is not None
        assert profile.vector is None

    async def test_history_is_newest_first_and_bounded(self, store: PeopleStore) -> None:
        """Five are kept here; touching one again moves it up, a late event does not."""
        names = "abcdefg"
        await store.record([act(name, name, occurred_at_ms=NOW_MS + place) for place, name in enumerate(names)])
        await store.record(
            [act("again", "d", occurred_at_ms=NOW_MS + 100), act("late", "g", occurred_at_ms=NOW_MS - 9)]
        )

        profile = await store.profile(ANN, now_ms=NOW_MS)

        assert profile is not None
        assert profile.recent == ("d", "g", "f", "e", "c")
        assert profile.updated_at_ms == NOW_MS + 100


class TestSteps:
    """What a user did last, in order."""

    async def test_they_are_newest_first_with_what_a_visit_needs(self, store: PeopleStore) -> None:
        """Item, weight, time and session, as often as it was acted on; a middling rating too, not what was shown."""
        await store.record([act("1", "a", session_id="s"), act("2", "b", weight=-1.5, occurred_at_ms=NOW_MS + 2)])
        await store.record([act("3", "a", occurred_at_ms=NOW_MS + 1), act("4", "c", weight=0.0)])
        await store.record([act("5", "d", weight=0.0, action=Action.RATE, occurred_at_ms=NOW_MS + 3)])

        profile = await store.profile(ANN, now_ms=NOW_MS)

        assert profile is not None
        assert profile.steps == (
            Step(item_id=ItemId("d"), weight=0.0, occurred_at_ms=NOW_MS + 3),
            Step(item_id=ItemId("b"), weight=-1.5, occurred_at_ms=NOW_MS + 2),
            Step(item_id=ItemId("a"), weight=1.0, occurred_at_ms=NOW_MS + 1),
            Step(item_id=ItemId("a"), weight=1.0, occurred_at_ms=NOW_MS, session_id="s"),
        )

    async def test_they_are_bounded_and_replays_add_none(self, store: PeopleStore) -> None:
        """Four are kept here, the newest by event time, whatever order they come in."""
        events = [act(name, name, occurred_at_ms=NOW_MS + place) for place, name in enumerate("abcdef")]
        for order in (events, events[::-1]):
            await store.record(order)

        profile = await store.profile(ANN, now_ms=NOW_MS)

        assert profile is not None
        assert [step.item_id for step in profile.steps] == list("fedc")

    async def test_their_order_does_not_depend_on_the_order_of_arrival(self, store: PeopleStore) -> None:
        """Equal times are ordered by the event's id."""
        for number, order in enumerate(permutations("abc")):
            user = UserId(f"user-{number}")
            await store.record([act(name, name, user_id=user) for name in order])
            profile = await store.profile(user, now_ms=NOW_MS)
            assert profile is not None
            assert [step.item_id for step in profile.steps] == list("cba")


class TestCountingOnce:
    """Replays change nothing."""

    async def test_a_replayed_event_counts_once(self, store: PeopleStore) -> None:
        """In the same batch or later, in profile, trends and pairs."""
        batch = [act("1", "a"), act("2", "b")]
        assert await store.record([*batch, batch[0]]) == [True, True, False]
        before = await store.profile(ANN, now_ms=NOW_MS), await store.trends(9, now_ms=NOW_MS)

        assert await store.record(batch) == [False, False]

        after = await store.profile(ANN, now_ms=NOW_MS), await store.trends(9, now_ms=NOW_MS)
        assert after[1] == before[1]
        assert after[0] is not None
        assert before[0] is not None
        assert after[0].strength == before[0].strength
        assert await store.covisited(ItemId("a"), 9) == [("b", 1.0)]

    async def test_one_id_of_two_users_is_two_events(self, store: PeopleStore) -> None:
        """Ids are remembered for each user."""
        assert await store.record([act("1"), act("1", user_id=BOB)]) == [True, True]

    async def test_events_too_old_to_tell_are_refused(self, store: PeopleStore) -> None:
        """Once ids were dropped from the window, what is as old as they could be a replay."""
        events = [act(str(place), occurred_at_ms=NOW_MS + place) for place in range(25)]
        assert all(await store.record(events))

        assert not any(await store.record(events))
        assert await store.record([act("never seen", occurred_at_ms=NOW_MS + 2)]) == [False]
        assert await store.record([act("never seen either", occurred_at_ms=NOW_MS + 20)]) == [True]


class TestForgetting:
    """A user's wish, provably kept."""

    async def test_everything_of_the_user_goes(self, store: PeopleStore) -> None:
        """And nothing of others."""
        await store.record([act("1"), act("2", user_id=BOB)])

        assert await store.forget(ANN, occurred_at_ms=NOW_MS + 1) is True

        assert await store.profile(ANN, now_ms=NOW_MS) is None
        assert await store.profile(BOB, now_ms=NOW_MS) is not None

    async def test_replays_of_older_interactions_are_refused(self, store: PeopleStore) -> None:
        """Kafka may deliver them again."""
        await store.record([act("1")])
        await store.forget(ANN, occurred_at_ms=NOW_MS + 1)

        assert await store.record([act("1"), act("other", occurred_at_ms=NOW_MS + 1)]) == [False, False]
        assert await store.profile(ANN, now_ms=NOW_MS) is None

    async def test_a_user_who_comes_back_starts_anew(self, store: PeopleStore) -> None:
        """Newer interactions count, and a replay of the wish does not erase them."""
        await store.record([act("1", "a")])
        await store.forget(ANN, occurred_at_ms=NOW_MS + 1)
        await store.record([act("2", "b", occurred_at_ms=NOW_MS + 2)])

        assert await store.forget(ANN, occurred_at_ms=NOW_MS + 1) is False

        profile = await store.profile(ANN, now_ms=NOW_MS + 2)
        assert profile is not None
        assert profile.recent == ("b",)
        assert profile.strength == pytest.approx(1.0)

    async def test_forgetting_the_unknown_is_remembered(self, store: PeopleStore) -> None:
        """The wish may overtake the interactions."""
        assert await store.forget(ANN, occurred_at_ms=NOW_MS) is False
        assert await store.record([act("1")]) == [False]


class TestRestoring:
    """What a loss took comes back from what was read before."""

    async def before(self, store: PeopleStore) -> Profile:
        """Ann's profile after some actions, the store empty of her afterwards as after a loss."""
        await store.record(
            [
                act("1", "a", occurred_at_ms=NOW_MS - HOUR_MS),
                act("2", "b", weight=-2.0, session_id="s"),
                act("3", "c", weight=0.5),
                act("4", "d", weight=0.0, action=Action.IMPRESSION),
            ]
        )
        profile = await store.profile(ANN, now_ms=NOW_MS)
        assert profile is not None
        await store.forget(ANN, occurred_at_ms=NOW_MS - 2 * HOUR_MS)
        return profile

    async def test_it_comes_back_as_it_was(self, store: PeopleStore) -> None:
        """Vector and sums bit for bit, history, steps with their order, times."""
        before = await self.before(store)

        assert await store.restore([before]) == [True]

        after = await store.profile(ANN, now_ms=NOW_MS)
        assert after is not None
        assert before.sums is not None
        assert after.sums is not None
        assert after.sums.total.tobytes() == before.sums.total.tobytes()
        np.testing.assert_array_equal(after.vector, before.vector)
        assert replace(after, vector=None, sums=None) == replace(before, vector=None, sums=None)

    async def test_what_was_counted_counts_no_second_time(self, store: PeopleStore) -> None:
        """The ids are lost, so time decides; what is newer counts, from the sums that were."""
        before = await self.before(store)
        await store.restore([before])

        assert await store.record([act("2", "b"), act("3", "c"), act("9", "a", occurred_at_ms=NOW_MS + 1)]) == [
            False,
            False,
            True,
        ]
        after = await store.profile(ANN, now_ms=NOW_MS + 1)
        assert after is not None
        assert after.strength == pytest.approx(before.strength + 1.0, rel=1e-6)
        assert after.recent[0] == "a"

    async def test_what_is_as_new_stays(self, store: PeopleStore) -> None:
        """A second rebuild changes nothing, and neither does one that comes after newer actions."""
        before = await self.before(store)
        await store.restore([before])
        assert await store.restore([before]) == [False]
        await store.record([act("9", "a", occurred_at_ms=NOW_MS + 1)])
        assert await store.restore([before]) == [False]

    async def test_the_forgotten_do_not_come_back(self, store: PeopleStore) -> None:
        """A snapshot from before the wish is refused; the wish's time can be asked for."""
        before = await self.before(store)
        assert await store.forgotten_ms(BOB) is None
        await store.forget(ANN, occurred_at_ms=NOW_MS)

        assert await store.restore([before]) == [False]
        assert await store.profile(ANN, now_ms=NOW_MS) is None
        assert await store.forgotten_ms(ANN) == NOW_MS

    async def test_a_cold_user_comes_back_cold(self, store: PeopleStore) -> None:
        """With a history and no taste."""
        await store.record([act("1", vector=None, weight=0.0)])
        cold = await store.profile(ANN, now_ms=NOW_MS)
        assert cold is not None
        await store.forget(ANN, occurred_at_ms=NOW_MS - 1)

        assert await store.restore([cold]) == [True]
        assert await store.profile(ANN, now_ms=NOW_MS) == cold

    async def test_a_sum_of_another_length_is_refused(self, store: PeopleStore) -> None:
        """Two models under one name."""
        before = await self.before(store)
        wrong = replace(before, sums=Sums(total=np.ones(3), strength=1.0, reference_ms=0))
        with pytest.raises(Misconfigured, match="shape"):
            await store.restore([wrong])


class TestTrends:
    """What is acted on lately, by all."""

    async def test_recent_weight_counts_more(self, store: PeopleStore) -> None:
        """An hour is half here: three old clicks weigh less than two new ones."""
        old = [act(f"o{n}", "old", user_id=UserId(f"u{n}"), occurred_at_ms=NOW_MS - HOUR_MS) for n in range(3)]
        new = [act(f"n{n}", "new", user_id=UserId(f"u{n}")) for n in range(2)]
        await store.record([*new, *old])

        trends = await store.trends(10, now_ms=NOW_MS)

        assert [item_id for item_id, _ in trends] == ["new", "old"]
        assert [weight for _, weight in trends] == pytest.approx([2.0, 1.5])
        later = await store.trends(1, now_ms=NOW_MS + HOUR_MS)
        assert later == [("new", pytest.approx(1.0))]

    async def test_dislikes_and_impressions_make_no_trend(self, store: PeopleStore) -> None:
        """Only weights above 0 do."""
        await store.record([act("1", weight=-3.0), act("2", weight=0.0)])

        assert await store.trends(10, now_ms=NOW_MS) == []

    async def test_ties_break_by_id(self, store: PeopleStore) -> None:
        """Whatever shard they come from."""
        await store.record([act(name, name, user_id=UserId(name)) for name in "dbca"])

        assert [item_id for item_id, _ in await store.trends(3, now_ms=NOW_MS)] == ["a", "b", "c"]

    async def test_years_do_not_overflow(self, store: PeopleStore) -> None:
        """Ten years of an hour's half-life are far beyond the largest float."""
        later_ms = NOW_MS + 10 * 365 * 24 * HOUR_MS
        await store.record([act("1", "a"), act("2", "b", occurred_at_ms=later_ms)])

        trends = await store.trends(2, now_ms=later_ms)

        assert trends[0] == ("b", pytest.approx(1.0, rel=1e-6))
        assert trends[1] == ("a", 0.0)


class TestPairs:
    """Items touched near each other in time."""

    async def test_items_within_the_window_are_pairs(self, store: PeopleStore) -> None:
        """Both ways, over users; what lies outside the window or is another user's is none."""
        for user in (ANN, BOB):
            await store.record(
                [act("1", "a", user_id=user), act("2", "b", user_id=user, occurred_at_ms=NOW_MS + 60_000)]
            )
        await store.record([act("3", "c", occurred_at_ms=NOW_MS + HOUR_MS), act("4", "d", user_id=UserId("cid"))])

        assert await store.covisited(ItemId("a"), 5) == [("b", 2.0)]
        assert await store.covisited(ItemId("b"), 5) == [("a", 2.0)]
        assert await store.covisited(ItemId("c"), 5) == []
        assert await store.covisited(ItemId("d"), 5) == []

    async def test_back_and_forth_is_one_visit(self, store: PeopleStore) -> None:
        """One user cannot blow a pair up."""
        await store.record([act(str(n), "ab"[n % 2], occurred_at_ms=NOW_MS + n) for n in range(8)])

        assert await store.covisited(ItemId("a"), 5) == [("b", 1.0)]

    async def test_what_is_disliked_or_only_shown_is_no_visit(self, store: PeopleStore) -> None:
        """Only weights above 0 pair."""
        await store.record([act("1", "a"), act("2", "b", weight=-1.0), act("3", "c", weight=0.0)])

        assert await store.covisited(ItemId("a"), 5) == []

    async def test_partners_come_by_count_then_id(self, store: PeopleStore) -> None:
        """Highest first."""
        await store.record([act("1", "x"), act("2", "c"), act("3", "b"), act("4", "a")])
        await store.record([act("1", "x", user_id=BOB), act("2", "c", user_id=BOB)])

        assert await store.covisited(ItemId("x"), 2) == [("c", 2.0), ("a", 1.0)]

    async def test_partners_of_many_are_those_of_each(self, store: PeopleStore) -> None:
        """Also where some have none, and over users of all shards."""
        for number in range(12):
            user = UserId(f"user-{number}")
            await store.record([act("1", "x", user_id=user), act("2", "abc"[number % 3], user_id=user)])
            await store.record([act("3", "y", user_id=user, occurred_at_ms=NOW_MS + HOUR_MS)])
        items = [ItemId(name) for name in ("x", "y", "a", "none")]

        partners = await store.partners(items, 2)

        assert partners == [await store.covisited(item_id, 2) for item_id in items]
        assert partners[0] == [("a", 4.0), ("b", 4.0)]
        assert partners[3] == []
        assert await store.partners([], 2) == []


class TestRefusing:
    """Wrong input names the field."""

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"user_id": ""}, "user_id"),
            ({"event_id": "x" * 600}, "event_id"),
            ({"item_id": "\ud800"}, "item_id"),
            ({"session_id": ""}, "session_id"),
            ({"weight": float("nan")}, "value"),
        ],
    )
    async def test_what_cannot_be_counted(self, store: PeopleStore, change: Any, field: str) -> None:
        """Before anything of the batch is counted."""
        with pytest.raises(RejectEvent) as caught:
            await store.record([act("good"), act(**{"event_id": "1", **change})])

        assert caught.value.field == field
        assert await store.profile(ANN, now_ms=NOW_MS) is None

    async def test_vectors_of_another_length(self, store: PeopleStore) -> None:
        """Profiles of two models never meet."""
        with pytest.raises(Misconfigured, match="shape"):
            await store.record([act("1", vector=unit(1, DIMS + 1))])

    @pytest.mark.parametrize("name", ["猫", "a b:{c}", "ann:events"])
    async def test_any_unicode_is_a_name(self, store: PeopleStore, name: str) -> None:
        """Ids are data."""
        await store.record([act("1", name, user_id=UserId(name)), act("2", "other", user_id=UserId(name))])

        profile = await store.profile(UserId(name), now_ms=NOW_MS)
        assert profile is not None
        assert set(profile.recent) == {step.item_id for step in profile.steps} == {name, "other"}
        assert await store.covisited(ItemId(name), 2) == [("other", 1.0)]
