"""Retrieval metrics agree with what counting by hand gives."""

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.alignment.evaluation import RetrievalScores, mean_scores, rank_relevant, score_ranks, score_retrieval


def brute_force_rank(
    query: NDArray[np.float32], items: NDArray[np.float32], label: int, labels: NDArray[np.int64]
) -> int:
    """Sort all items, the earlier of equals first, and walk down to the first relevant one."""
    order = sorted(range(len(items)), key=lambda item: (-float(np.float32(items[item] @ query)), item))
    return next((place for place, item in enumerate(order, 1) if labels[item] == label), len(items) + 1)


@pytest.mark.parametrize("seed", range(5))
def test_ranks_equal_those_of_sorting(seed: int) -> None:
    """Ranks are those of a plain sort, with ties, several relevant items and queries that have none."""
    rng = np.random.default_rng(seed)
    queries = rng.integers(-2, 3, (40, 4)).astype(np.float32)  # small whole numbers tie often, and exactly
    items = rng.integers(-2, 3, (60, 4)).astype(np.float32)
    query_labels, item_labels = rng.integers(0, 25, 40), rng.integers(0, 20, 60)

    ranks = rank_relevant(queries, items, query_labels, item_labels)

    wanted = [brute_force_rank(q, items, label, item_labels) for q, label in zip(queries, query_labels, strict=True)]
    assert ranks.tolist() == wanted


def test_more_queries_than_a_chunk() -> None:
    """Chunking changes nothing: every one of 1,300 queries finds its own item first."""
    vectors = np.linalg.qr(np.random.default_rng(0).standard_normal((1_300, 1_300)))[0].astype(np.float32)
    labels = np.arange(1_300)

    assert (rank_relevant(vectors, vectors, labels, labels) == 1).all()


def test_scores_of_known_ranks() -> None:
    """Recall, median and reciprocal rank of four ranks counted by hand."""
    scores = score_ranks(np.array([1, 2, 6, 20]), items=30)

    assert scores == RetrievalScores(
        queries=4,
        items=30,
        recall_at_1=0.25,
        recall_at_3=0.5,
        recall_at_5=0.5,
        recall_at_10=0.75,
        median_rank=4.0,
        mean_reciprocal_rank=pytest.approx((1 + 1 / 2 + 1 / 6 + 1 / 20) / 4),
    )


def test_a_model_that_says_the_same_of_everything_is_not_perfect() -> None:
    """Equal similarities are no success: the expected rank of n equal items stays in the middle."""
    same = np.ones((100, 3), np.float32)
    labels = np.arange(100)

    assert score_retrieval(same, same, labels, labels).median_rank == 50.5


def test_queries_without_a_relevant_item_are_left_out() -> None:
    """A concept that a vendor does not draw counts neither for nor against it."""
    queries = np.eye(3, dtype=np.float32)

    scores = score_retrieval(queries, queries[:2], np.array([0, 1, 2]), np.array([0, 1]))

    assert (scores.queries, scores.recall_at_1) == (2, 1.0)


def test_nothing_to_score_is_refused() -> None:
    """No query at all is an error, not a score of zero or NaN."""
    with pytest.raises(ValueError, match="no queries"):
        score_ranks(np.zeros(0, np.int64), items=5)
    with pytest.raises(ValueError, match="no scores"):
        mean_scores([])


def test_broken_vectors_are_refused() -> None:
    """NaN compares false with everything, which would rank first: it is refused."""
    vectors = np.eye(2, dtype=np.float32)
    broken = np.full((2, 2), np.nan, np.float32)
    labels = np.arange(2)

    with pytest.raises(ValueError, match="item vector holds NaN"):
        rank_relevant(vectors, broken, labels, labels)


def test_mean_counts_every_vendor_the_same() -> None:
    """The mean over vendors does not weigh by size."""
    one = score_ranks(np.array([1]), items=10)
    other = score_ranks(np.array([20, 20, 20]), items=30)

    mean = mean_scores([one, other])

    assert (mean.recall_at_10, mean.queries, mean.items, mean.median_rank) == (0.5, 2, 20, 10.5)
