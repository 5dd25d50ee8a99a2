"""Scores with several right answers agree with what is counted by hand."""

import math

import numpy as np
import pytest

from encoders.alignment.relevance import RelevanceScores, mean_relevance, score_relevance


def test_several_relevant_items_by_hand() -> None:
    """Relevant at ranks 2 (gain 1) and 4 (gain 3): precision 1/2 and 2/4, gains discounted by log2(1 + rank)."""
    scores = score_relevance(np.array([[0.9, 0.8, 0.7, 0.6]]), np.array([[0.0, 1.0, 0.0, 3.0]]))

    ideal = 3 / math.log2(2) + 1 / math.log2(3)
    assert scores == RelevanceScores(
        queries=1,
        items=4,
        recall_at_1=0.0,
        recall_at_5=1.0,
        recall_at_10=1.0,
        median_rank=2.0,
        mean_average_precision=pytest.approx((1 / 2 + 2 / 4) / 2),
        ndcg_at_10=pytest.approx((1 / math.log2(3) + 3 / math.log2(5)) / ideal),
    )


def test_ties_go_by_place() -> None:
    """Of equals the earlier item is first: a model that says the same of everything is not perfect."""
    scores = score_relevance(np.ones((1, 12)), np.eye(12)[[11]])

    assert (scores.median_rank, scores.recall_at_10, scores.ndcg_at_10) == (12.0, 0.0, 0.0)
    assert scores.mean_average_precision == pytest.approx(1 / 12)


def test_queries_without_a_right_answer_are_left_out() -> None:
    """They count neither for nor against, also when they fill a chunk."""
    similarities, gains = np.eye(600), np.zeros((600, 600))
    gains[599, 599] = 1.0

    scores = score_relevance(similarities, gains)

    assert (scores.queries, scores.recall_at_1, scores.mean_average_precision) == (1, 1.0, 1.0)


@pytest.mark.parametrize(
    ("similarities", "gains", "message"),
    [
        (np.ones((1, 2)), np.zeros((1, 2)), "no queries"),
        (np.array([[np.nan, 1.0]]), np.ones((1, 2)), "NaN"),
        (np.ones((1, 2)), np.ones((1, 3)), "shape"),
    ],
)
def test_what_means_nothing_is_refused(similarities: np.ndarray, gains: np.ndarray, message: str) -> None:
    """No answer, no number, no match of shapes."""
    with pytest.raises(ValueError, match=message):
        score_relevance(similarities, gains)


def test_the_mean_counts_each_the_same() -> None:
    """Whatever its number of queries."""
    one = score_relevance(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]]))
    other = score_relevance(np.array([[1.0, 0.0]] * 3), np.array([[0.0, 1.0]] * 3))

    mean = mean_relevance([one, other])

    assert (mean.recall_at_1, mean.mean_average_precision, mean.queries) == (0.5, 0.75, 2)
    with pytest.raises(ValueError, match="no scores"):
        mean_relevance([])
