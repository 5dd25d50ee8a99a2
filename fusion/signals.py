"""Signals that speak for items of a recommendation, and their blend into one score.

Every signal is told against its own strongest candidate, which has the value 1: counts, decayed weights and cosines
have no common scale, and a fixed one would let whichever is spread widest decide. The strongest candidate is the first
of the signal's own search, so the values do not depend on how many candidates there are, nor on the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import ItemId, RecommendSignal
from fusion.similarity import Matrix, unit_rows

SPREAD: Final = 0.1
"""A candidate whose cosine lies this far below the strongest one's has 1/e of its value, as in a softmax of this
temperature: between the first and the tenth neighbour lie a few hundredths, which a linear scale would hardly tell."""

SPOKEN_SHARE: Final = 0.1
"""A signal that gave less than this part of a score is not named among the reasons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One voice: a direction in the aligned space, or scores of named items.

    Args:
        name: Which one.
        share: What part of the score it decides against the other signals' shares; not negative. With 0 it only
            proposes candidates.
        because: Sentence for an item that it speaks for; ``{}`` is filled with its value.
        vector: float32 of shape (dims,); items are worth exp((cosine - highest cosine) / spread).
        spread: How far below the highest cosine an item's value is 1/e; of a vector of logits, one over its length.
        scores: Items worth something else than nothing, in any unit above 0; read where there is no vector.
    """

    name: RecommendSignal
    share: float
    because: str
    vector: NDArray[np.float32] | None = None
    scores: Mapping[ItemId, float] = field(default_factory=dict)
    spread: float = SPREAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Blended:
    """What the signals make of the candidates.

    Args:
        values: Shape (signals, candidates), in [0, 1].
        shares: Shape (signals,); they sum to 1.
        total: Shape (candidates,), in [0, 1]: the values' mean by share.
    """

    values: Matrix
    shares: Matrix
    total: Matrix


def blend(signals: Sequence[Signal], ids: Sequence[ItemId], fused: Matrix) -> Blended:
    """Weigh every signal's word for every candidate.

    Args:
        signals: At least one with a share above 0.
        ids: The candidates.
        fused: Their mean vectors, unit rows of shape (candidates, dims).
    """
    values = np.stack([_values(signal, ids, fused) for signal in signals])
    shares = np.array([signal.share for signal in signals], np.float64)
    shares /= shares.sum()
    return Blended(values=values, shares=shares, total=np.asarray(shares @ values, np.float64))


def _values(signal: Signal, ids: Sequence[ItemId], fused: Matrix) -> Matrix:
    if signal.vector is not None:
        # Rounded as in ``fusion.similarity``: what BLAS adds in another order must not part equal items.
        cosines = (fused @ unit_rows(signal.vector[None, :])[0]).round(9)
        return np.asarray(np.exp((cosines - cosines.max(initial=-1.0)) / signal.spread), np.float64)
    scores = np.array([signal.scores.get(item_id, 0.0) for item_id in ids], np.float64)
    strongest = scores.max(initial=0.0)
    return scores / strongest if strongest > 0 else scores


def reasons(signals: Sequence[Signal], blended: Blended, place: int) -> tuple[str, ...]:
    """Sentences about one candidate from the signals that gave a tenth of its score or more, the largest part first."""
    given = blended.shares * blended.values[:, place]
    order = np.argsort(-given, kind="stable").tolist()
    enough = SPOKEN_SHARE * blended.total[place]
    return tuple(
        signals[row].because.format(f"{blended.values[row, place]:.2f}") for row in order if given[row] > enough
    )


def contributions(signals: Sequence[Signal], blended: Blended, place: int) -> dict[RecommendSignal, float]:
    """What each signal gave to one candidate's score; they sum to it."""
    given = blended.shares * blended.values[:, place]
    return {signal.name: float(part) for signal, part in zip(signals, given, strict=True) if signal.share > 0}
