"""Recommendations: from what a user likes over time and now, from pairs, from trends for who is cold, and elsewhere."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import RejectEvent
from config.settings import PeopleSettings
from config.vocabulary import Action, ItemId, Modality, RecommendSignal, UserId
from fusion.index.memory_index import MemoryVectorIndex
from fusion.people.memory_store import MemoryPeopleStore
from fusion.people.protocol import Interaction
from fusion.recommend import COLD_WARNING, RecommendOptions, personalised, recommend
from fusion.recommend_sources import SequenceModel, Sources
from fusion.request import QueryPart, Ranking, RankingRequest
from tests.fusion_builders import DIMS, MODEL, item, unit

NOW_MS = 1_760_000_000_000
HOUR_MS = 3_600_000
ANN, BOB = UserId("ann"), UserId("bob")
LONG, SHORT, COVISITED = RecommendSignal.LONG, RecommendSignal.SHORT, RecommendSignal.COVISITED


def only(*names: RecommendSignal, **options: Any) -> RecommendOptions:
    """Options by which no other signal has a share."""
    return RecommendOptions(shares={name: float(name in names) for name in RecommendSignal}, **options)


class ToTheLast:
    """A sequence model that expects the last item's opposite: easy to tell from everything else."""

    length = 2

    def __init__(self) -> None:
        self.read: list[list[bool]] = []

    def next_direction(self, items: Sequence[NDArray[np.float32]], liked: Sequence[bool]) -> NDArray[np.float32]:
        """Note which of the items were liked."""
        self.read.append(list(liked))
        return -items[-1]


class World:
    """An index and people, small."""

    def __init__(self) -> None:
        self.index = MemoryVectorIndex(MODEL, DIMS)
        self.people = MemoryPeopleStore(PeopleSettings(), DIMS)
        self.sequence: SequenceModel | None = None
        self._events = 0

    async def act(self, user_id: UserId, *names: str, weight: float = 1.0, at_ms: int = NOW_MS) -> None:
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
                occurred_at_ms=at_ms + self._events,
                weight=weight,
                vector=vector,
            )
            await self.people.record([event])

    async def recommend(
        self, user_id: UserId, options: RecommendOptions | None = None, *, now_ms: int = NOW_MS, **request: Any
    ) -> Ranking:
        """What is recommended to a user."""
        sources = Sources(people=self.people, index=self.index, sequence=self.sequence)
        return await recommend(
            user_id, RankingRequest(**request), sources=sources, calibration={}, now_ms=now_ms, options=options
        )


@pytest.fixture
async def world() -> World:
    """Forty items in a row, ten to a group, each near to those of its group."""
    made = World()
    rows = [unit(place // 10) + 0.4 * unit(1000 + place) for place in range(40)]
    rows = [row / np.linalg.norm(row) for row in rows]
    await made.index.write(
        [item(f"i{place:02}", vectors={Modality.TEXT: row}, attributes={"n": place}) for place, row in enumerate(rows)]
    )
    return made


def ids(ranking: Ranking) -> list[str]:
    """Ids in the order of their ranks."""
    return [hit.item_id for hit in ranking.hits]


def groups(ranking: Ranking) -> list[int]:
    """The group of each hit, in the order of their ranks."""
    return [int(hit.item_id[1:]) // 10 for hit in ranking.hits]


class TestWarm:
    """Who has acted."""

    async def test_the_like_of_what_was_liked_comes_first(self, world: World) -> None:
        """From the same group, without what the user has seen, and it says why."""
        await world.act(ANN, "i03", "i04")

        ranking = await world.recommend(ANN, k=8, explain=True)

        assert sorted(ids(ranking)) == ["i00", "i01", "i02", "i05", "i06", "i07", "i08", "i09"]
        because = " ".join(ranking.hits[0].because)
        assert "liked over time" in because
        assert "on to in this visit" in because
        assert 0 < ranking.hits[0].modality_scores[Modality.TEXT].similarity <= 1

    async def test_the_parts_of_a_score_sum_to_it(self, world: World) -> None:
        """Each signal's share of it is told, and the shares of the signals that spoke sum to 1."""
        await world.act(BOB, "i03", "i35")
        await world.act(ANN, "i03", "i04")

        ranking = await world.recommend(ANN, k=12)

        assert ranking.recommended is not None
        assert set(ranking.recommended.shares) == {LONG, SHORT, COVISITED, RecommendSignal.TRENDS}
        assert sum(ranking.recommended.shares.values()) == pytest.approx(1.0)
        for hit in ranking.hits:
            assert sum(hit.signals.values()) == pytest.approx(hit.score, abs=1e-9)

    async def test_the_visit_speaks_until_it_is_over(self, world: World) -> None:
        """A week of the first group, then a click in the last: now the short profile leads, tomorrow the long one."""
        await world.act(ANN, "i00", "i01", "i02", "i03", weight=3.0, at_ms=NOW_MS - 24 * HOUR_MS)
        await world.act(ANN, "i30", at_ms=NOW_MS - 1000)

        shown = await world.recommend(ANN, RecommendOptions(shares={SHORT: 2.0}), k=6)
        later = await world.recommend(ANN, RecommendOptions(shares={SHORT: 2.0}), k=6, now_ms=NOW_MS + HOUR_MS)

        assert groups(shown) == [3] * 6
        assert groups(later) == [0] * 6

    async def test_a_step_counts_once_its_item_is_indexed(self, world: World) -> None:
        """The click came before the content."""
        await world.act(ANN, "new")
        assert await world.recommend(ANN, only(SHORT, LONG), k=3) is not None

        await world.index.write([item("new", vectors={Modality.TEXT: unit(2)})])

        assert groups(await world.recommend(ANN, only(SHORT, LONG), k=3)) == [2, 2, 2]

    async def test_what_was_disliked_is_neither_shown_nor_liked(self, world: World) -> None:
        """The taste turns away from its group, and it is not shown even where seen items may be."""
        await world.act(ANN, "i03", "i13")
        await world.act(ANN, "i12", weight=-3.0)

        assert not {"i03", "i12"} & set(ids(await world.recommend(ANN, k=40)))
        again = await world.recommend(ANN, only(LONG, allow_seen=True), k=40)
        assert "i03" in ids(again)
        assert "i12" not in ids(again)
        assert 1 not in groups(again)[:20]

    async def test_heavy_users_still_get_a_full_page(self, world: World) -> None:
        """All that is nearest to their taste they have seen: the search goes deeper by as much."""
        await world.act(ANN, *[f"i{place:02}" for place in range(35)])

        ranking = await world.recommend(ANN, k=5, candidates=10)

        assert len(ranking.hits) == 5

    async def test_partners_of_what_was_touched_are_found(self, world: World) -> None:
        """Others touched i35 together with i03: it comes up from another group, and says why."""
        for number in range(3):
            await world.act(UserId(f"other-{number}"), "i03", "i35")
        await world.act(ANN, "i03")

        hits = (await world.recommend(ANN, k=12, explain=True)).hits

        paired = next(hit for hit in hits if hit.item_id == "i35")
        assert "others acted on it together with what this user liked last (1.00 of the most)" in paired.because

    async def test_partners_of_what_was_disliked_are_not(self, world: World) -> None:
        """Nor of what was only shown."""
        for number in range(3):
            await world.act(UserId(f"other-{number}"), "i03", "i35")
        await world.act(ANN, "i03", weight=-1.0)
        await world.act(ANN, "i11")

        ranking = await world.recommend(ANN, only(COVISITED, LONG), k=40)

        assert all(COVISITED not in hit.signals or hit.signals[COVISITED] == 0 for hit in ranking.hits)

    async def test_a_sequence_model_speaks_when_there_is_one(self, world: World) -> None:
        """It reads the latest steps, no more than it can; what it expects comes up and says why."""
        await world.act(ANN, "i03", "i04")
        await world.act(ANN, "i31", weight=-1.0)
        await world.act(ANN, "i05")
        assert RecommendSignal.SEQUENCE not in (await world.recommend(ANN)).hits[0].signals

        world.sequence = model = ToTheLast()
        ranking = await world.recommend(ANN, only(RecommendSignal.SEQUENCE), k=30, explain=True)

        assert model.read == [[False, True]]
        assert "often comes after" in ranking.hits[0].because[0]
        assert ids(ranking)[0] not in {f"i{place:02}" for place in range(10)}


class TestCold:
    """Who has done nothing."""

    async def test_a_cold_user_gets_the_trends_and_what_is_like_them(self, world: World) -> None:
        """With reasons, filter and page kept; the page is filled by content."""
        await world.act(BOB, "i20", "i21", "i21", "gone")

        ranking = await world.recommend(ANN, k=6, explain=True)

        assert ids(ranking)[:2] == ["i21", "i20"]
        assert groups(ranking) == [2] * 6
        assert "many act on it lately (1.00 of the most)" in ranking.hits[0].because
        assert "nothing is known of this user yet" in ranking.hits[3].because[0]
        assert ids(await world.recommend(ANN, filter=".n == 20")) == ["i20"]
        assert ids(await world.recommend(ANN, k=1, offset=1)) == ["i20"]

    async def test_a_user_who_was_only_shown_things_gets_other_trends(self, world: World) -> None:
        """What was shown to them is not shown again."""
        await world.act(BOB, "i20", "i21")
        await world.act(ANN, "i21", weight=0.0)

        shown = ids(await world.recommend(ANN))

        assert shown[0] == "i20"
        assert "i21" not in shown

    async def test_an_empty_world_gives_a_sample_and_says_so(self, world: World) -> None:
        """No trend is made up; the sample stays for the window, and another window brings another."""
        ranking = await world.recommend(ANN, k=5, explain=True)

        assert ranking.warnings == (COLD_WARNING,)
        assert "a sample" in ranking.hits[0].because[0]
        assert ids(await world.recommend(BOB, k=5)) == ids(ranking)
        windows = {tuple(ids(await world.recommend(ANN, k=5, now_ms=NOW_MS + n * HOUR_MS))) for n in range(4)}
        assert len(windows) > 1

    async def test_a_cold_item_is_shown_for_its_content(self, world: World) -> None:
        """Nobody has touched it."""
        await world.act(ANN, "i03")
        await world.index.write([item("fresh", vectors={Modality.TEXT: unit(0)})])

        assert "fresh" in ids(await world.recommend(ANN, k=3))


class TestExploring:
    """A share of the places goes elsewhere."""

    async def test_every_tenth_place_is_explored_and_says_so(self, world: World) -> None:
        """And no other; nothing comes twice."""
        await world.act(ANN, "i03", "i04")

        plain = await world.recommend(ANN, k=30)
        ranking = await world.recommend(ANN, RecommendOptions(explore=0.1), k=30, explain=True)

        aside = [hit.rank for hit in ranking.hits if hit.because and "a step aside" in hit.because[0]]
        assert aside == [10, 20, 30]
        assert len(set(ids(ranking))) == 30
        assert ids(ranking)[:9] == ids(plain)[:9]

    async def test_pages_fit_together(self, world: World) -> None:
        """Page by page is the same list as all at once, for this user and this window."""
        await world.act(ANN, "i03", "i04")
        options = RecommendOptions(explore=0.25)

        whole = await world.recommend(ANN, options, k=24)
        pages = [await world.recommend(ANN, options, k=8, offset=start) for start in (0, 8, 16)]

        assert [hit for page in pages for hit in ids(page)] == ids(whole)
        assert [hit.rank for page in pages for hit in page.hits] == list(range(1, 25))

    async def test_the_window_and_the_user_decide_what_is_explored(self, world: World) -> None:
        """Within the hour it stays; later, or for another, it is something else."""
        for user in (ANN, BOB):
            await world.act(user, "i03", "i04")

        async def explored(user: UserId, now_ms: int) -> list[str]:
            return ids(await world.recommend(user, RecommendOptions(explore=1.0), k=10, now_ms=now_ms))

        first = await explored(ANN, NOW_MS)
        assert await explored(ANN, NOW_MS + 60_000) == first
        assert await explored(ANN, NOW_MS + HOUR_MS) != first
        assert await explored(BOB, NOW_MS) != first


async def test_shares_that_leave_nothing_are_refused(world: World) -> None:
    """With the field of the query."""
    with pytest.raises(RejectEvent) as caught:
        RecommendOptions(shares=dict.fromkeys(RecommendSignal, 0.0))
    assert caught.value.field == "recommend.shares"


async def test_a_search_is_personalised_for_the_warm_alone(world: World) -> None:
    """A cold user's search stays as it is, and so does one that does not ask for it."""
    request = RankingRequest(parts=(QueryPart(modality=Modality.TEXT, vector=unit(0)),), personalise=0.5)
    assert personalised(request, None) is request

    await world.act(ANN, "i03")
    warm = await world.people.profile(ANN, now_ms=NOW_MS)

    assert personalised(request, warm).profile is not None
