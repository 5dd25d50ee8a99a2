"""Attention fusion: a small trained network weighs every pair of a part and a modality by what else is there.

What the query shows (its parts' modalities, signs and weights) and what the item has decide, for every pair, a rising
curve: how much evidence a similarity is, given in standard deviations from its background. A part attends to the
item's modalities by that evidence: log-sum-exp pooling, whose gradient is the softmax attention of Bahdanau, Cho and
Bengio 2015, mixed with the plain sum. Parts add up by weight, negative ones against.

Whatever the weights are, by construction: a nearer vector never lowers a score under a part that counts towards it and
never raises one under a part that steers away; a lacking modality is left out of a sum and multiplies nothing; the
order of parts does not matter; the result lies in (0, 1). Curves depend on what is present and not on similarities:
they are computed once for each pattern of presence, and candidates share them.

``totals`` is written for numpy and torch alike: serving and training run the same lines.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import MissingRule, Modality
from fusion.attention_weights import Arrays, FusionWeights, shipped_weights
from fusion.calibration import squash, squash_in_place
from fusion.scores import Scores
from fusion.similarity import Matrix

NOTHING: Final = -1e30
"""Logarithm of the weight of what is not there: finite, for the difference of two infinities is no number."""

_PLACE: Final = {modality: place for place, modality in enumerate(Modality)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A batch as the network sees it: q queries, p parts, m modalities, r patterns of presence, c candidates.

    Args:
        parts: (q, p, 6), one-hot modality of each part; zeros for padding.
        items: (m, 6), one-hot modality of each row.
        weights: (q, p), the largest magnitude of a query is 1; negative steers away, 0 is padding.
        modality_weights: (q, m), the largest of a query is 1.
        patterns: (r, m), 1 where an item of this pattern has the modality.
        searched: (q, m), 1 where a modality counts.
        belongs: (q, r, c), 1 where a candidate is of that pattern.
        basis: (q, p, m, knots, c), in [0, 1]: how far up each knot's rise a similarity is; 0 where it lacks.
    """

    parts: Any
    items: Any
    weights: Any
    modality_weights: Any
    patterns: Any
    searched: Any
    belongs: Any
    basis: Any


def attentive(scores: Scores) -> Matrix:
    """One score in (0, 1) a candidate, shape (…, candidates)."""
    weights, rows = _laid_out(scores)
    fused = squash((np.asarray(totals(np, weights.arrays, rows), np.float64) - weights.centre) / weights.spread)
    return fused.reshape(*scores.present.shape[:-2], fused.shape[-1])


def attention_pulls(scores: Scores) -> Matrix:
    """How much a candidate's score leans on each pair's evidence, shape (…, parts, modalities, candidates)."""
    weights, rows = _laid_out(scores)
    scaled, logits = evidence(np, weights.arrays, rows, _hidden(np, weights.arrays, rows))
    odds = np.exp(logits - logits.max(axis=2, keepdims=True)) * (logits > NOTHING / 2)
    attended = odds / np.maximum(odds.sum(axis=2, keepdims=True), 1e-300)
    mix = _mixed(np, weights.arrays)
    leaning = mix * attended + (1.0 - mix) * (odds > 0) * rows.modality_weights[:, None, :, None]
    return np.asarray(leaning * np.abs(rows.weights)[..., None, None], np.float64).reshape(scaled.shape[-3:])


def totals(xp: Any, w: Arrays, rows: Rows) -> Any:
    """Evidence that each candidate is what the query asks for, shape (q, c); not bounded.

    Args:
        xp: numpy or torch.
        w: The arrays of ``FusionWeights``, of that library; ``rows`` too.
        rows: The batch.
    """
    hidden = _hidden(xp, w, rows)
    scaled, logits = evidence(xp, w, rows, hidden)
    highest = xp.amax(logits, axis=2)
    pooled = highest + xp.log(xp.exp(logits - highest[:, :, None]).sum(2))
    mix = _mixed(xp, w)
    each = mix * pooled + (1.0 - mix) * scaled.sum(2)
    ground = (hidden @ w["ground"]) * rows.patterns.T * rows.modality_weights[:, None, :, None]
    grounds = (ground.sum(2) * xp.abs(rows.weights)[..., None]).sum(1)
    return (each * rows.weights[..., None]).sum(1) + (grounds[..., None] * rows.belongs).sum(1)


def evidence(xp: Any, w: Arrays, rows: Rows, hidden: Any) -> tuple[Any, Any]:
    """Evidence of every pair by the modality's weight, 0 where it lacks; and its logit. Both (q, p, m, c)."""
    raised = hidden @ w["curve"] + w["curve_ground"]
    curves = (raised + xp.abs(raised)) / 2 + xp.log1p(xp.exp(-xp.abs(raised)))  # softplus: a curve only rises
    every = curves @ rows.basis + (hidden @ w["offset"])[..., None]
    there = (rows.patterns.T * rows.searched[..., None]) @ rows.belongs
    scaled = xp.einsum("qpmrc,qrc->qpmc", every, rows.belongs) * (there * rows.modality_weights[..., None])[:, None]
    lighter = xp.log(rows.modality_weights + 1e-12)[:, None, :, None]
    return scaled, xp.where(there[:, None] > 0, scaled + lighter, NOTHING)


def _hidden(xp: Any, w: Arrays, rows: Rows) -> Any:
    """What surrounds each pair under each pattern, shape (q, p, m, r, hidden)."""
    signs = rows.weights[..., None]
    magnitude = xp.abs(rows.weights).sum(1)[:, None]
    towards = (rows.parts * (signs > 0) * xp.abs(signs)).sum(1) / magnitude
    away = (rows.parts * (signs < 0) * xp.abs(signs)).sum(1) / magnitude
    count = (rows.weights != 0).sum(1)[:, None]
    searched = rows.searched.sum(1)[:, None]
    had = (rows.searched @ rows.patterns.T) / searched
    same, against, share, few, always = w["plain"]
    query = towards @ w["towards"] + away @ w["away"] + few / count + always
    part = rows.parts @ w["part"] + (signs < 0) * against
    item = rows.items @ w["item"]
    alike = (rows.parts @ rows.items.T)[..., None] * same
    pattern = (rows.patterns @ rows.items) @ w["has"] + had[..., None] * share
    both = query[:, None, None] + part[:, :, None] + item + alike
    return xp.tanh(both[:, :, :, None] + pattern[:, None, None])


def rows_of(scores: Scores, weights: FusionWeights) -> Rows:
    """Lay scores out for the network; a single query becomes a batch of one."""
    batch = scores.as_batch()
    present, deviations, searched = batch.present, batch.deviations, batch.modality_weights > 0
    counts = np.ones_like(present) if scores.constants.missing is MissingRule.PENALISE else present
    patterns, belongs = _patterns(counts & searched[..., None])
    basis = squash_in_place((deviations[..., None, :] - weights.knots[:, None]) / weights.widths[:, None])
    basis *= present[:, None, :, None, :]
    real = (batch.part_weights != 0)[..., None]
    return Rows(
        parts=np.eye(len(Modality))[batch.part_modalities] * real,
        items=np.eye(len(Modality))[[_PLACE[each] for each in batch.modalities]],
        weights=_against_largest(batch.part_weights),
        modality_weights=_against_largest(batch.modality_weights),
        patterns=patterns,
        searched=searched.astype(np.float64),
        belongs=belongs,
        basis=basis,
    )


def _laid_out(scores: Scores) -> tuple[FusionWeights, Rows]:
    weights = scores.constants.network or shipped_weights().unnamed()
    return weights, rows_of(scores, weights)


def _mixed(xp: Any, w: Arrays) -> Any:
    return 1.0 / (1.0 + xp.exp(-w["mix"]))


def _patterns(counts: NDArray[np.bool_]) -> tuple[Matrix, Matrix]:
    """The distinct columns of (q, m, c) as (r, m), and which candidates have which: (q, r, c)."""
    bits = 1 << np.arange(counts.shape[1])
    codes = (counts * bits[:, None]).sum(axis=1)
    known = np.unique(codes)
    return ((known[:, None] & bits) > 0).astype(np.float64), (codes[:, None] == known[:, None]).astype(np.float64)


def _against_largest(values: Matrix) -> Matrix:
    largest = np.abs(values).max(axis=-1, keepdims=True)
    return np.asarray(values / np.where(largest > 0, largest, 1.0), np.float64)
