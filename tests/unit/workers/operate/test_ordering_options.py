"""How a list is made, written on the command line."""

import json
from typing import Any

import pytest
import typer

from config.vocabulary import RankingMethod
from workers.contracts.query import QUERIES
from workers.operate.ordering_options import boost, ordering, seconds


def test_what_is_written_is_what_the_contract_reads() -> None:
    """Every option at once makes a query that is accepted."""
    fields = ordering(
        method=RankingMethod.MMR,
        diversity=0.2,
        cover="category:0.4",
        group_by="source:3",
        collapse="0.97:source",
        boosts=["recency:0.2:7d", "recency:0.1:12h:shot", "popularity:0.1", "number:0.3:price:linear:0:50"],
    )
    event = {"query_id": "q", "kind": "search", "parts": [{"modality": "text", "text": "a"}], **fields}

    query = QUERIES.validate_json(json.dumps(event))

    assert query.group_by is not None
    assert query.collapse is not None
    assert query.ranking.coverage is not None
    assert (query.ranking.coverage.weight, query.group_by.most, query.collapse.attribute) == (0.4, 3, "source")
    assert [each.share for each in query.boosts] == [0.2, 0.1, 0.1, 0.3]


def test_what_is_left_out_is_left_to_the_worker() -> None:
    """An attribute alone is enough; nothing written is nothing sent."""
    assert ordering() == {}
    assert ordering(cover="category", group_by="source", collapse="0.9") == {
        "ranking": {"coverage": {"attribute": "category"}},
        "group_by": {"attribute": "source"},
        "collapse": {"similarity": 0.9},
    }


@pytest.mark.parametrize(("written", "expected"), [("90", 90), ("30m", 1800), ("1.5h", 5400), ("7d", 604_800)])
def test_durations(written: str, expected: float) -> None:
    """A number and a unit; seconds without one."""
    assert seconds(written) == expected


@pytest.mark.parametrize(
    "written", ["", "fame:0.1", "recency:0.1", "recency:0.1:soon", "popularity", "popularity:x", "number:0.1:price"]
)
def test_a_boost_that_is_written_otherwise_is_refused_with_its_form(written: str) -> None:
    """The message shows how."""
    with pytest.raises(typer.BadParameter, match="recency:SHARE:HALF_LIFE"):
        boost(written)


@pytest.mark.parametrize("options", [{"cover": "a:b"}, {"group_by": "a:many"}, {"collapse": "close"}])
def test_other_options_are_refused_too(options: dict[str, Any]) -> None:
    """With theirs."""
    with pytest.raises(typer.BadParameter, match="is no number"):
        ordering(**options)
