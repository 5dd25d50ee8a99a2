"""What is fused: every pair of a query's part and an item's modality, for all candidates at once.

Arrays end in the axes (parts, modalities, candidates). A batch of queries is the same with one more axis in front of
all of them, padded with parts of weight 0, modalities of weight 0 and candidates that have nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import MissingRule, Modality
from fusion.similarity import Matrix

if TYPE_CHECKING:
    from fusion.attention_weights import FusionWeights

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """Everything a strategy leaves open: settable in a query, echoed in its explanation.

    Args:
        missing: Whether a lacking modality is left out, or counts as no match.
        rrf_k: The constant of reciprocal rank fusion.
        rank_depth: How many of each list count in fusion of lists (``rrf``, ``dbsf``).
        dbsf_deviations: A list's mean less and plus this many standard deviations become 0 and 1.
        network: The trained weights of ``attention``; None where it is not asked for.
    """

    missing: MissingRule = MissingRule.RENORMALISE
    rrf_k: float = 60.0
    rank_depth: int = 50
    dbsf_deviations: float = 3.0
    network: "FusionWeights | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What is fused. Candidates lie in the order of their ids, so that stable sorts break ties by id.

    Args:
        similarities: Shape (…, parts, modalities, candidates), in [0, 1], as the request compares.
        deviations: The same in standard deviations from the pair's background, not bounded.
        calibrated: The same after calibration. Where ``present`` is False all three are 0.
        present: Shape (…, modalities, candidates): which modalities an item has.
        part_weights: Shape (…, parts); negative steers away, 0 pads a batch.
        modality_weights: Shape (…, modalities); not negative, 0 pads a batch.
        part_modalities: Of each part, as places in ``Modality``'s order; shape (…, parts).
        modalities: Of the items; one for each row.
    """

    similarities: Matrix
    deviations: Matrix
    calibrated: Matrix
    present: Mask
    part_weights: Matrix
    modality_weights: Matrix
    part_modalities: NDArray[np.intp]
    modalities: Sequence[Modality]
    constants: Constants

    def as_batch(self) -> "Scores":
        """The same with an axis for queries in front; a batch of one, if it was a single query."""
        if self.present.ndim > 2:
            return self
        arrays = {name: getattr(self, name)[None] for name in _ARRAYS}
        return replace(self, **arrays)

    def of(self, place: int) -> "Scores":
        """One candidate's alone."""
        one = slice(place, place + 1)
        return replace(
            self,
            similarities=self.similarities[..., one],
            deviations=self.deviations[..., one],
            calibrated=self.calibrated[..., one],
            present=self.present[..., one],
        )

    @property
    def weights(self) -> Matrix:
        """Magnitude of each (part, modality), shape (…, parts, modalities, 1)."""
        return (np.abs(self.part_weights)[..., :, None] * self.modality_weights[..., None, :])[..., None]

    @property
    def counted(self) -> Matrix:
        """Weights that count towards each candidate's score, shape (…, parts, modalities, candidates)."""
        if self.constants.missing is MissingRule.PENALISE:
            return self.weights * np.ones_like(self.present)[..., None, :, :]
        return self.weights * self.present[..., None, :, :]

    @property
    def away(self) -> Mask:
        """Which parts steer away, shape (…, parts, 1, 1)."""
        return np.asarray((self.part_weights < 0)[..., :, None, None], np.bool_)

    @property
    def matched(self) -> Mask:
        """Pairs that were compared, shape (…, parts, modalities, candidates)."""
        real = (self.part_weights != 0)[..., :, None, None] & (self.modality_weights > 0)[..., None, :, None]
        return np.asarray(real & self.present[..., None, :, :], np.bool_)


_ARRAYS: Final = (
    "similarities",
    "deviations",
    "calibrated",
    "present",
    "part_weights",
    "modality_weights",
    "part_modalities",
)


def places_in_lists(values: Matrix, present: Mask) -> NDArray[np.intp]:
    """Place of every candidate in each (part, modality) list, from 1, the earlier of equals first; same shape."""
    order = np.argsort(np.where(present, -values, np.inf), axis=-1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.broadcast_to(np.arange(1, order.shape[-1] + 1), order.shape), axis=-1)
    return places


def mean_over_pairs(values: Matrix, weights: Matrix) -> Matrix:
    """Mean over parts and modalities, shape (…, candidates); 0 where nothing counts."""
    total = weights.sum(axis=(-3, -2))
    summed = (values * weights).sum(axis=(-3, -2))
    return np.asarray(np.divide(summed, total, out=np.zeros_like(summed), where=total > 0), np.float64)
