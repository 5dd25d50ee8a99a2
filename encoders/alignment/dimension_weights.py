"""What each dimension counts: the weights of the weighted cosine, learnt from pairs.

A diagonal metric, as in Xing et al., "Distance Metric Learning with Application to Clustering with Side-Information",
2002, and Schultz and Joachims, "Learning a Distance Metric from Relative Comparisons", 2003; what it minimises is the
contrast that heads are trained by. Weights are exponentials, so none is negative, and their logarithms are pulled to 0:
a dimension of which the pairs say nothing counts as in the plain cosine.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from config.vocabulary import Modality
from encoders.alignment.closed_form import FEWEST_PAIRS
from encoders.alignment.evaluate import backgrounds
from encoders.alignment.losses import softmax_loss
from encoders.alignment.network import twins
from encoders.base import DimensionWeights
from encoders.vectors import weighted_rows

STEPS: Final = 150
BATCH: Final = 256
RATE: Final = 0.02
SCALE: Final = 20.0
PULL: Final = 1.0
"""Of the squared logarithms. On held-out emoji 0.1 lost up to a point of recall and 10 changed nothing."""

Weights = NDArray[np.float64]
Vectors = NDArray[np.float32]


def learn_weights(aligned: Mapping[Modality, Vectors], *, steps: int = STEPS, seed: int = 0) -> Weights | None:
    """Return weights (dims,) with mean 1; None where fewer than eight items have two modalities.

    Args:
        aligned: Unit vectors (n, dims) by modality, NaN where an item lacks it; a row is an item.
        steps: Of gradient descent.
        seed: Draws the batches.
    """
    shared = np.flatnonzero(np.sum([~np.isnan(rows[:, 0]) for rows in aligned.values()], axis=0) >= 2)
    if len(shared) < FEWEST_PAIRS:
        return None
    contrast = _Contrast(aligned)
    logarithms = torch.zeros(next(iter(aligned.values())).shape[1], requires_grad=True)
    optimiser = torch.optim.Adam([logarithms], lr=RATE)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        rows = torch.from_numpy(rng.choice(shared, min(BATCH, len(shared)), replace=False))
        loss = contrast.loss(rows, logarithms) + PULL * logarithms.square().mean()
        optimiser.zero_grad()
        torch.autograd.backward([loss])
        optimiser.step()
    return _mean_one(logarithms.detach().double().exp().numpy())


class _Contrast:
    """Pairs of modalities told apart under weights."""

    def __init__(self, aligned: Mapping[Modality, Vectors]) -> None:
        self._vectors = {m: torch.from_numpy(np.nan_to_num(rows)) for m, rows in aligned.items()}
        self._present = {m: torch.from_numpy(~np.isnan(rows[:, 0])) for m, rows in aligned.items()}
        self._twins = {m: torch.from_numpy(twins(rows)) for m, rows in aligned.items()}

    def loss(self, rows: Tensor, logarithms: Tensor) -> Tensor:
        """Mean over the pairs of modalities that two of ``rows`` have; 0 without any."""
        losses = []
        for pair in combinations(self._vectors, 2):
            both = rows[self._present[pair[0]][rows] & self._present[pair[1]][rows]]
            if len(both) >= 2:
                left, right = (functional.normalize(self._vectors[m][both] * (logarithms / 2).exp()) for m in pair)
                same = self._same(pair[0], both) | self._same(pair[1], both)
                losses.append(softmax_loss(left, right, same, torch.tensor(SCALE)))
        return torch.stack(losses).mean() if losses else logarithms.sum() * 0.0

    def _same(self, modality: Modality, rows: Tensor) -> Tensor:
        numbers = self._twins[modality][rows]
        return numbers[:, None] == numbers[None, :]


def weigh(aligned: Mapping[Modality, Vectors], values: Weights) -> DimensionWeights:
    """Return weights with the backgrounds that cosines have under them, on unit vectors (n, dims) by modality."""
    scaled = {modality: weighted_rows(rows, values) for modality, rows in aligned.items()}
    return DimensionWeights(values=values, calibration=backgrounds(scaled))


def average_weights(parts: Sequence[tuple[Weights | None, int]]) -> Weights | None:
    """Return the geometric mean of several sites' weights, each counting by its number of items."""
    known = [(weights, items) for weights, items in parts if weights is not None]
    if not known:
        return None
    total = sum(items for _, items in known)
    logarithms = np.sum([np.log(weights) * (items / total) for weights, items in known], axis=0)
    return _mean_one(np.exp(logarithms))


def _mean_one(weights: Weights) -> Weights:
    return np.asarray(weights / weights.mean(), np.float64)
