"""What every store of shown answers does: bounds, marks that count once, lessons of clicks, and forgetting."""

import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from config.settings import PeopleSettings, RedisSettings
from config.vocabulary import ItemId, Modality, QueryId, UserId
from fusion.people.memory_store import MemoryPeopleStore
from fusion.people.protocol import PeopleStore
from fusion.people.redis_store import RedisPeopleStore
from fusion.people.served import Act, Joined, Served, ServedHit, ServedScore, ServedStore
from tests.fusion_builders import DIMS, MODEL

KINDS = ("memory", "redis with 1 shard", "redis with 3 shards")
NOW_MS = 1_760_000_000_000
SETTINGS = PeopleSettings(served_queries=3, learn_weights=True, weight_rate=0.5)
ANN, BOB = UserId("ann"), UserId("bob")
TEXT, IMAGE = Modality.TEXT, Modality.IMAGE


@pytest.fixture(params=KINDS)
async def people(request: pytest.FixtureRequest) -> AsyncIterator[PeopleStore]:
    """The store whose part is under test, empty."""
    made: PeopleStore
    if request.param == "memory":
        made = MemoryPeopleStore(SETTINGS, DIMS)
    else:
        url, prefix = request.getfixturevalue("redis_url"), request.getfixturevalue("prefix")
        redis = RedisSettings(url=url, prefix=prefix, shards=int(request.param.split()[2]))
        made = RedisPeopleStore(redis, SETTINGS, MODEL, DIMS)
    yield made
    await made.close()


@pytest.fixture
def shards(request: pytest.FixtureRequest, people: PeopleStore) -> int:
    """Over how many everybody's weights are averaged."""
    kind = request.node.callspec.params["people"]
    return int(kind.split()[2]) if "redis" in kind else 1


@pytest.fixture
def store(people: PeopleStore) -> ServedStore:
    """What was shown."""
    return people.served


def hit(item_id: str, rank: int, text: float = 0.5, image: float = 0.5) -> ServedHit:
    """A shown item with its calibrated values."""
    values = {TEXT: text, IMAGE: image}
    scores = {m: ServedScore(similarity=0.5, calibrated=each, weight=0.5) for m, each in values.items()}
    return ServedHit(item_id=ItemId(item_id), rank=rank, scores=scores)


def shown(query_id: str = "q", *hits: ServedHit, **changes: Any) -> Served:
    """What Ann was shown now: three items unless others are given."""
    known = {"query_id": QueryId(query_id), "user_id": ANN, "at_ms": NOW_MS}
    return Served(**{**known, **changes}, hits=hits or (hit("a", 1), hit("b", 2), hit("c", 3)))


def act(item_id: str, *, clicked: bool = True, query_id: str = "q", user_id: UserId = ANN) -> Act:
    """A click of Ann's."""
    return Act(user_id=user_id, query_id=QueryId(query_id), item_id=ItemId(item_id), clicked=clicked)


async def kept(store: ServedStore) -> dict[str, Served]:
    """Everything kept, by query."""
    return {served.query_id: served async for served in store.everything()}


class TestJoining:
    """Acts meet what was shown."""

    async def test_an_act_finds_its_rank_and_counts_once(self, store: ServedStore) -> None:
        """Seen, then clicked, then again; the second item clicked is not the first click."""
        await store.remember(shown())

        joined = await store.join([act("b", clicked=False), act("b"), act("b"), act("c"), act("c", clicked=False)])

        assert joined == [
            Joined(rank=2, newly_seen=True, newly_clicked=False, first_click=False),
            Joined(rank=2, newly_seen=False, newly_clicked=True, first_click=True),
            Joined(rank=2, newly_seen=False, newly_clicked=False, first_click=False),
            Joined(rank=3, newly_seen=True, newly_clicked=True, first_click=False),
            Joined(rank=3, newly_seen=False, newly_clicked=False, first_click=False),
        ]

    async def test_what_was_not_shown_to_this_user_is_not_joined(self, store: ServedStore) -> None:
        """Another item, another query, another user."""
        await store.remember(shown())

        assert await store.join([act("z"), act("a", query_id="r"), act("a", user_id=BOB)]) == [None, None, None]

    async def test_everything_is_read_back_with_its_marks(self, store: ServedStore) -> None:
        """Items, ranks, scores of each modality, seen and clicked; any Unicode."""
        await store.remember(shown("猫 / 1", hit("i/é", 1, 0.25, 0.75), ServedHit(item_id=ItemId("bare"), rank=2)))
        await store.join([act("i/é", query_id="猫 / 1"), act("bare", query_id="猫 / 1", clicked=False)])

        found = (await kept(store))["猫 / 1"]

        assert (found.user_id, found.at_ms) == (ANN, NOW_MS)
        assert [(each.item_id, each.rank, each.seen, each.clicked) for each in found.hits] == [
            ("i/é", 1, True, True),
            ("bare", 2, True, False),
        ]
        assert found.hits[0].scores[IMAGE] == ServedScore(similarity=0.5, calibrated=0.75, weight=0.5)
        assert found.hits[1].scores == {}

    async def test_the_latest_answers_are_kept_and_repeats_change_nothing(self, store: ServedStore) -> None:
        """Three here; an answer that is sent again keeps its marks."""
        for number in range(5):
            await store.remember(shown(f"q{number}", at_ms=NOW_MS + number))
        await store.join([act("a", query_id="q4")])
        await store.remember(shown("q4", at_ms=NOW_MS + 4))

        found = await kept(store)

        assert set(found) == {"q2", "q3", "q4"}
        assert found["q4"].hits[0].clicked


class TestForgetting:
    """With the rest of the user."""

    async def test_what_was_shown_and_learnt_goes(self, people: PeopleStore, store: ServedStore) -> None:
        """And an answer that was on its way when the wish came is not kept; another user's is."""
        await store.remember(shown("q", hit("a", 1, 0.9, 0.1), hit("b", 2, 0.1, 0.9)))
        await store.remember(shown("bobs", user_id=BOB))
        await store.join([act("b")])

        assert await people.forget(ANN, occurred_at_ms=NOW_MS + 5) is True
        await store.remember(shown("late", at_ms=NOW_MS + 5))

        assert set(await kept(store)) == {"bobs"}
        assert await store.weights(ANN) == await store.weights(None)
        await store.remember(shown("new", at_ms=NOW_MS + 6))
        assert set(await kept(store)) == {"bobs", "new"}


class TestWeights:
    """What clicks teach."""

    async def test_nothing_is_known_at_first(self, store: ServedStore) -> None:
        """Of nobody."""
        assert await store.weights(ANN) == {}
        assert await store.weights(None) == {}

    async def test_the_modality_that_told_the_clicked_apart_gains(self, store: ServedStore, shards: int) -> None:
        """Against those passed over above and the next below, as computed by hand; others learn a tenth of it."""
        await store.remember(
            shown("q", hit("a", 1, 0.9, 0.2), hit("b", 2, 0.5, 0.8), hit("c", 3, 0.7, 0.4), hit("d", 4, 0.0, 0.0))
        )

        await store.join([act("b")])
        await store.join([act("b")])

        text, image = 0.5 - (0.9 + 0.7) / 2, 0.8 - (0.2 + 0.4) / 2
        step = 0.5 * (image - (text + image) / 2)
        own = await store.weights(ANN)
        assert own[IMAGE] > 1.2
        shared = 0.1 * step / shards
        assert own[IMAGE] == pytest.approx(math.exp(step + shared), rel=1e-6)
        assert own[TEXT] == pytest.approx(math.exp(-step - shared), rel=1e-6)
        assert (await store.weights(BOB))[IMAGE] == pytest.approx(math.exp(shared), rel=1e-6)

    async def test_weights_stay_within_their_bounds(self, store: ServedStore) -> None:
        """Half and twice, however often it is clicked."""
        for number in range(30):
            await store.remember(shown(f"q{number}", hit("a", 1, 1.0, 0.0), hit("b", 2, 0.0, 1.0)))
            await store.join([act("b", query_id=f"q{number}")])

        weights = await store.weights(ANN)

        assert weights == {TEXT: pytest.approx(0.5), IMAGE: pytest.approx(2.0)}

    async def test_earlier_lessons_fade(self, store: ServedStore) -> None:
        """By a tenth with each click: the second of two equal ones moves less."""
        for number in range(2):
            await store.remember(shown(f"q{number}", hit("a", 1, 0.6, 0.4), hit("b", 2, 0.4, 0.6)))
            await store.join([act("b", query_id=f"q{number}")])

        own, everybody = await store.weights(ANN), await store.weights(None)

        assert math.log(own[IMAGE] / everybody[IMAGE]) == pytest.approx(0.5 * 0.2 * (1 + 0.9), rel=1e-6)

    async def test_a_lone_first_click_or_one_modality_teaches_nothing(self, store: ServedStore) -> None:
        """Nothing was passed over, or nothing can be compared."""
        await store.remember(shown("one", hit("a", 1)))
        bare = ServedScore(similarity=0.5, calibrated=0.9, weight=1.0)
        single = [
            ServedHit(item_id=ItemId(name), rank=rank, scores={TEXT: bare}) for name, rank in (("a", 1), ("b", 2))
        ]
        await store.remember(shown("two", *single))

        await store.join([act("a", query_id="one"), act("b", query_id="two")])

        assert await store.weights(ANN) == {}

    async def test_a_reset_takes_everything_back(self, store: ServedStore) -> None:
        """Everybody's and each user's; learning goes on from there."""
        await store.remember(shown("q", hit("a", 1, 1.0, 0.0), hit("b", 2, 0.0, 1.0)))
        await store.join([act("b")])
        before = await store.weights(ANN)

        await store.reset_weights()

        assert await store.weights(ANN) == {}
        await store.remember(shown("r", hit("a", 1, 1.0, 0.0), hit("b", 2, 0.0, 1.0)))
        await store.join([act("b", query_id="r")])
        assert await store.weights(ANN) == {modality: pytest.approx(each) for modality, each in before.items()}
