"""What a click teaches of the modalities' weights: exponentiated gradient, bounded.

The clicked item was preferred to those that stood above it and were passed over, and to the next one below (Joachims et
al. 2005: "click > skip above", "click > no-click next"), which needs no correction for the place. A modality that told
the clicked one better from those than the other modalities did gains weight:

    a(m) = calibrated(clicked, m) - mean of calibrated(passed over, m)
    ln w(m) = (1 - FADE) · ln w(m) + rate · (a(m) - mean of a over the modalities),   clipped to w within [1/2, 2]

(Kivinen, Warmuth 1997). The mean is taken off because only the weights' proportions count, and earlier lessons fade so
that clicks by chance do not walk anywhere. ``join.lua`` does the same.
"""

import math
from collections.abc import Mapping
from typing import Final

from config.vocabulary import Modality
from fusion.people.served import Served, ServedHit

BOUND: Final = math.log(2.0)
"""Of the logarithm of a factor: a modality counts twice as much at most, and half as much at least."""

FADE: Final = 0.1
"""What a click takes from the lessons before it: about the last ten clicks speak."""

SHARED_RATE: Final = 0.1
"""What everybody's weights take of a user's step, and lose at it: one voice among many."""


def passed_over(served: Served, clicked: ServedHit) -> list[ServedHit]:
    """What the clicked item was preferred to: unclicked hits above it, and the next one below."""
    above = [hit for hit in served.hits if hit.rank < clicked.rank and not hit.clicked]
    below = [hit for hit in served.hits if hit.rank == clicked.rank + 1 and not hit.clicked]
    return above + below


def lesson(served: Served, clicked: ServedHit) -> dict[Modality, float]:
    """How much better than the others each modality told the clicked item apart; empty where nothing can be said."""
    against = passed_over(served, clicked)
    advantages: dict[Modality, float] = {}
    for modality, score in clicked.scores.items():
        others = [hit.scores[modality].calibrated for hit in against if modality in hit.scores]
        if others:
            advantages[modality] = score.calibrated - sum(others) / len(others)
    if len(advantages) < 2:
        return {}
    mean = sum(advantages.values()) / len(advantages)
    return {modality: advantage - mean for modality, advantage in advantages.items()}


def moved(
    logs: Mapping[Modality, float], taught: Mapping[Modality, float], rate: float, fade: float
) -> dict[Modality, float]:
    """Logarithms of the weights after a step."""
    stepped = {modality: (1.0 - fade) * logs.get(modality, 0.0) + rate * step for modality, step in taught.items()}
    return {**logs, **{modality: min(max(each, -BOUND), BOUND) for modality, each in stepped.items()}}


def factors(*layers: Mapping[Modality, float]) -> dict[Modality, float]:
    """Factors of several layers of logarithms together, within the bounds."""
    named = sorted({modality for layer in layers for modality in layer})
    sums = {modality: sum(layer.get(modality, 0.0) for layer in layers) for modality in named}
    return {modality: math.exp(min(max(each, -BOUND), BOUND)) for modality, each in sums.items()}
