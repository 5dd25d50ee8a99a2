"""How an item's scores, one a (part, modality), become one in [0, 1]. Pure and vectorised over candidates and queries.

A negative weight steers away: its score counts as 1 - score, so likeness lowers the fused score. For the weighted
mean this is, up to a constant, the sum of weight times score; written so, it stays in [0, 1] under every strategy.

Every strategy also tells what share each pair had in a candidate's score, which is what an explanation shows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from config.vocabulary import FusionStrategy
from fusion.attention import attention_pulls, attentive
from fusion.scores import Scores, mean_over_pairs
from fusion.similarity import Matrix
from fusion.strategies_lists import distribution_based, reciprocal_rank


@dataclass(frozen=True, slots=True)
class Strategy:
    """A rule.

    Args:
        score: One score in [0, 1] a candidate, shape (…, candidates).
        pulls: How much each pair weighs in it, not negative, shape (…, parts, modalities, candidates).
    """

    score: Callable[[Scores], Matrix]
    pulls: Callable[[Scores], Matrix]


def fuse(strategy: FusionStrategy, scores: Scores) -> Matrix:
    """One score in [0, 1] a candidate, shape (…, candidates)."""
    return np.clip(STRATEGIES[strategy].score(scores), 0.0, 1.0).round(12)


def shares(strategy: FusionStrategy, scores: Scores) -> Matrix:
    """Share of each pair in a candidate's score, shape (…, parts, modalities, candidates); they sum to 1, or to 0."""
    pulls = STRATEGIES[strategy].pulls(scores)
    total = pulls.sum(axis=(-3, -2), keepdims=True)
    return np.asarray(np.divide(pulls, total, out=np.zeros_like(pulls), where=total > 0), np.float64)


def weighted_mean(scores: Scores) -> Matrix:
    """The mean of calibrated scores by weight."""
    directed = np.where(scores.away, 1.0 - scores.calibrated, scores.calibrated)
    return mean_over_pairs(directed, scores.counted)


def maximum(scores: Scores) -> Matrix:
    """Each part takes the item's best modality, lighter modalities scaled down; then the parts' mean by weight.

    A lacking modality is never the best, so the rule for missing ones makes no difference here.
    """
    best = _relative(scores).max(axis=-2, keepdims=True)
    directed = np.where(scores.away, 1.0 - best, best)
    return mean_over_pairs(directed, np.broadcast_to(np.abs(scores.part_weights)[..., :, None, None], directed.shape))


def unfused(scores: Scores) -> Matrix:
    """The baseline: the best raw similarity of any part and modality, as one search in a mixed collection gives."""
    towards, away = ((sign * scores.part_weights > 0)[..., :, None, None] for sign in (1, -1))
    best, worst = (np.where(side, scores.similarities, 0.0).max(axis=(-3, -2), initial=0.0) for side in (towards, away))
    return np.asarray(np.where(towards.any(axis=(-3, -2)), best, 1.0 - worst), np.float64)


def _relative(scores: Scores) -> Matrix:
    """Calibrated scores, lighter modalities scaled down against the heaviest."""
    heaviest = scores.modality_weights.max(axis=-1, keepdims=True)
    relative = scores.modality_weights / np.where(heaviest > 0, heaviest, 1.0)
    return np.asarray(scores.calibrated * relative[..., None, :, None], np.float64)


def _best_of_each_part(scores: Scores) -> Matrix:
    values = np.where(scores.matched, _relative(scores), -1.0)
    best = (values == values.max(axis=-2, keepdims=True)) & scores.matched
    return np.asarray(np.abs(scores.part_weights)[..., :, None, None] * best, np.float64)


def _best_of_all(scores: Scores) -> Matrix:
    some = (scores.part_weights > 0)[..., :, None, None].any(axis=-3, keepdims=True)
    values = np.where(scores.matched & (~scores.away | ~some), scores.similarities, -1.0)
    return np.asarray((values == values.max(axis=(-3, -2), keepdims=True)) & scores.matched, np.float64)


def _counted(scores: Scores) -> Matrix:
    return scores.counted


STRATEGIES: Final[Mapping[FusionStrategy, Strategy]] = MappingProxyType(
    {
        FusionStrategy.WEIGHTED_MEAN: Strategy(weighted_mean, _counted),
        FusionStrategy.MAX: Strategy(maximum, _best_of_each_part),
        FusionStrategy.ATTENTION: Strategy(attentive, attention_pulls),
        FusionStrategy.RRF: Strategy(reciprocal_rank, _counted),
        FusionStrategy.DBSF: Strategy(distribution_based, _counted),
        FusionStrategy.NONE: Strategy(unfused, _best_of_all),
    }
)
