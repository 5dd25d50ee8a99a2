"""Recommendations: from a profile, from pairs, and from trends for who is cold."""

from typing import Any

import pytest

from config.settings import PeopleSettings
from config.vocabulary import Action, ItemId, Modality, UserId
from fusion.index.memory_index import MemoryVectorIndex
from fusion.people.memory_store import MemoryPeopleStore
from fusion.people.protocol import Interaction
from fusion.recommend import PAIRS_BECAUSE, TRENDS_BECAUSE, personalised, recommend
from fusion.request import QueryPart, Ranking, RankingRequest
from tests.fusion_builders import DIMS, MODEL, item, unit

NOW_MS = 1_760_000_000_000
ANN, BOB = UserId("ann"), UserId("bob")


class World:
    """An index and people, small."""

    def __init__(self) -> None:
        self.index = MemoryVectorIndex(MODEL, DIMS)
        self.people = MemoryPeopleStore(PeopleSettings(), DIMS)
        self._events = 0

    async def act(self, user_id: UserId, *names: str, weight: float = 1.0) -> None:
        """A user acts on items, one after the other."""
        for name in names:
            self._events += 1
            found = await self.index.fetch([ItemId(name)])
            vector = found[ItemId(name)].vectors[Modality.TEXT] if found else None
            event = Interaction(
                event_id=str(self._events),
                user_id=user_id,
                item_id=ItemId(name),
                action=Action.CLICK,
                occurred_at_ms=NOW_MS + self._events,
                weight=weight,
                vector=vector,
            )
            await self.people.record([event])

    async def recommend(self, user_id: UserId, **request: Any) -> Ranking:
        """What is recommended to a user."""
        return await recommend(
            user_id, RankingRequest(**request), people=self.people, index=self.index, calibration={}, now_ms=NOW_MS
        )


@pytest.fixture
async def world() -> World:
    """Forty items in a row, each near to its neighbours."""
    made = World()
    rows = [unit(place // 10) + 0.4 * unit(1000 + place) for place in range(40)]
    await made.index.write(
        [item(f"i{place:02}", vectors={Modality.TEXT: row}, attributes={"n": place}) for place, row in enumerate(rows)]
    )
    return made


def ids(ranking: Ranking) -> list[str]:
    """Ids in the order of their ranks."""
    return [hit.item_id for hit in ranking.hits]


async def test_the_like_of_what_was_liked_comes_first(world: World) -> None:
    """From the same group, without what the user has seen."""
    await world.act(ANN, "i03", "i04")

    ranking = await world.recommend(ANN, k=8, explain=True)

    assert sorted(ids(ranking)) == ["i00", "i01", "i02", "i05", "i06", "i07", "i08", "i09"]
    assert "acted on lately" in ranking.hits[0].because[0]
    assert 0 < ranking.hits[0].modality_scores[Modality.TEXT].similarity <= 1


async def test_what_was_disliked_is_neither_shown_nor_liked(world: World) -> None:
    """A dislike is in the history too."""
    await world.act(ANN, "i03")
    await world.act(ANN, "i12", weight=-3.0)

    assert not {"i03", "i12"} & set(ids(await world.recommend(ANN, k=40)))


async def test_partners_of_what_was_touched_are_found(world: World) -> None:
    """Others touched i35 together with i03: it comes up from another group, and says why."""
    for number in range(3):
        await world.act(UserId(f"other-{number}"), "i03", "i35")
    await world.act(ANN, "i03")

    hits = (await world.recommend(ANN, k=12, explain=True)).hits

    paired = next(hit for hit in hits if hit.item_id == "i35")
    assert paired.because[-1] == PAIRS_BECAUSE
    assert paired.rank < 12


async def test_a_cold_user_gets_the_trends(world: World) -> None:
    """With a reason, a score in [0, 1], filter and page kept."""
    await world.act(BOB, "i20", "i21", "i21", "gone")

    ranking = await world.recommend(ANN)

    assert ids(ranking) == ["i21", "i20"]
    assert [hit.score for hit in ranking.hits] == pytest.approx([1.0, 0.5], rel=1e-3)
    assert ranking.hits[0].because == (TRENDS_BECAUSE,)
    assert ids(await world.recommend(ANN, filter=".n == 20")) == ["i20"]
    assert [(hit.rank, hit.item_id) for hit in (await world.recommend(ANN, offset=1)).hits] == [(2, "i20")]


async def test_a_user_with_history_alone_gets_other_trends(world: World) -> None:
    """What was shown to them is not shown again."""
    await world.act(BOB, "i20", "i21")
    await world.act(ANN, "i21", weight=0.0)

    assert ids(await world.recommend(ANN)) == ["i20"]


async def test_an_empty_world_says_so(world: World) -> None:
    """No trend is made up."""
    ranking = await world.recommend(ANN)

    assert ranking.hits == ()
    assert "nothing is trending" in ranking.warnings[0]


async def test_a_search_is_personalised_for_the_warm_alone(world: World) -> None:
    """A cold user's search stays as it is, and so does one that does not ask for it."""
    request = RankingRequest(parts=(QueryPart(modality=Modality.TEXT, vector=unit(0)),), personalise=0.5)
    assert personalised(request, None) is request

    await world.act(ANN, "i03")
    warm = await world.people.profile(ANN, now_ms=NOW_MS)

    assert personalised(request, warm).profile is not None
