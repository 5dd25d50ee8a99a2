"""One list for all pages: slices of it, whatever is asked for first, whatever is written elsewhere meanwhile."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from config.errors import RejectEvent
from config.vocabulary import FusionStrategy, MissingRule, Modality, RankingMethod
from fusion import answer as answering
from fusion.answer import answer
from fusion.arrangement import Collapse, Coverage, GroupBy
from fusion.boosts import Popularity, Recency
from fusion.coverage import Categories
from fusion.index.layout import fused_vector
from fusion.index.memory_index import MemoryVectorIndex
from fusion.index.protocol import Item
from fusion.ranking import Aims, Pool, decode
from fusion.request import Near, QueryPart, Ranking, RankingRequest
from tests.fusion_builders import MODEL, clustered, item, tombstone, unit

TEXT, IMAGE, AUDIO = Modality.TEXT, Modality.IMAGE, Modality.AUDIO
DIMS = 24
METHODS = list(RankingMethod)
RULES: dict[str, dict[str, Any]] = {
    "plain": {},
    "grouped": {"group_by": GroupBy(attribute="year", most=4)},
    "collapsed": {"collapse": Collapse(similarity=0.9)},
    "both": {
        "group_by": GroupBy(attribute="year", most=6),
        "collapse": Collapse(similarity=0.95, attribute="category"),
    },
}


async def index_of(items: Sequence[Item]) -> MemoryVectorIndex:
    """An exact index that holds the items."""
    index = MemoryVectorIndex(MODEL, DIMS, (TEXT, IMAGE, AUDIO))
    await index.write(items)
    return index


@pytest.fixture(scope="module")
def items() -> list[Item]:
    """Items around 40 centres, some modalities missing, ten categories, 25 years."""
    return clustered(900, clusters=40, dims=DIMS)[0]


def asking(items: Sequence[Item], **changes: Any) -> RankingRequest:
    """A question of two parts near two of the items."""
    parts = (
        QueryPart(modality=TEXT, vector=fused_vector(items[5].vectors)),
        QueryPart(modality=IMAGE, vector=fused_vector(items[17].vectors), weight=0.5),
    )
    return RankingRequest(**{"parts": parts, "missing": MissingRule.PENALISE, "candidates": 40, **changes})


def shown(ranking: Ranking) -> list[tuple[int, str, float, tuple[str, ...]]]:
    """Everything a page says of its hits."""
    return [(hit.rank, hit.item_id, hit.score, hit.collapsed) for hit in ranking.hits]


def ids(ranking: Ranking) -> list[str]:
    """Ids in the order of their ranks."""
    return [hit.item_id for hit in ranking.hits]


async def pages(index: MemoryVectorIndex, request: RankingRequest, k: int, until: int) -> list[Any]:
    """All pages of k up to a rank, one after the other."""
    found: list[Any] = []
    for offset in range(0, until, k):
        found += shown(await answer(replace(request, k=min(k, until - offset), offset=offset), index, {}))
    return found


class TestPages:
    """Neither gaps nor repeats."""

    @pytest.mark.parametrize("rules", RULES)
    @pytest.mark.parametrize("method", METHODS)
    async def test_pages_are_slices_of_one_list(self, items: list[Item], method: RankingMethod, rules: str) -> None:
        """However long they are, and far past the places that are chosen together."""
        index = await index_of(items)
        request = asking(items, ranking=method, **RULES[rules])
        whole = shown(await answer(replace(request, k=60), index, {}))

        assert len({item_id for _, item_id, _, _ in whole}) == len(whole) == 60
        assert await pages(index, request, 10, 60) == whole
        assert await pages(index, request, 7, 60) == whole

    @pytest.mark.parametrize("strategy", [FusionStrategy.RRF, FusionStrategy.MAX, FusionStrategy.NONE])
    @pytest.mark.parametrize("method", METHODS)
    async def test_under_every_strategy(
        self, items: list[Item], method: RankingMethod, strategy: FusionStrategy
    ) -> None:
        """Also where a score depends on who else is a candidate: each hit keeps the score it was chosen by."""
        index = await index_of(items)
        request = asking(items, ranking=method, strategy=strategy)
        whole = shown(await answer(replace(request, k=50), index, {}))

        assert len({item_id for _, item_id, _, _ in whole}) == 50
        assert await pages(index, request, 10, 50) == whole

    @pytest.mark.parametrize("method", [RankingMethod.MMR, RankingMethod.BEAM])
    async def test_with_coverage_boosts_and_a_place(self, items: list[Item], method: RankingMethod) -> None:
        """What else makes a list changes nothing about it."""
        index = await index_of(items)
        request = asking(
            items,
            ranking=method,
            coverage=Coverage(attribute="category", weight=0.4),
            boost_by=(Recency(share=0.2, half_life_s=1.0), Popularity(share=0.1, weights={items[3].item_id: 5.0})),
            near=Near(latitude=1.0, longitude=1.0, scale_km=10),
            asked_at_ms=2000,
        )
        whole = shown(await answer(replace(request, k=50), index, {}))

        assert len({item_id for _, item_id, _, _ in whole}) == 50
        assert await pages(index, request, 10, 50) == whole

    @pytest.mark.parametrize("rules", RULES)
    @pytest.mark.parametrize("method", METHODS)
    async def test_items_inserted_elsewhere_change_nothing(
        self, items: list[Item], method: RankingMethod, rules: str
    ) -> None:
        """A writer adds what the question is not about, and takes it away again, before every page."""
        index = await index_of(items)
        request = asking(items, ranking=method, **RULES[rules])
        whole = shown(await answer(replace(request, k=50), index, {}))
        away = -sum(part.vector for part in request.parts)
        found: list[Any] = []
        for offset in range(0, 50, 10):
            near_by = [(away + 0.2 * unit(900 + offset + n, DIMS)).astype(np.float32) for n in range(40)]
            names = [f"new-{offset}-{n}" for n in range(40)]
            await index.write(
                [
                    item(name, vectors={TEXT: vector, IMAGE: vector, AUDIO: vector}, attributes={"year": 1})
                    for name, vector in zip(names, near_by, strict=True)
                ]
            )
            if offset:
                await index.write([tombstone(f"new-{offset - 10}-{n}", at_ms=2000) for n in range(20)])
            found += shown(await answer(replace(request, k=10, offset=offset), index, {}))

        assert found == whole

    @pytest.mark.parametrize("method", [RankingMethod.MMR, RankingMethod.BEAM])
    @pytest.mark.parametrize("coverage", [None, Coverage(attribute="category", weight=0.6)])
    async def test_a_stretch_knows_what_was_placed_before_it(
        self, items: list[Item], method: RankingMethod, coverage: Coverage | None
    ) -> None:
        """Chosen ten by ten or all at once, a greedy list of what there is is the same."""
        few = items[:40]
        request = asking(
            items, ranking=method, diversity=0.4, beam_width=1, coverage=coverage, k=40, search_in=frozenset({TEXT})
        )
        few = [each for each in few if TEXT in each.vectors]
        index = await index_of(few)
        assert request.stretch == 10
        plain = await answer(replace(request, ranking=RankingMethod.TOP_K, coverage=None), index, {})
        by_id = {each.item_id: each for each in few}
        best = [by_id[hit.item_id] for hit in plain.hits]
        scores = np.array([hit.score for hit in plain.hits])
        rows = np.array([fused_vector(each.vectors) for each in best], np.float64)
        categories = Categories([(each.attributes["category"],) for each in best], scores.tolist())
        pool = replace(
            Pool.of(scores, (1 + (rows @ rows.T).round(6)) / 2),
            serves=categories.serves,
            unserved=categories.unserved,
        )
        aims = Aims(diversity=0.4, coverage=coverage.weight if coverage else 0.0, nearest=method is RankingMethod.MMR)

        at_once = [best[place].item_id for place in decode(pool, 40, aims)]

        assert ids(await answer(request, index, {})) == at_once

    async def test_an_item_inserted_among_the_hits_moves_only_what_comes_after(self, items: list[Item]) -> None:
        """By score alone: the pages before it stay."""
        index = await index_of(items)
        request = asking(items)
        before = ids(await answer(replace(request, k=30), index, {}))
        twin = next(each for each in items if each.item_id == before[14])
        await index.write([replace(twin, item_id=f"{twin.item_id}-twin")])

        after = ids(await answer(replace(request, k=31), index, {}))

        assert after == [*before[:15], f"{twin.item_id}-twin", *before[15:]]

    @pytest.mark.parametrize("method", METHODS)
    async def test_the_order_of_events_does_not_matter(self, items: list[Item], method: RankingMethod) -> None:
        """Any order, replays and outdated versions included, and the list is the same."""
        rng = np.random.default_rng(5)
        request = asking(items, ranking=method, group_by=GroupBy(attribute="year", most=3), k=30)
        straight = await answer(request, await index_of(items), {})
        outdated = [
            replace(each, version=replace(each.version, occurred_at_ms=1), attributes={}) for each in items[:300]
        ]
        events = [*items, *outdated, *items[:100]]
        shuffled = await answer(request, await index_of([events[n] for n in rng.permutation(len(events))]), {})

        assert shown(shuffled) == shown(straight)

    @pytest.mark.parametrize("method", METHODS)
    async def test_ties_break_by_id_on_every_page(self, method: RankingMethod) -> None:
        """Equal items come in the order of their ids, and no page shows one twice."""
        equal = [item(f"i{n:03d}", vectors={TEXT: unit(1, DIMS)}) for n in np.random.default_rng(2).permutation(90)]
        index = await index_of(equal)
        request = RankingRequest(parts=(QueryPart(modality=TEXT, vector=unit(1, DIMS)),), ranking=method, candidates=40)

        found = await pages(index, request, 10, 60)

        assert [item_id for _, item_id, _, _ in found] == [f"i{n:03d}" for n in range(60)]

    @pytest.mark.timeout(120)
    @pytest.mark.parametrize("method", METHODS)
    async def test_a_thousand_hits_of_twenty_thousand_items(self, method: RankingMethod) -> None:
        """The longest page there is, and the last page of it alone."""
        rng = np.random.default_rng(3)
        rows = rng.standard_normal((20_000, DIMS)).astype(np.float32)
        index = await index_of([item(f"i{n:05d}", vectors={TEXT: row}) for n, row in enumerate(rows)])
        request = RankingRequest(parts=(QueryPart(modality=TEXT, vector=unit(1, DIMS)),), ranking=method, k=1000)

        whole = await answer(request, index, {})
        last = await answer(replace(request, k=10, offset=990), index, {})

        assert len(set(ids(whole))) == 1000
        assert shown(last) == shown(whole)[990:]
        if method is RankingMethod.TOP_K:
            exact = np.argsort(-(rows @ unit(1, DIMS)) / np.linalg.norm(rows, axis=1), kind="stable")[:1000]
            assert ids(whole) == [f"i{n:05d}" for n in exact]


class TestGroups:
    """At most so many of each, and full pages."""

    @pytest.mark.parametrize("method", METHODS)
    async def test_no_group_has_more_than_its_room(self, items: list[Item], method: RankingMethod) -> None:
        """Over all pages together."""
        request = asking(items, ranking=method, group_by=GroupBy(attribute="category", most=3), k=30)
        ranking = await answer(request, await index_of(items), {})

        sizes = Counter(hit.attributes["category"] for hit in ranking.hits)
        assert set(sizes.values()) == {3}
        assert len(sizes) == 10

    async def test_by_score_alone_groups_are_cut_from_the_plain_list(self, items: list[Item]) -> None:
        """Walking down the ranking and passing over full groups gives the same."""
        index = await index_of(items)
        plain = await answer(asking(items, k=900), index, {})
        grouped = await answer(asking(items, k=20, group_by=GroupBy(attribute="year", most=2)), index, {})

        seen: Counter[Any] = Counter()
        expected = []
        for hit in plain.hits:
            seen[hit.attributes["year"]] += 1
            if seen[hit.attributes["year"]] <= 2:
                expected.append(hit.item_id)
        assert ids(grouped) == expected[:20]

    async def test_items_without_the_attribute_stand_alone(self) -> None:
        """They are not one group."""
        bare = [item(f"b{n}", vectors={TEXT: unit(n, DIMS)}) for n in range(5)]
        tagged = [item(f"t{n}", vectors={TEXT: unit(9 + n, DIMS)}, attributes={"tags": ["x", "y"]}) for n in range(5)]
        request = RankingRequest(
            parts=(QueryPart(modality=TEXT, vector=unit(1, DIMS)),), group_by=GroupBy(attribute="tags"), explain=True
        )
        ranking = await answer(request, await index_of([*bare, *tagged]), {})

        assert len(ranking.hits) == 6
        assert any("in no group" in each for each in ranking.hits[0].because)

    async def test_a_page_that_one_group_would_fill_is_filled_from_deeper_down(self) -> None:
        """The nearest thousand are of one group: others are looked for behind them."""
        query = unit(1, DIMS)
        crowd = [item(f"c{n}", vectors={TEXT: _near(query, n)}, attributes={"g": "crowd"}) for n in range(500)]
        rest = [item(f"r{n}", vectors={TEXT: unit(5000 + n, DIMS)}, attributes={"g": f"g{n}"}) for n in range(30)]
        request = RankingRequest(
            parts=(QueryPart(modality=TEXT, vector=query),), group_by=GroupBy(attribute="g"), candidates=40
        )
        index = await index_of([*crowd, *rest])

        first = await answer(request, index, {})
        both = await answer(replace(request, k=20), index, {})

        assert len(first.hits) == 10
        assert len({hit.attributes["g"] for hit in both.hits}) == 20
        assert shown(both)[:10] == shown(first)
        assert first.warnings == ()

    async def test_a_page_that_cannot_be_filled_says_why(
        self, items: list[Item], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """There is a depth beyond which nothing is looked for; where all is seen there is nothing to say."""
        request = asking(items, group_by=GroupBy(attribute="category"), k=30)
        everything = await answer(request, await index_of(items), {})
        monkeypatch.setattr(answering, "DEEPEST", 100)
        ranking = await answer(request, await index_of(items), {})

        assert len(everything.hits) == 10
        assert everything.warnings == ()
        assert "loosen group_by or collapse" in ranking.warnings[0]


class TestNearDuplicates:
    """One stands for all."""

    async def test_copies_are_named_by_the_hit_that_stands_for_them(self) -> None:
        """The best of them is shown; the page is filled by others."""
        query = unit(1, DIMS)
        copies = [item(f"copy{n}", vectors={TEXT: _near(query, n, 0.05)}) for n in range(6)]
        others = [item(f"other{n}", vectors={TEXT: unit(50 + n, DIMS)}) for n in range(20)]
        request = RankingRequest(
            parts=(QueryPart(modality=TEXT, vector=query),), collapse=Collapse(similarity=0.98), explain=True
        )
        index = await index_of([*copies, *others])

        plain = await answer(replace(request, collapse=None), index, {})
        ranking = await answer(request, index, {})

        assert ids(ranking)[0] == ids(plain)[0]
        assert list(ranking.hits[0].collapsed) == sorted({f"copy{n}" for n in range(6)} - {ids(plain)[0]})
        assert all(name.startswith("other") for name in ids(ranking)[1:])
        assert len(ranking.hits) == 10
        assert any("stands for its near-duplicates" in each for each in ranking.hits[0].because)

    async def test_no_two_hits_are_near_duplicates(self, items: list[Item]) -> None:
        """Under every method, and what is left out is named or lies deeper."""
        by_id = {each.item_id: fused_vector(each.vectors).astype(np.float64) for each in items}
        for method in METHODS:
            request = asking(items, ranking=method, collapse=Collapse(similarity=0.88), k=40)
            ranking = await answer(request, await index_of(items), {})
            rows = np.array([by_id[hit.item_id] for hit in ranking.hits])
            alike = (1 + rows @ rows.T) / 2 - 2 * np.eye(len(rows))
            assert len(rows) == 40
            assert alike.max() < 0.88
            named = [each for hit in ranking.hits for each in hit.collapsed]
            assert len(named) == len(set(named)) > 0
            assert not set(named) & set(ids(ranking))

    async def test_an_attribute_can_be_asked_to_be_equal_too(self) -> None:
        """The same picture from two sources is two hits; without a source it is never a duplicate."""
        query = unit(1, DIMS)
        sources: list[Any] = [{"source": "a"}, {"source": "a"}, {"source": "b"}, {}, {}]
        copies = [item(f"i{n}", vectors={TEXT: query}, attributes=each) for n, each in enumerate(sources)]
        part = QueryPart(modality=TEXT, vector=query)
        request = RankingRequest(parts=(part,), collapse=Collapse(similarity=0.99, attribute="source"))

        ranking = await answer(request, await index_of(copies), {})

        assert [(hit.item_id, hit.collapsed) for hit in ranking.hits] == [
            ("i0", ("i1",)),
            ("i2", ()),
            ("i3", ()),
            ("i4", ()),
        ]


class TestCoverage:
    """A list over categories."""

    @pytest.mark.parametrize("method", [RankingMethod.MMR, RankingMethod.BEAM])
    async def test_more_weight_covers_more_categories(self, items: list[Item], method: RankingMethod) -> None:
        """At the cost of score, and a first hit of a category says so."""
        index = await index_of(items)
        covered, scores = [], []
        for weight in (0.0, 0.3, 0.7):
            coverage = Coverage(attribute="category", weight=weight)
            ranking = await answer(
                asking(items, ranking=method, diversity=0.0, coverage=coverage, explain=True), index, {}
            )
            covered.append(len({hit.attributes["category"] for hit in ranking.hits}))
            scores.append(sum(hit.score for hit in ranking.hits))

        assert covered[0] <= covered[1] <= covered[2]
        assert covered[2] > covered[0]
        assert scores[0] >= scores[1] >= scores[2]
        assert any("the first here with category" in each for each in ranking.hits[0].because)


class TestRefusing:
    """Each refusal names the field."""

    @pytest.mark.parametrize(
        ("asked", "field"),
        [
            ({"group_by": GroupBy(attribute="a", most=0)}, "group_by.most"),
            ({"collapse": Collapse(similarity=0.0)}, "collapse.similarity"),
            ({"collapse": Collapse(similarity=1.1)}, "collapse.similarity"),
            ({"coverage": Coverage(attribute="a", weight=0.1)}, "ranking.coverage"),
            ({"coverage": Coverage(attribute="a", weight=-0.1)}, "ranking.coverage.weight"),
            (
                {"ranking": RankingMethod.MMR, "diversity": 0.6, "coverage": Coverage(attribute="a", weight=0.5)},
                "ranking.coverage.weight",
            ),
            ({"near": Near(latitude=0, longitude=0, scale_km=1, share=1.5)}, "near.share"),
        ],
    )
    def test_lists_that_cannot_be_made(self, asked: Any, field: str) -> None:
        """Already when the request is made."""
        with pytest.raises(RejectEvent) as caught:
            RankingRequest(parts=(QueryPart(modality=TEXT, vector=unit(1)),), **asked)

        assert caught.value.field == field


def _near(direction: Any, seed: int, away: float = 0.4) -> Any:
    vector = direction + away * unit(seed + 10, DIMS)
    return (vector / np.linalg.norm(vector)).astype(np.float32)
