"""Retrieval measured where a query may have several right answers: recall, median rank, mAP and nDCG@10.

Equal similarities are ordered by the item's index, as rankings are by the item's id. Average precision follows Manning,
Raghavan and Schütze, "Introduction to Information Retrieval", 2008, section 8.4; nDCG with linear gains follows
Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

CHUNK_QUERIES: Final = 512
DEPTH: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RelevanceScores:
    """Means over the queries that have a relevant item.

    Attributes:
        queries: Number of queries that count.
        items: Number of items searched.
        recall_at_1: Share of queries with a relevant item first.
        recall_at_5: Share with one among the first five.
        recall_at_10: Share with one among the first ten.
        median_rank: Median of the best relevant item's rank, from 1.
        mean_average_precision: Mean over queries of the precision at each relevant item's rank, averaged.
        ndcg_at_10: Mean discounted gain of the first ten over that of the best possible ten.
    """

    queries: int
    items: int
    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    median_rank: float
    mean_average_precision: float
    ndcg_at_10: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What each query got, so that any part of the queries can be summed up by itself.

    Attributes:
        items: Number of items searched.
        ranks: (queries,) best relevant item's rank, from 1; NaN where no item is relevant, as in the other two.
        precisions: (queries,) average precision.
        ndcgs: (queries,) nDCG@10.
    """

    items: int
    ranks: NDArray[np.float64]
    precisions: NDArray[np.float64]
    ndcgs: NDArray[np.float64]

    def summary(self, rows: NDArray[np.bool_] | None = None) -> RelevanceScores | None:
        """Return the means over the queries, or those in ``rows`` (queries,); None where none has a relevant item."""
        kept = ~np.isnan(self.ranks) if rows is None else rows & ~np.isnan(self.ranks)
        if not kept.any():
            return None
        ranks = self.ranks[kept]
        return RelevanceScores(
            queries=len(ranks),
            items=self.items,
            recall_at_1=float(np.mean(ranks <= 1)),
            recall_at_5=float(np.mean(ranks <= 5)),
            recall_at_10=float(np.mean(ranks <= 10)),
            median_rank=float(np.median(ranks)),
            mean_average_precision=float(self.precisions[kept].mean()),
            ndcg_at_10=float(self.ndcgs[kept].mean()),
        )


def score_relevance(similarities: NDArray[np.floating], gains: NDArray[np.floating]) -> RelevanceScores:
    """Score rankings by similarity.

    Args:
        similarities: (queries, items), higher is nearer.
        gains: (queries, items), 0 where an item is not relevant; larger is more so.

    Raises:
        ValueError: Shapes differ, a similarity is not finite, or no query has a relevant item.
    """
    scores = judge(similarities, gains).summary()
    if scores is None:
        raise ValueError("no queries to score: give at least one that has a relevant item")
    return scores


def judge(similarities: NDArray[np.floating], gains: NDArray[np.floating]) -> Judged:
    """Judge every query by itself; arguments as for ``score_relevance``.

    Raises:
        ValueError: Shapes differ, or a similarity is not finite.
    """
    if similarities.shape != gains.shape:
        raise ValueError(f"similarities have shape {similarities.shape}, gains {gains.shape}")
    if not np.isfinite(similarities).all():
        raise ValueError("a similarity is NaN or infinite: its rank would mean nothing")
    served = np.flatnonzero((gains > 0).any(axis=1))
    found = np.full((3, len(similarities)), np.nan)
    for start in range(0, len(served), CHUNK_QUERIES):
        rows = served[start : start + CHUNK_QUERIES]
        found[:, rows] = _chunk(similarities[rows], gains[rows])
    return Judged(items=similarities.shape[1], ranks=found[0], precisions=found[1], ndcgs=found[2])


def mean_relevance(scores: Sequence[RelevanceScores]) -> RelevanceScores:
    """Return the mean of several scores, each counting the same.

    Raises:
        ValueError: There are none.
    """
    if not scores:
        raise ValueError("no scores to average")
    return RelevanceScores(
        queries=round(np.mean([one.queries for one in scores])),
        items=round(np.mean([one.items for one in scores])),
        recall_at_1=float(np.mean([one.recall_at_1 for one in scores])),
        recall_at_5=float(np.mean([one.recall_at_5 for one in scores])),
        recall_at_10=float(np.mean([one.recall_at_10 for one in scores])),
        median_rank=float(np.mean([one.median_rank for one in scores])),
        mean_average_precision=float(np.mean([one.mean_average_precision for one in scores])),
        ndcg_at_10=float(np.mean([one.ndcg_at_10 for one in scores])),
    )


def _chunk(
    similarities: NDArray[np.floating], gains: NDArray[np.floating]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Best ranks, average precisions and nDCG@10 of queries that each have a relevant item."""
    order = np.argsort(-similarities, axis=1, kind="stable")
    ordered = np.take_along_axis(gains, order, axis=1).astype(np.float64)
    hits = ordered > 0
    places = np.arange(1, hits.shape[1] + 1)
    precision = np.where(hits, np.cumsum(hits, axis=1) / places, 0.0).sum(axis=1) / hits.sum(axis=1)
    discounts = 1.0 / np.log2(1.0 + places[:DEPTH])
    best = -np.sort(-gains.astype(np.float64), axis=1)[:, :DEPTH]
    ndcg = (ordered[:, :DEPTH] * discounts).sum(axis=1) / (best * discounts).sum(axis=1)
    return hits.argmax(axis=1).astype(np.int64) + 1, precision, ndcg
