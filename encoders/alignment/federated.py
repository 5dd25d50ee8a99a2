"""Federated averaging: sites learn one alignment together and share weights, never vectors or items.

McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", 2017: in each round every
site takes some steps from the common weights on its own data, and the server averages what comes back, weighted by the
sites' items. The common start is an average too: every site regresses its modalities onto the anchor, whose space is
the same everywhere, where canonical directions would be each site's own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from config.errors import Misconfigured
from config.vocabulary import Modality
from encoders.alignment.closed_form import solve
from encoders.alignment.features import PairedFeatures
from encoders.alignment.heads import Head
from encoders.alignment.network import ContrastiveFitter
from encoders.alignment.options import FitOptions

Weights = Mapping[str, Tensor]


class Site:
    """One site: its items stay in here.

    Args:
        name: For messages.
        options: The same at every site.
        features: The site's own items.

    Raises:
        Misconfigured: The site has too few items, or the method cannot be averaged.
    """

    def __init__(self, name: str, options: FitOptions, features: PairedFeatures) -> None:
        if not options.contrast:
            raise Misconfigured("federated averaging needs head network, or linear trained: others have no rounds")
        self.name = name
        self.items = len(features)
        self._features = features
        self._options = options
        try:
            self._fitter = ContrastiveFitter(options, features)
        except Misconfigured as exc:
            raise Misconfigured(*(f"{name}: {problem}" for problem in exc.problems)) from exc

    def start(self) -> dict[str, Tensor]:
        """Return weights whose linear paths are this site's regression onto the anchor."""
        weights = self._fitter.weights()
        anchor = self._options.anchor_of(self._features)
        dims = self._options.dims_of(self._features)
        for modality, head in solve(self._features, anchor, dims, "least_squares").items():
            for part, value in head.linear.state_dict().items():
                weights[f"heads.{modality.value}.linear.{part}"] = value
        return weights

    def learn(self, weights: Weights, steps: int) -> dict[str, Tensor]:
        """Take some steps from common weights on the site's own items and return what came of it."""
        self._fitter.set_weights(weights)
        for _ in range(steps):
            self._fitter.step()
        return self._fitter.weights()

    def heads(self, weights: Weights) -> dict[Modality, Head]:
        """Return the heads that common weights make."""
        self._fitter.set_weights(weights)
        return self._fitter.heads()


def average_weights(parts: Sequence[Weights], items: Sequence[int]) -> dict[str, Tensor]:
    """Return the mean of the sites' weights, each counting by its number of items."""
    total = sum(items)
    mean = {name: torch.zeros_like(value, dtype=torch.float64) for name, value in parts[0].items()}
    for part, count in zip(parts, items, strict=True):
        for name, value in part.items():
            mean[name] += value.double() * (count / total)
    return {name: value.to(parts[0][name].dtype) for name, value in mean.items()}


def federate(
    sites: Sequence[Site], rounds: int, steps: int, tell: Callable[[int], None] = lambda _: None
) -> dict[Modality, Head]:
    """Return heads that all sites learnt together.

    Args:
        sites: At least two.
        rounds: How often weights are averaged.
        steps: Steps that each site takes between two averages.
        tell: Told how many rounds are done.

    Raises:
        Misconfigured: There are fewer than two sites, or they do not have the same modalities.
    """
    if len(sites) < 2:
        raise Misconfigured("federated training needs at least two sites: name another folder")
    items = [site.items for site in sites]
    starts = [site.start() for site in sites]
    if any(start.keys() != starts[0].keys() for start in starts):
        raise Misconfigured("sites differ in their modalities: give every site items with the same ones")
    common = average_weights(starts, items)
    for done in range(1, rounds + 1):
        common = average_weights([site.learn(common, steps) for site in sites], items)
        tell(done)
    return sites[0].heads(common)


def site_options(options: FitOptions, rounds: int, steps: int) -> FitOptions:
    """Return a site's options: its learning rate falls over all rounds, and the space is the anchor's."""
    return replace(options, steps=rounds * steps, dims=None)
