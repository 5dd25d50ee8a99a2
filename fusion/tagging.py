"""Vectors to labels that nobody trained: each label is known by the vectors of its phrases alone.

A set's phrases make a linear discriminant (Fisher 1936): classes of one covariance Σ around the means of their phrases.
Σ is the phrases' spread within their labels, drawn to a multiple of the identity as if ``PRIOR_PHRASES`` more had been
seen (a ridge, as in regularised discriminant analysis: Friedman 1989); so the directions in which phrases of one label
differ count little, and a label of one phrase is still a direction. With δ a label's mean less the set's, an item v has

* *evidence* (v - mean) · Σ⁻¹δ - δ · Σ⁻¹δ / 2, the logarithm of how much likelier the label makes it than the set's
  middle does: a softmax over it tells the labels of an exclusive set;
* *way* (v - mean) · Σ⁻¹δ / (δ · Σ⁻¹δ), which is 0 at the set's middle and 1 at the label's own mean, whatever the
  phrases: a logistic function of it says whether a label of several holds.

What an item has of several modalities counts in equal parts. Both are differences to the set's middle, in which what
all vectors of a modality share (the modality gap) cancels out; scaling them by the pairs' backgrounds, as rankings do,
made confidence in pictures worse (docs/tagging.md). The constants were chosen with the built-in model
(benchmarks/tagging.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured
from fusion.similarity import Matrix

PRIOR_PHRASES: Final = 50.0
PRIOR_VARIANCE: Final = 2.0
"""Of the prior, over all dimensions together: a direction of d has 2 / d. Unit vectors themselves have less than 1;
items spread wider around a label than phrases do."""

EXCLUSIVE_TEMPERATURE: Final = 11.0
"""Divides the evidence before the softmax: what people write is no phrase, and Gaussians of many dimensions are too
sure. Chosen on tweets that people judged; of plain sentences more are right than it says."""

HALF_WAY: Final = 0.28
"""The way at which a label of several holds with probability one half."""

WAY_SPREAD: Final = 0.045
"""How fast the probability leaves one half."""

_LEAST_LENGTH: Final = 1e-6  # squared; float32 noise of equal means


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """What one set says of an item.

    Args:
        labels: Those that hold, the surest first.
        confidence: Of the first, in [0, 1].
    """

    labels: tuple[str, ...]
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Discriminant:
    """One label set's directions.

    Args:
        labels: Names of the labels, in the order of the columns.
        multi: Several labels may hold.
        middle: Mean of the means of labels (and ``otherwise``), shape (dims,).
        directions: Σ⁻¹δ, shape (dims, columns); what is ``otherwise`` has the last column and no label.
        lengths: δ · Σ⁻¹δ, shape (columns,).
    """

    labels: tuple[str, ...]
    multi: bool
    middle: Matrix
    directions: Matrix
    lengths: Matrix

    @classmethod
    def of(
        cls,
        phrases: Mapping[str, NDArray[np.float32]],
        *,
        multi: bool,
        otherwise: NDArray[np.float32] | None = None,
    ) -> Self:
        """Make the directions.

        Args:
            phrases: Unit vectors (n, dims) of each label's phrases.
            multi: Several labels may hold.
            otherwise: Unit vectors (n, dims) of what is none of them.

        Raises:
            Misconfigured: A label means what the whole set means, so that nothing can be told of it.
        """
        rows = [*phrases.values(), *([] if otherwise is None else [otherwise])]
        classes = [np.asarray(each, np.float64) for each in rows]
        means = np.stack([each.mean(axis=0) for each in classes])
        middle = means.mean(axis=0)
        differences = (means - middle).T
        directions = np.linalg.solve(_covariance(classes, means), differences)
        for label, column in zip(phrases, differences.T, strict=False):
            if column @ column < _LEAST_LENGTH:
                raise Misconfigured(f"label {label!r} cannot be told from the others of its set: give it other phrases")
        lengths = np.einsum("dc,dc->c", differences, directions)
        return cls(labels=tuple(phrases), multi=multi, middle=middle, directions=directions, lengths=lengths)

    def confidences(self, vectors: NDArray[np.floating]) -> Matrix:
        """How sure each label is, in [0, 1], shape (items, labels).

        Args:
            vectors: The mean of each item's unit vectors over its modalities, shape (items, dims).
        """
        projected = (np.asarray(vectors, np.float64) - self.middle) @ self.directions
        count = len(self.labels)
        if self.multi:
            return _logistic(projected[:, :count] / self.lengths[:count])
        return _softmax(projected - self.lengths / 2.0)[:, :count]

    def tags(self, vectors: NDArray[np.floating], min_confidence: float) -> list[Tag | None]:
        """Read the labels off, at most one of an exclusive set; None for an item where none is sure enough.

        Args:
            vectors: As for ``confidences``, shape (items, dims).
            min_confidence: Labels of less are left out.
        """
        most = len(self.labels) if self.multi else 1
        return [_tag(self.labels, row, most, min_confidence) for row in self.confidences(vectors).round(3)]


def _covariance(classes: list[Matrix], means: Matrix) -> Matrix:
    """Σ of shape (dims, dims): the spread within classes, each phrase counting once, drawn to the prior."""
    dims = means.shape[1]
    residuals = np.concatenate([each - mean for each, mean in zip(classes, means, strict=True)])
    scatter = residuals.T @ residuals + PRIOR_PHRASES * PRIOR_VARIANCE / dims * np.eye(dims)
    return np.asarray(scatter / (len(residuals) - len(classes) + PRIOR_PHRASES), np.float64)


def _logistic(way: Matrix) -> Matrix:
    return np.asarray(1.0 / (1.0 + np.exp(np.clip((HALF_WAY - way) / WAY_SPREAD, -60.0, 60.0))), np.float64)


def _softmax(evidence: Matrix) -> Matrix:
    scaled = evidence / EXCLUSIVE_TEMPERATURE
    shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float64)


def _tag(labels: tuple[str, ...], row: Matrix, most: int, min_confidence: float) -> Tag | None:
    order = np.argsort(-row, kind="stable")[:most]
    held = [int(place) for place in order if row[place] >= min_confidence]
    if not held:
        return None
    return Tag(labels=tuple(labels[place] for place in held), confidence=float(row[held[0]]))
