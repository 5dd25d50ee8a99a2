"""How a list is made, from the query's words to the result's: every constant reaches the numbers and comes back."""

import json
from typing import Any

import pytest

from config.errors import Reason
from config.settings import QuerySettings
from config.vocabulary import ItemId, RankingMethod, ResultStatus
from fusion.request import RankingRequest
from tests.unit.workers.streams.test_query_handler import FixedPeople, house, ids, search, text
from workers.contracts.ordering import Ordering
from workers.contracts.query import QUERIES, Query
from workers.streams.query_ordering import ordered, told

EVERYTHING: dict[str, Any] = {
    "ranking": {
        "method": "beam",
        "diversity": 0.2,
        "beam_width": 4,
        "coverage": {"attribute": "wheels", "weight": 0.5},
    },
    "group_by": {"attribute": "wheels", "most": 2},
    "collapse": {"similarity": 0.999, "attribute": "wheels"},
    "boosts": [
        {"kind": "recency", "share": 0.1, "half_life_s": 60.0},
        {"kind": "popularity", "share": 0.2},
        {"kind": "number", "share": 0.3, "attribute": "wheels", "shape": "linear", "origin": 4, "scale": 2},
    ],
    "near": {"latitude": 1.0, "longitude": 2.0, "scale_km": 5, "share": 0.25},
}


def read(event: dict[str, Any]) -> Query:
    """A query as it comes from the wire."""
    return QUERIES.validate_json(json.dumps(event))


async def test_every_constant_comes_back_in_an_explained_result():
    """As it was applied, defaults filled in; without being asked to explain, nothing comes."""
    async with house() as here:
        told_all = await here.ask(search(text("car"), explain=True, **EVERYTHING))
        told_none = await here.ask(search(text("car"), query_id="p", **EVERYTHING))
    assert told_all.ordering is not None
    said = told_all.ordering.model_dump(mode="json")
    assert said["coverage"] == EVERYTHING["ranking"]["coverage"]
    assert (said["method"], said["diversity"], said["beam_width"]) == ("beam", 0.2, 4)
    assert (said["group_by"], said["collapse"]) == (EVERYTHING["group_by"], EVERYTHING["collapse"])
    assert [boost["share"] for boost in said["boosts"]] == [0.1, 0.2, 0.3]
    assert said["near_share"] == 0.25
    assert set(told_all.hits[0].boosts) == {"recency", "popularity", "number:wheels"}
    assert any("number:wheels 1.00 decides" in each for each in told_all.hits[0].because)
    assert (told_none.ordering, told_none.hits[0].boosts) == (None, {})
    assert ids(told_none) == ids(told_all)


async def test_groups_and_near_duplicates_reach_the_page():
    """One of those without wheels, and the hit names whom it stands for."""
    async with house() as here:
        grouped = await here.ask(search(text("cat"), group_by={"attribute": "wheels"}))
        collapsed = await here.ask(
            search(text("cat"), query_id="p", collapse={"similarity": 0.01, "attribute": "wheels"})
        )
    assert ids(grouped) == ids(collapsed) == ["cat-and-dog", "car"]
    assert set(collapsed.hits[0].collapsed) == {"dog", "cat"}


async def test_recency_is_measured_from_when_the_query_says_it_was_asked():
    """So pages that carry one ``occurred_at`` see one list, whenever they are answered; the record's time else."""
    recent = [{"kind": "recency", "share": 0.5, "half_life_s": 3600}]
    async with house() as here:
        then = await here.ask(search(text("car"), boosts=recent, occurred_at="1970-01-01T01:00:00Z", explain=True))
        now = await here.ask(search(text("car"), query_id="p", boosts=recent, explain=True))
    assert then.hits[0].boosts["recency"].value == pytest.approx(0.5, abs=1e-3)
    assert now.hits[0].boosts["recency"].value == pytest.approx(0.0, abs=1e-6)


async def test_popularity_is_read_from_the_trends(monkeypatch: pytest.MonkeyPatch):
    """Of two matches the one that people act on comes first; a query without the boost does not ask."""
    asked = []

    async def trends(self: FixedPeople, count: int, *, now_ms: int) -> list[tuple[ItemId, float]]:
        asked.append(count)
        return [(ItemId("dog"), 8.0)]

    monkeypatch.setattr(FixedPeople, "trends", trends)
    async with house() as here:
        plain = await here.ask(search(text("cat dog")))
        assert asked == []
        popular = await here.ask(
            search(text("cat dog"), query_id="p", boosts=[{"kind": "popularity", "share": 0.9}], explain=True)
        )
    assert ids(plain)[0] == "cat-and-dog"
    assert ids(popular)[0] == "dog"
    assert popular.hits[0].boosts["popularity"].value == 1.0


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"group_by": {"attribute": "a", "most": 0}}, "group_by.most"),
        ({"collapse": {"similarity": 2}}, "collapse.similarity"),
        ({"boosts": [{"kind": "recency", "share": 0.1, "half_life_s": -1}]}, "boosts[0]"),
        ({"boosts": [{"kind": "fame", "share": 0.1}]}, "boosts[0]"),
        (
            {"boosts": [{"kind": "popularity", "share": 0.6}, {"kind": "recency", "share": 0.6, "half_life_s": 1}]},
            "boosts",
        ),
        ({"boosts": [{"kind": "popularity", "share": 0.1}] * 2}, "boosts"),
        ({"ranking": {"coverage": {"attribute": "a"}}}, "ranking.coverage"),
        ({"ranking": {"method": "mmr", "diversity": 0.8, "coverage": {"attribute": "a"}}}, "ranking.coverage.weight"),
        ({"near": {"latitude": 0, "longitude": 0, "share": 1.5}}, "near.share"),
    ],
)
async def test_what_no_list_can_be_made_of_is_refused_by_its_field(asked: dict[str, Any], field: str):
    """With an error result, whether the contract or the ranking finds it."""
    async with house() as here:
        result = await here.ask(search(text("car"), **asked))
    assert result.status is ResultStatus.ERROR
    assert result.error is not None
    assert result.error.code is Reason.INVALID_EVENT
    assert field in result.error.field or field in result.error.message


def test_settings_fill_what_a_query_leaves_open():
    """And a query's own word beats them, 0 included."""
    settings = QuerySettings(ranking=RankingMethod.MMR, diversity=0.6, beam_width=3)
    silent = ordered(read(search(text("a"))), settings)
    ranking = {"method": "beam", "diversity": 0, "beam_width": 9}
    outspoken = ordered(read(search(text("a"), ranking=ranking)), settings)

    assert (silent["ranking"], silent["diversity"], silent["beam_width"]) == (RankingMethod.MMR, 0.6, 3)
    assert (outspoken["ranking"], outspoken["diversity"], outspoken["beam_width"]) == (RankingMethod.BEAM, 0, 9)


def test_what_is_told_is_what_was_asked():
    """There and back again without loss."""
    query = read(search(text("a"), **EVERYTHING))

    said = told(RankingRequest(**ordered(query, QuerySettings())))

    assert isinstance(said, Ordering)
    assert (said.group_by, said.collapse, said.boosts) == (query.group_by, query.collapse, query.boosts)
    assert said.coverage == query.ranking.coverage
