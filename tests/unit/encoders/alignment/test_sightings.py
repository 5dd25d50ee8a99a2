"""Every modality against every other agrees with what is counted by hand."""

import numpy as np
import pytest

from config.vocabulary import Modality
from encoders.alignment import sightings
from encoders.alignment.relevance import score_relevance
from encoders.alignment.sightings import Sighted, Sightings, mean_over_pairs, pairs_report, score_all, sight, thin
from tests.unit.encoders.alignment.planted import planted

TEXT, IMAGE, SENSOR = Modality.TEXT, Modality.IMAGE, Modality.SENSOR


def seen(labels: list[int], rows: np.ndarray) -> Sightings:
    """Vectors with what they show."""
    return Sightings(labels=np.array(labels), vectors=rows.astype(np.float32))


def test_several_items_may_show_what_is_asked_for() -> None:
    """Two stations under rain (label 1): both are right, and average precision sees both."""
    texts = seen([0, 1], np.eye(2))
    stations = seen([1, 0, 1], np.array([[0.0, 1.0], [1.0, 0.0], [0.9, 0.1]]))

    score = score_all({TEXT: texts}, {SENSOR: stations})[TEXT, SENSOR]

    assert score is not None
    assert (score.queries, score.items, score.recall_at_1) == (2, 3, 1.0)
    assert score.mean_average_precision == pytest.approx((1.0 + (1 / 1 + 2 / 2) / 2) / 2)


def test_pairs_without_shared_items_have_no_number() -> None:
    """And do not count in the mean; no modality is asked for itself."""
    rows = np.eye(2)
    both = {TEXT: seen([0, 1], rows), IMAGE: seen([0, 1], rows), SENSOR: seen([7, 8], rows)}

    scores = score_all(both, both)

    assert len(scores) == 6
    assert scores[TEXT, SENSOR] is None
    assert mean_over_pairs(scores).recall_at_1 == 1.0


def test_many_queries_are_scored_as_one() -> None:
    """Chunks, thinning and all: against one matrix; 2,000 of more than 2,000 ask, the first and the last among them."""
    features = planted(300, missing=0.3)
    tables = sight(features)
    query, item = tables[TEXT], tables[IMAGE]
    exact = score_relevance(query.vectors[:, :12] @ item.vectors[:, :12].T, query.labels[:, None] == item.labels)

    cut = {m: Sightings(labels=each.labels, vectors=each.vectors[:, :12]) for m, each in tables.items()}

    assert score_all(cut, cut)[TEXT, IMAGE] == exact
    many = seen(list(range(5000)), np.ones((5000, 1)))
    assert len(thin(many).labels) == sightings.MOST_QUERIES
    assert thin(many).labels[[0, -1]].tolist() == [0, 4999]


def test_parts_are_scored_against_all_items() -> None:
    """A group asks for its own things among everybody's; a language asks with its own texts."""
    rows = np.eye(4)
    wrong = rows[[1, 0, 2, 3]]
    both = {TEXT: seen([0, 1, 2, 3], rows), IMAGE: seen([0, 1, 2, 3], wrong)}
    report = pairs_report(
        Sighted(
            queries=both,
            items=both,
            languages={"zh": seen([3], rows[3:])},
            groups={"swapped": np.array([0, 1]), "right": np.array([2, 3]), "nobody": np.array([9])},
        )
    )

    assert report["groups"]["swapped"]["text>image"]["recall_at_1"] == 0.0
    assert report["groups"]["right"]["text>image"] | {"queries": 0} == {
        "queries": 0, "items": 4, "recall_at_1": 1.0, "recall_at_5": 1.0, "recall_at_10": 1.0,
        "median_rank": 1.0, "mean_average_precision": 1.0, "ndcg_at_10": 1.0,
    }  # fmt: skip
    assert report["groups"]["nobody"]["text>image"] is None
    assert report["pairs"]["text>image"]["recall_at_1"] == 0.5
    assert report["languages"]["zh"]["text>image"]["queries"] == 1
