"""Fusion of lists: each (part, modality) is a list of its own, and only its order or its spread counts.

Only the first ``rank_depth`` of a list count: a search that is not exhaustive misses some near its end, and what a
score owes to them would make the ranking depend on the search.
"""

from typing import Final

import numpy as np

from fusion.scores import Scores, mean_over_pairs, places_in_lists
from fusion.similarity import Matrix

NO_SPREAD: Final = 1e-9
"""A list whose similarities differ by less, says nothing."""


def reciprocal_rank(scores: Scores) -> Matrix:
    """Reciprocal rank fusion (Cormack, Clarke, Büttcher 2009) by weight, scaled so that first everywhere gives 1.

    Ranks are of likeness under every part; what a negative part ranks high, loses.
    """
    k, matched = scores.constants.rrf_k, scores.matched
    places = places_in_lists(scores.deviations, matched)
    votes = np.where(matched & (places <= scores.constants.rank_depth), (k + 1.0) / (k + places), 0.0)
    return mean_over_pairs(np.where(scores.away, 1.0 - votes, votes), scores.counted)


def distribution_based(scores: Scores) -> Matrix:
    """Distribution-based score fusion (Mazzeschi 2023, as Qdrant offers it): each list against its own spread.

    The list's mean less ``dbsf_deviations`` standard deviations becomes 0, its mean plus as many 1. It needs no
    calibration, and pays with scores that mean something only within their own list.
    """
    matched = scores.matched
    listed = matched & (places_in_lists(scores.deviations, matched) <= scores.constants.rank_depth)
    count = np.maximum(listed.sum(axis=-1, keepdims=True), 1)
    mean = np.where(listed, scores.similarities, 0.0).sum(axis=-1, keepdims=True) / count
    squares = np.where(listed, (scores.similarities - mean) ** 2, 0.0).sum(axis=-1, keepdims=True)
    width = 2.0 * scores.constants.dbsf_deviations * np.sqrt(squares / np.maximum(count - 1, 1))
    flat = width < NO_SPREAD
    values = np.where(flat, 0.5, 0.5 + (scores.similarities - mean) / np.where(flat, 1.0, width))
    values = np.clip(values, 0.0, 1.0) * matched
    return mean_over_pairs(np.where(scores.away, 1.0 - values, values), scores.counted)
