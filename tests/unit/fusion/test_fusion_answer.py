"""Answers from the exact index: what is found, fused, shown and explained."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from config.errors import Reason, RejectEvent
from config.vocabulary import Background, FusionStrategy, MissingRule, Modality, RankingMethod, Similarity
from fusion.answer import answer
from fusion.index.memory_index import MemoryVectorIndex
from fusion.request import Near, QueryPart, Ranking, RankingRequest
from tests.fusion_builders import DIMS, MODEL, item, unit

TEXT, IMAGE, AUDIO = Modality.TEXT, Modality.IMAGE, Modality.AUDIO


def mixed(*weighted: tuple[int, float]) -> Any:
    """A unit vector between the ones of some seeds."""
    total = sum(weight * unit(seed) for seed, weight in weighted)
    return (total / np.linalg.norm(total)).astype(np.float32)


def part(seed: int, weight: float = 1.0, modality: Modality = TEXT) -> QueryPart:
    """A part that shows what a seed decides."""
    return QueryPart(modality=modality, vector=unit(seed), weight=weight)


async def ask(items: list[Any], calibration: Any = None, **request: Any) -> Ranking:
    """The answer of an index that holds the items."""
    index = MemoryVectorIndex(MODEL, DIMS, (TEXT, IMAGE, AUDIO))
    await index.write(items)
    return await answer(RankingRequest(**request), index, calibration or {})


def ids(ranking: Ranking) -> list[str]:
    """Ids in the order of their ranks."""
    return [hit.item_id for hit in ranking.hits]


CAT = item(
    "cat", vectors={TEXT: mixed((1, 1.0), (9, 0.2)), IMAGE: mixed((1, 1.0), (8, 0.5))}, attributes={"year": 2024}
)
LION = item(
    "lion", vectors={TEXT: mixed((1, 1.0), (2, 0.7)), AUDIO: mixed((1, 0.8), (7, 0.5))}, attributes={"year": 2020}
)
CAR = item("car", vectors={IMAGE: unit(3)}, attributes={"year": 2022})


class TestFinding:
    """What is near comes first, and only what may be shown comes."""

    async def test_the_nearest_item_wins(self) -> None:
        """Scores fall, ranks count from 1, attributes come along."""
        ranking = await ask([CAT, LION, CAR], parts=(part(1),))

        assert ids(ranking) == ["cat", "lion", "car"]
        assert [hit.rank for hit in ranking.hits] == [1, 2, 3]
        scores = [hit.score for hit in ranking.hits]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)
        assert ranking.hits[0].attributes == {"year": 2024}
        assert ranking.candidates == 3

    async def test_only_the_modalities_asked_for_count(self) -> None:
        """An item with none of them is not shown, whatever found it."""
        ranking = await ask([CAT, LION, CAR], parts=(part(1),), search_in=frozenset({AUDIO}), explain=True)

        assert ids(ranking) == ["lion"]
        assert set(ranking.hits[0].modality_scores) == {AUDIO}

    async def test_filters_and_exclusions_hold(self) -> None:
        """Neither is a matter of score."""
        assert ids(await ask([CAT, LION, CAR], parts=(part(1),), filter=".year > 2021")) == ["cat", "car"]
        assert ids(await ask([CAT, LION, CAR], parts=(part(1),), exclude=frozenset({"cat"}))) == ["lion", "car"]

    async def test_negative_parts_steer_away(self) -> None:
        """Towards 1 and away from 2, the lion falls behind though it alone is near to both."""
        lion = item("lion", vectors={TEXT: mixed((1, 1.0), (2, 1.0))})
        other = item("other", vectors={TEXT: mixed((1, 1.0), (5, 1.2))})

        assert ids(await ask([lion, other], parts=(part(1),))) == ["lion", "other"]
        assert ids(await ask([lion, other], parts=(part(1), part(2, -0.8)))) == ["other", "lion"]

    async def test_only_negative_parts_find_what_is_farthest(self) -> None:
        """The far side of the collection, not nothing."""
        items = [item(f"i{seed}", vectors={TEXT: mixed((seed, 1.0))}) for seed in range(300)]
        against = item("against", vectors={TEXT: -unit(1000)})

        assert ids(await ask([*items, against], parts=(part(1000, -1.0),), k=1)) == ["against"]

    async def test_ties_break_by_id(self) -> None:
        """Equal items come in the order of their ids."""
        same = [item(name, vectors={TEXT: unit(4)}) for name in ("b", "c", "a")]

        assert ids(await ask(same, parts=(part(4),))) == ["a", "b", "c"]

    async def test_an_empty_index_answers_with_nothing(self) -> None:
        """Without any trouble."""
        ranking = await ask([], parts=(part(1),), explain=True, near=Near(latitude=0, longitude=0, scale_km=1))

        assert (ranking.hits, ranking.candidates) == ((), 0)

    async def test_calibration_makes_modalities_comparable(self) -> None:
        """A cosine of 0.5 is nothing among texts that all have 0.5, and much among pictures that have none."""
        a, b = (
            item("a", vectors={TEXT: mixed((1, 1.0), (2, 1.2))}),
            item("b", vectors={IMAGE: mixed((1, 1.0), (2, 1.6))}),
        )
        gap = {(TEXT, TEXT): Background(mean=0.6, std=0.1), (TEXT, IMAGE): Background(mean=0.0, std=0.1)}

        assert ids(await ask([a, b], parts=(part(1),))) == ["a", "b"]
        assert ids(await ask([a, b], gap, parts=(part(1),))) == ["b", "a"]


class TestFusing:
    """Weights, rules, strategies, methods reach the numbers."""

    async def test_a_lacking_modality_costs_under_penalise(self) -> None:
        """Left out or counted as no match: the rule decides between the two items."""
        one = item("one", vectors={TEXT: mixed((1, 1.0), (2, 0.3))})
        two = item("two", vectors={TEXT: mixed((1, 1.0), (2, 0.6)), IMAGE: mixed((1, 1.0), (3, 0.6))})
        request: dict[str, Any] = {"parts": (part(1),), "search_in": frozenset({TEXT, IMAGE})}

        assert ids(await ask([one, two], **request)) == ["one", "two"]
        assert ids(await ask([one, two], missing=MissingRule.PENALISE, **request)) == ["two", "one"]

    async def test_a_modality_of_weight_0_does_not_count(self) -> None:
        """It is as if not asked for."""
        ranking = await ask([CAT, CAR], parts=(part(3),), weights={IMAGE: 0.0}, explain=True)

        assert ids(ranking) == ["cat"]
        assert set(ranking.hits[0].modality_scores) == {TEXT}

    @pytest.mark.parametrize("strategy", FusionStrategy)
    @pytest.mark.parametrize("method", RankingMethod)
    async def test_every_strategy_and_method_answers(self, strategy: FusionStrategy, method: RankingMethod) -> None:
        """The best match leads under all of them."""
        ranking = await ask([CAT, LION, CAR], parts=(part(1),), strategy=strategy, ranking=method)

        assert ids(ranking)[0] == "cat"
        assert len(ranking.hits) == 3

    async def test_similarities_are_shown_as_asked_for(self) -> None:
        """Euclidean shows 1 - d / 2, in the order of cosine; weights of none are said to be missing."""
        cosine = await ask([CAT, LION], parts=(part(1),), explain=True)
        euclidean = await ask([CAT, LION], parts=(part(1),), similarity=Similarity.EUCLIDEAN, explain=True)
        weighted = await ask([CAT, LION], parts=(part(1),), similarity=Similarity.WEIGHTED_COSINE)

        shown = cosine.hits[0].modality_scores[TEXT].similarity
        distance = np.sqrt(2 - 2 * (2 * shown - 1))
        assert euclidean.hits[0].modality_scores[TEXT].similarity == pytest.approx(1 - distance / 2, abs=1e-6)
        assert ids(euclidean) == ids(weighted) == ids(cosine)
        assert "weighted_cosine" in weighted.warnings[0]


class TestSignals:
    """Place, profile and boosts."""

    async def test_near_items_are_preferred(self) -> None:
        """Of equals the nearer one; items without a place are left as they are."""
        tokyo = item("tokyo", vectors={TEXT: unit(1)}, attributes={"latitude": 35.68, "longitude": 139.69})
        berlin = item("berlin", vectors={TEXT: unit(1)}, attributes={"latitude": 52.52, "longitude": 13.40})
        near = Near(latitude=35.0, longitude=139.0, scale_km=100)

        ranking = await ask([berlin, tokyo], parts=(part(1),), near=near, explain=True)

        assert ids(ranking) == ["tokyo", "berlin"]
        assert any("98" in each and "km" in each for each in ranking.hits[0].because)

    async def test_a_profile_takes_its_share(self) -> None:
        """0 changes nothing, 1 ranks by the profile alone."""
        liked = {"profile": unit(3), "parts": (part(1),)}

        assert ids(await ask([CAT, CAR], **liked, personalise=0.0)) == ["cat", "car"]
        assert ids(await ask([CAT, CAR], **liked, personalise=1.0)) == ["car", "cat"]
        assert ids(await ask([CAT, CAR], profile=unit(3))) == ["car", "cat"]

    async def test_boosts_bring_items_that_no_search_found(self) -> None:
        """And only if the filter lets them."""
        items = [item(f"i{seed}", vectors={TEXT: unit(seed)}, attributes={"n": seed}) for seed in range(400)]
        far = item("far", vectors={TEXT: -unit(7)}, attributes={"n": -1})
        request: dict[str, Any] = {
            "parts": (part(7),),
            "boosts": {"far": 1.0},
            "boost_share": 0.9,
            "candidates": 10,
            "k": 2,
        }

        assert ids(await ask([*items, far], **request)) == ["far", "i7"]
        assert ids(await ask([*items, far], **request, filter=".n >= 0"))[0] == "i7"


class TestExplaining:
    """Every score can be taken apart."""

    async def test_shares_add_up_to_the_score(self) -> None:
        """Under the weighted mean the calibrated values by weight are the score."""
        ranking = await ask([CAT, LION], parts=(part(1),), weights={TEXT: 2.0}, explain=True)

        for hit in ranking.hits:
            assert sum(each.weight for each in hit.modality_scores.values()) == pytest.approx(1.0)
            summed = sum(each.weight * each.calibrated for each in hit.modality_scores.values())
            assert summed == pytest.approx(hit.score)

    @pytest.mark.parametrize("strategy", FusionStrategy)
    async def test_every_pair_is_told(self, strategy: FusionStrategy) -> None:
        """Each part against each modality the item has: numbers, share and place in its own list."""
        ranking = await ask([CAT, LION, CAR], parts=(part(1), part(3, -0.5)), strategy=strategy, explain=True)

        told = next(hit for hit in ranking.hits if hit.item_id == "cat").explanation
        assert told is not None
        assert [(pair.part, pair.item) for pair in told.pairs] == [(0, IMAGE), (0, TEXT), (1, IMAGE), (1, TEXT)]
        assert sum(pair.weight for pair in told.pairs) == pytest.approx(1.0)
        assert [pair.rank for pair in told.pairs if pair.part == 0] == [1, 1]
        assert (told.occurred_at_ms, told.contributions.keys()) == (1000, {"content"})

    async def test_contributions_sum_to_the_score(self) -> None:
        """Profile, boosts and place take their shares of what came before them."""
        near = Near(latitude=35.0, longitude=139.0, scale_km=100)
        placed = item("placed", vectors={TEXT: unit(1)}, attributes={"latitude": 35.68, "longitude": 139.69})
        request: dict[str, Any] = {"boosts": {"cat": 0.5}, "boost_share": 0.2, "profile": unit(3), "personalise": 0.3}

        ranking = await ask([CAT, placed], parts=(part(1),), near=near, explain=True, **request)

        for hit in ranking.hits:
            assert hit.explanation is not None
            assert sum(hit.explanation.contributions.values()) == pytest.approx(hit.score)
        names = [set(hit.explanation.contributions) for hit in ranking.hits if hit.explanation]
        assert {"content", "profile", "boosts"} in names
        assert {"content", "profile", "boosts", "near"} in names

    @pytest.mark.parametrize(
        ("strategy", "constants"),
        [
            (FusionStrategy.WEIGHTED_MEAN, {"chance_z": 2.5, "spread_z": 1.5}),
            (FusionStrategy.RRF, {"rrf_k": 20.0, "rank_depth": 7.0}),
            (FusionStrategy.DBSF, {"dbsf_deviations": 2.0, "rank_depth": 7.0}),
            (FusionStrategy.NONE, {}),
        ],
    )
    async def test_constants_are_echoed(self, strategy: FusionStrategy, constants: dict[str, float]) -> None:
        """All that the strategy read, under the names of the query event."""
        asked = {"rrf_k": 20.0, "rank_depth": 7, "dbsf_deviations": 2.0, "chance_z": 2.5, "spread_z": 1.5}

        told = (await ask([CAT], parts=(part(1),), strategy=strategy, explain=True, **asked)).explanation

        assert told is not None
        assert told.constants == constants
        assert (await ask([CAT], parts=(part(1),), strategy=strategy)).explanation is None

    async def test_constants_change_the_score(self) -> None:
        """They are not only shown."""
        plain = await ask([CAT], parts=(part(1),))
        sharper = await ask([CAT], parts=(part(1),), spread_z=0.5)

        assert sharper.hits[0].score > plain.hits[0].score

    async def test_sentences_name_what_counted(self) -> None:
        """Only when asked to explain."""
        request: dict[str, Any] = {"parts": (part(1), part(2, -0.5, IMAGE)), "missing": MissingRule.PENALISE}
        told = (await ask([CAT, LION], **request, explain=True)).hits[0].because

        assert told[0].startswith("its text answers the text part best")
        assert any("kept away from the image part" in each for each in told)
        assert any("has no audio" in each for each in told)
        assert (await ask([CAT, LION], **request)).hits[0].because == ()


class TestRefusing:
    """Each refusal names the field of the query event."""

    @pytest.mark.parametrize(
        ("request_", "field"),
        [
            ({"k": 0}, "k"),
            ({"offset": -1}, "offset"),
            ({"search_in": frozenset()}, "search_in"),
            ({"rrf_k": 0.0}, "fusion.rrf_k"),
            ({"rank_depth": 0}, "fusion.rank_depth"),
            ({"dbsf_deviations": -1.0}, "fusion.dbsf_deviations"),
            ({"spread_z": 0.0}, "fusion.spread_z"),
            ({"chance_z": float("nan")}, "fusion.chance_z"),
            ({"personalise": 1.5}, "personalise"),
            ({"diversity": -0.1}, "ranking.diversity"),
            ({"weights": {TEXT: -1.0}}, "fusion.weights.text"),
            ({"beam_width": 0}, "ranking.beam_width"),
            ({"near": Near(latitude=91, longitude=0, scale_km=1)}, "near.latitude"),
            ({"near": Near(latitude=0, longitude=181, scale_km=1)}, "near.longitude"),
            ({"near": Near(latitude=0, longitude=0, scale_km=0)}, "near.scale_km"),
            ({"parts": (part(1, 0.0),)}, "parts.0.weight"),
            ({"parts": (QueryPart(modality=TEXT, vector=np.zeros(DIMS, np.float32)),)}, "parts.0"),
        ],
    )
    def test_what_no_ranking_can_be_made_of(self, request_: Any, field: str) -> None:
        """Already when the request is made."""
        with pytest.raises(RejectEvent) as caught:
            RankingRequest(**{"parts": (part(1),), **request_})

        assert (caught.value.reason, caught.value.field) == (Reason.INVALID_EVENT, field)

    @pytest.mark.parametrize(
        ("request_", "field"),
        [
            ({"parts": ()}, "parts"),
            ({"filter": ".a >"}, "filter"),
            ({"search_in": frozenset({Modality.SENSOR})}, "search_in"),
            ({"weights": {TEXT: 0, IMAGE: 0, AUDIO: 0}}, "fusion.weights"),
        ],
    )
    async def test_what_this_index_cannot_answer(self, request_: Any, field: str) -> None:
        """When it is asked, also of an empty index."""
        with pytest.raises(RejectEvent) as caught:
            await ask([], **{"parts": (part(1),), **request_})

        assert caught.value.field == field

    def test_requests_are_values(self) -> None:
        """They can be varied, not changed."""
        request = RankingRequest(parts=(part(1),))
        assert replace(request, k=3).k == 3
        with pytest.raises(AttributeError):
            request.k = 3  # type: ignore[misc]
