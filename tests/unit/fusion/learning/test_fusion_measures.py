"""Measures of one ranking, by hand."""

import numpy as np
import pytest

from fusion.learning.measures import ndcg, ranked_gains, recall, reciprocal_rank


def test_ndcg_by_hand() -> None:
    """Gains 0, 3, 1 where 3, 1 would be best: (3 / log2 3 + 1 / 2) / (3 + 1 / log2 3)."""
    expected = (3 / np.log2(3) + 1 / 2) / (3 + 1 / np.log2(3))

    assert ndcg(np.array([0.0, 3.0, 1.0])) == pytest.approx(expected)


def test_what_was_not_found_counts() -> None:
    """The ideal knows of relevant items that the list lacks."""
    assert ndcg(np.array([1.0, 0.0]), ideal=np.array([1.0, 1.0])) == pytest.approx(1 / (1 + 1 / np.log2(3)))


def test_places_beyond_the_tenth_do_not_count() -> None:
    """Under nDCG@10 and recall@10; the reciprocal rank sees them."""
    ranked = np.zeros(12)
    ranked[10] = 1.0

    assert (ndcg(ranked), recall(ranked, 1), reciprocal_rank(ranked)) == (0.0, 0.0, pytest.approx(1 / 11))


def test_recall_counts_as_many_as_fit() -> None:
    """Ten of twenty among the first ten is all that can be."""
    assert recall(np.ones(20), 20) == 1.0


def test_nothing_relevant_is_nothing_found() -> None:
    """No division by zero."""
    assert (ndcg(np.zeros(3)), reciprocal_rank(np.zeros(3)), recall(np.zeros(3), 0)) == (0.0, 0.0, 0.0)


def test_ties_keep_their_order() -> None:
    """The earlier of equals first, as rankings do."""
    assert ranked_gains(np.array([0.5, 0.9, 0.5]), np.array([1.0, 2.0, 3.0])).tolist() == [2.0, 1.0, 3.0]
