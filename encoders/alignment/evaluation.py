"""How well one modality finds another: recall at k, median rank and mean reciprocal rank, in plain numpy.

A query's rank is that of its best relevant item. Equal similarities are ordered by the item's index, as rankings are
by the item's id, so that a model which gives everything the same vector does not look perfect.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

CHUNK_QUERIES: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalScores:
    """Scores of one kind of query against one kind of item.

    Attributes:
        queries: Number of queries.
        items: Number of items searched.
        recall_at_1: Share of queries with a relevant item first.
        recall_at_3: Share with one among the first three.
        recall_at_5: Share with one among the first five.
        recall_at_10: Share with one among the first ten.
        median_rank: Median over queries of the best relevant item's rank, from 1.
        mean_reciprocal_rank: Mean over queries of 1 / rank.
    """

    queries: int
    items: int
    recall_at_1: float
    recall_at_3: float
    recall_at_5: float
    recall_at_10: float
    median_rank: float
    mean_reciprocal_rank: float


def score_ranks(ranks: NDArray[np.int64], items: int) -> RetrievalScores:
    """Summarise ranks (queries,), each from 1 to ``items``.

    Raises:
        ValueError: There are no queries.
    """
    if ranks.size == 0:
        raise ValueError("no queries to score: give at least one that has a relevant item")
    return RetrievalScores(
        queries=int(ranks.size),
        items=items,
        recall_at_1=float(np.mean(ranks <= 1)),
        recall_at_3=float(np.mean(ranks <= 3)),
        recall_at_5=float(np.mean(ranks <= 5)),
        recall_at_10=float(np.mean(ranks <= 10)),
        median_rank=float(np.median(ranks)),
        mean_reciprocal_rank=float(np.mean(1.0 / ranks)),
    )


def rank_relevant(
    queries: NDArray[np.float32],
    items: NDArray[np.float32],
    query_labels: NDArray[np.int64],
    item_labels: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Rank the best relevant item of every query by inner product; an item is relevant when its label is the query's.

    Args:
        queries: (q, dims), of unit norm for cosine similarity.
        items: (n, dims).
        query_labels: (q,).
        item_labels: (n,).

    Returns:
        (q,) int64 ranks from 1; n + 1 for a query without any relevant item.

    Raises:
        ValueError: A vector is not finite; the message says which side.
    """
    for side, vectors in (("query", queries), ("item", items)):
        if not np.isfinite(vectors).all():
            raise ValueError(f"a {side} vector holds NaN or infinity: its rank would mean nothing")
    starts = range(0, len(queries), CHUNK_QUERIES)
    parts = [
        _rank_chunk(queries[s : s + CHUNK_QUERIES] @ items.T, query_labels[s : s + CHUNK_QUERIES], item_labels)
        for s in starts
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def score_retrieval(
    queries: NDArray[np.float32],
    items: NDArray[np.float32],
    query_labels: NDArray[np.int64],
    item_labels: NDArray[np.int64],
) -> RetrievalScores:
    """Score queries against items, as ``rank_relevant`` takes them; queries without a relevant item are left out."""
    served = np.isin(query_labels, item_labels)
    ranks = rank_relevant(queries[served], items, query_labels[served], item_labels)
    return score_ranks(ranks, len(items))


def mean_scores(scores: Sequence[RetrievalScores]) -> RetrievalScores:
    """Return the mean of several scores, each counting the same, whatever its numbers of queries and items.

    Raises:
        ValueError: There are none.
    """
    if not scores:
        raise ValueError("no scores to average")
    return RetrievalScores(
        queries=round(np.mean([one.queries for one in scores])),
        items=round(np.mean([one.items for one in scores])),
        recall_at_1=float(np.mean([one.recall_at_1 for one in scores])),
        recall_at_3=float(np.mean([one.recall_at_3 for one in scores])),
        recall_at_5=float(np.mean([one.recall_at_5 for one in scores])),
        recall_at_10=float(np.mean([one.recall_at_10 for one in scores])),
        median_rank=float(np.mean([one.median_rank for one in scores])),
        mean_reciprocal_rank=float(np.mean([one.mean_reciprocal_rank for one in scores])),
    )


def _rank_chunk(
    similarity: NDArray[np.float32], query_labels: NDArray[np.int64], item_labels: NDArray[np.int64]
) -> NDArray[np.int64]:
    relevant = query_labels[:, None] == item_labels
    best = np.where(relevant, similarity, -np.inf).argmax(axis=1)  # the first of equals
    limit = similarity[np.arange(len(best)), best][:, None]
    before = np.arange(similarity.shape[1]) < best[:, None]
    ranks = 1 + ((similarity > limit) | ((similarity == limit) & before)).sum(axis=1)
    ranks[~relevant.any(axis=1)] = similarity.shape[1] + 1
    return np.asarray(ranks, np.int64)
