"""Heads trained by contrast: the multimodal embedding network, and its affine special case.

Every pair of modalities that an item has pulls its vectors together and pushes them from other items' (a head a
modality and one space for all, as in CLIP, Radford et al. 2021, and ImageBind, Girdhar et al. 2023; every pair counts,
not only those with an anchor, because sound and picture of one thing tell something that no text says). The linear
paths start from canonical correlation, the networks beside them from zero.
"""

import math
from collections.abc import Mapping
from copy import deepcopy
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from config.errors import Misconfigured
from config.vocabulary import Modality
from encoders.alignment.closed_form import FEWEST_PAIRS, solve
from encoders.alignment.codes import rotation_for_codes
from encoders.alignment.evaluate import align
from encoders.alignment.features import PairedFeatures
from encoders.alignment.heads import Head, LinearHead, NetworkHead
from encoders.alignment.losses import quantisation_loss, sigmoid_loss, softmax_loss
from encoders.alignment.options import FitOptions

FIRST_SCALE = 20.0
LARGEST_SCALE = 100.0
FIRST_BIAS = -10.0
QUANTISATION_WEIGHT = 0.5
AVERAGE_DECAY = 0.98
CLIP_NORM = 5.0


class ContrastiveModel(nn.Module):
    """A head for each modality, and the temperature."""

    def __init__(self, options: FitOptions, features: PairedFeatures) -> None:
        super().__init__()
        dims = options.dims_of(features)
        self.heads = nn.ModuleDict({m.value: _head(options, features.dims(m), dims) for m in features.modalities})
        self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))
        self.bias = nn.Parameter(torch.tensor(FIRST_BIAS))

    def scale(self) -> Tensor:
        """Return the inverse temperature, bounded."""
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)

    def embed(self, modality: Modality, rows: Tensor) -> Tensor:
        """Return unit vectors (n, dims)."""
        return functional.normalize(self.heads[modality.value](rows), dim=1)


class ContrastiveFitter:
    """Trains heads by contrast, step by step; see ``methods.Fitter``."""

    def __init__(self, options: FitOptions, train: PairedFeatures) -> None:
        """Start from canonical correlation where enough items have everything.

        Raises:
            Misconfigured: Fewer than eight items have two modalities.
        """
        options.anchor_of(train)
        self.options = options
        self.total_steps = options.steps
        self.steps_done = 0
        self._modalities = train.modalities
        self._vectors = {m: torch.from_numpy(np.nan_to_num(train.vectors[m])) for m in train.modalities}
        self._present = {m: torch.from_numpy(train.present(m)) for m in train.modalities}
        self._twins = {m: torch.from_numpy(twins(train.vectors[m])) for m in train.modalities}
        self._views = {m: torch.from_numpy(np.nan_to_num(train.views[m])) for m in train.views}
        shared = np.sum([train.present(m) for m in train.modalities], axis=0) >= 2
        viewed = np.logical_or.reduce([train.present(m) for m in train.views]) if train.views else np.zeros_like(shared)
        self._rows: NDArray[np.int64] = np.flatnonzero(shared | viewed)
        if len(self._rows) < FEWEST_PAIRS:
            raise Misconfigured(f"only {len(self._rows)} items have two modalities: give at least {FEWEST_PAIRS}")
        torch.manual_seed(options.seed)
        self._model = ContrastiveModel(options, train)
        _start_from_closed_form(self._model, options, train)
        self._averaged = deepcopy(self._model).requires_grad_(False)
        self._optimiser = torch.optim.AdamW(
            self._model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )

    def step(self) -> dict[str, float]:
        """Take one step and return the loss and the inverse temperature."""
        rng = np.random.default_rng([self.options.seed, self.steps_done])
        torch.manual_seed(self.options.seed * 1_000_003 + self.steps_done)
        size = min(self.options.batch_size, len(self._rows))
        loss = self._loss(torch.from_numpy(rng.choice(self._rows, size, replace=False)))
        for group in self._optimiser.param_groups:
            group["lr"] = self.options.learning_rate * rate_factor(self.steps_done, self.options)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._model.parameters(), CLIP_NORM)
        self._optimiser.step()
        self.steps_done += 1
        average(self._averaged, self._model, min(AVERAGE_DECAY, self.steps_done / (10 + self.steps_done)))
        return {"loss": float(loss.detach()), "inverse_temperature": float(self._model.scale().detach())}

    def heads(self) -> dict[Modality, Head]:
        """Return copies of the averaged heads."""
        return {m: deepcopy(self._averaged.heads[m.value]).eval() for m in self._modalities}  # type: ignore[misc]

    def state(self) -> dict[str, Any]:
        """Return what ``restore`` needs to go on exactly."""
        return {
            "steps_done": self.steps_done,
            "model": self._model.state_dict(),
            "averaged": self._averaged.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.steps_done = int(state["steps_done"])
        self._model.load_state_dict(state["model"])
        self._averaged.load_state_dict(state["averaged"])
        self._optimiser.load_state_dict(state["optimiser"])

    def weights(self) -> dict[str, Tensor]:
        """Return copies of what is learnt, for federated averaging."""
        return {name: value.detach().clone() for name, value in self._model.state_dict().items()}

    def set_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Go on from weights that were averaged elsewhere; the running average starts from them too."""
        self._model.load_state_dict(weights)
        self._averaged.load_state_dict(weights)

    def _loss(self, rows: Tensor) -> Tensor:
        losses = []
        for left, right in combinations(self._modalities, 2):
            both = rows[self._present[left][rows] & self._present[right][rows]]
            if len(both) >= 2:
                same = self._same(left, both) | self._same(right, both)
                losses.append(self._pair_loss(self._embed(left, both), self._embed(right, both), same))
        for modality in self._views:
            own = rows[self._present[modality][rows]]
            if len(own) >= 2:
                seen = self._model.embed(modality, self._views[modality][own])
                losses.append(self._pair_loss(self._embed(modality, own), seen, self._same(modality, own)))
        # A batch in which no two items share two modalities teaches nothing, and is no error.
        return torch.stack(losses).mean() if losses else self._model.log_scale * 0.0

    def _pair_loss(self, x: Tensor, y: Tensor, same: Tensor) -> Tensor:
        scale, hardness = self._model.scale(), self.options.hardness
        if self.options.loss == "sigmoid":
            loss = sigmoid_loss(x, y, same, scale, bias=self._model.bias, hardness=hardness)
        else:
            loss = softmax_loss(x, y, same, scale, hardness=hardness)
        if self.options.binary:
            loss = loss + QUANTISATION_WEIGHT * (quantisation_loss(x) + quantisation_loss(y))
        return loss

    def _embed(self, modality: Modality, rows: Tensor) -> Tensor:
        vectors = self._vectors[modality][rows]
        noise = torch.randn_like(vectors) * (self.options.noise / vectors.shape[1] ** 0.5)
        return self._model.embed(modality, vectors + noise)

    def _same(self, modality: Modality, rows: Tensor) -> Tensor:
        twins = self._twins[modality][rows]
        return twins[:, None] == twins[None, :]


def rate_factor(step: int, options: FitOptions) -> float:
    """Return the learning rate at a step, in parts of the highest: a rise, then half a cosine down to a fiftieth."""
    if step < options.warm_up_steps:
        return (step + 1) / options.warm_up_steps
    share = (step - options.warm_up_steps) / max(1, options.steps - options.warm_up_steps)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


@torch.no_grad()
def average(averaged: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the running average of the weights towards the model's."""
    for mean, value in zip(averaged.parameters(), model.parameters(), strict=True):
        mean.lerp_(value, 1.0 - decay)


def _head(options: FitOptions, source: int, dims: int) -> Head:
    return LinearHead(source, dims) if options.head == "linear" else NetworkHead(source, dims, options.hidden)


@torch.no_grad()
def _start_from_closed_form(model: ContrastiveModel, options: FitOptions, train: PairedFeatures) -> None:
    for head in model.heads.values():
        if isinstance(head, NetworkHead):
            head.correct.weight.zero_()
            head.correct.bias.zero_()
    dims = options.dims_of(train)
    complete = int(train.together(train.modalities).sum()) if len(train.modalities) > 1 else 0
    if complete < FEWEST_PAIRS or dims > min(train.dims(m) for m in train.modalities):
        return
    start = solve(train, options.anchor_of(train), dims, "cca")
    if options.binary:
        _rotate(start, train, options.seed)
    for modality, closed in start.items():
        head = model.heads[modality.value]
        head.linear.load_state_dict(closed.linear.state_dict())  # type: ignore[union-attr]


def _rotate(heads: Mapping[Modality, Head], train: PairedFeatures, seed: int) -> None:
    """Turn a common space so that signs tell most of it."""
    aligned = [rows[train.present(modality)] for modality, rows in align(heads, train).items()]
    rotation = torch.from_numpy(rotation_for_codes(np.concatenate(aligned).astype(np.float64), seed)).float()
    for head in heads.values():
        head.linear.weight.copy_(rotation.T @ head.linear.weight)
        head.linear.bias.copy_(rotation.T @ head.linear.bias)


def twins(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number equal rows alike: two items with one text are no negatives of each other."""
    absent = np.isnan(vectors[:, 0])
    _, numbers = np.unique(np.nan_to_num(vectors), axis=0, return_inverse=True)
    numbers = numbers.reshape(-1).astype(np.int64)
    numbers[absent] = -1 - np.flatnonzero(absent)
    return np.asarray(numbers)
