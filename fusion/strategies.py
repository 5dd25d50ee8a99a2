"""How an item's scores, one a (part, modality), become one in [0, 1]. Pure and vectorised over candidates.

A negative weight steers away: its score counts as 1 - score, so likeness lowers the fused score. For the weighted
mean this is, up to a constant, the sum of weight times score; written so, it stays in [0, 1] under every strategy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.errors import Reason, RejectEvent
from config.vocabulary import FusionStrategy, MissingRule
from fusion.similarity import Matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What is fused. Candidates lie in the order of their ids, so that stable sorts break ties by id.

    Args:
        similarities: Shape (parts, modalities, candidates), in [0, 1], as the request compares.
        calibrated: The same after calibration. Where ``present`` is False both are 0.
        present: Shape (modalities, candidates): which modalities an item has.
        part_weights: Shape (parts,); negative steers away.
        modality_weights: Shape (modalities,); not negative.
        missing: Whether a lacking modality is left out, or counts as no match.
        rrf_k: The constant of reciprocal rank fusion.
        rank_depth: Ranks beyond this do not vote in reciprocal rank fusion.
    """

    similarities: Matrix
    calibrated: Matrix
    present: NDArray[np.bool_]
    part_weights: Matrix
    modality_weights: Matrix
    missing: MissingRule
    rrf_k: float
    rank_depth: int

    @property
    def weights(self) -> Matrix:
        """Magnitude of each (part, modality), shape (parts, modalities, 1)."""
        return (np.abs(self.part_weights)[:, None] * self.modality_weights[None, :])[..., None]

    @property
    def counted(self) -> Matrix:
        """Weights that count towards each candidate's score, shape (parts, modalities, candidates)."""
        everyone = np.ones_like(self.present) if self.missing is MissingRule.PENALISE else self.present
        return self.weights * everyone[None, :, :]

    @property
    def away(self) -> NDArray[np.bool_]:
        """Which parts steer away, shape (parts, 1, 1)."""
        return (self.part_weights < 0)[:, None, None]


Strategy = Callable[[Scores], Matrix]


def fuse(strategy: FusionStrategy, scores: Scores) -> Matrix:
    """One score in [0, 1] a candidate, shape (candidates,).

    Raises:
        RejectEvent: ``INVALID_EVENT`` for a strategy that needs what this model has not.
    """
    if strategy not in STRATEGIES:
        known = ", ".join(sorted(STRATEGIES))
        message = f"{strategy} needs trained fusion weights, which this model has not: use one of {known}"
        raise RejectEvent(Reason.INVALID_EVENT, message, field="fusion.strategy")
    return np.clip(STRATEGIES[strategy](scores), 0.0, 1.0).round(12)


def weighted_mean(scores: Scores) -> Matrix:
    """The mean of calibrated scores by weight."""
    directed = np.where(scores.away, 1.0 - scores.calibrated, scores.calibrated)
    return _mean(directed, scores.counted)


def maximum(scores: Scores) -> Matrix:
    """Each part takes the item's best modality, lighter modalities scaled down; then the parts' mean by weight.

    A lacking modality is never the best, so the rule for missing ones makes no difference here.
    """
    heaviest = scores.modality_weights.max()
    relative = scores.modality_weights / heaviest if heaviest > 0 else scores.modality_weights
    best = (scores.calibrated * relative[None, :, None]).max(axis=1, keepdims=True)
    directed = np.where(scores.away, 1.0 - best, best)
    return _mean(directed, np.broadcast_to(np.abs(scores.part_weights)[:, None, None], directed.shape))


def reciprocal_rank(scores: Scores) -> Matrix:
    """Reciprocal rank fusion (Cormack, Clarke, Büttcher 2009) by weight, scaled so that first everywhere gives 1.

    Ranks are of likeness under every part; what a negative part ranks high, loses.
    """
    order = np.argsort(-np.where(scores.present[None], scores.calibrated, -np.inf), axis=-1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, order.shape[-1] + 1)[None, None, :], axis=-1)
    votes = np.where(ranks <= scores.rank_depth, (scores.rrf_k + 1.0) / (scores.rrf_k + ranks), 0.0)
    votes *= scores.present[None]
    return _mean(np.where(scores.away, 1.0 - votes, votes), scores.counted)


def unfused(scores: Scores) -> Matrix:
    """The baseline: the best raw similarity of any part and modality, as one search in a mixed collection gives."""
    towards = scores.similarities[scores.part_weights > 0]
    if not len(towards):
        return np.asarray(1.0 - scores.similarities.max(axis=(0, 1), initial=0.0), np.float64)
    return np.asarray(towards.max(axis=(0, 1), initial=0.0), np.float64)


STRATEGIES: Final[Mapping[FusionStrategy, Strategy]] = MappingProxyType(
    {
        FusionStrategy.WEIGHTED_MEAN: weighted_mean,
        FusionStrategy.MAX: maximum,
        FusionStrategy.RRF: reciprocal_rank,
        FusionStrategy.NONE: unfused,
    }
)


def _mean(values: Matrix, weights: Matrix) -> Matrix:
    """Mean over parts and modalities; 0 where nothing counts."""
    total = weights.sum(axis=(0, 1))
    summed = (values * weights).sum(axis=(0, 1))
    return np.asarray(np.divide(summed, total, out=np.zeros_like(summed), where=total > 0), np.float64)
