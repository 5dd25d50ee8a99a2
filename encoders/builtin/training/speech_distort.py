"""What is changed in every pass over spoken features, so that the head learns words and not how a program says them.

Synthesisers differ from one another, and from people, in the length of each sound within a word, in their timbre, and
in what they swallow. Each of the three is drawn anew for every utterance and pass; all is in the backbone's feature
space, where it costs next to nothing.
"""

from typing import Final

import torch
from torch import Tensor

from encoders.builtin.speech_head import FEATURES, SLOTS

PIECES: Final = 5  # of an utterance that are stretched each by its own factor
STRETCH: Final = 0.25  # standard deviation of the factors' logarithms
CUT: Final = 0.04  # largest share of an utterance added or cut at either end
TIMBRE: Final = 0.25  # standard deviation of a constant offset, in standard deviations of each feature
HIDDEN: Final = 0.08  # share of slots that are not heard


def warped_places(count: int) -> Tensor:
    """Draw where in each utterance the slots look, instead of at equal distances.

    Piecewise linear, monotone: time warping after Park et al. 2019, "SpecAugment", with several pieces.

    Returns:
        (count, SLOTS) float32 in shares of the utterance's length; slightly below 0 and above 1 at the ends.
    """
    lengths = torch.exp(STRETCH * torch.randn(count, PIECES))
    knots = torch.cat((torch.zeros(count, 1), lengths.cumsum(dim=1)), dim=1)
    knots = knots / knots[:, -1:]
    even = (torch.arange(SLOTS) + 0.5) / SLOTS * PIECES
    piece = even.long().clamp(max=PIECES - 1)
    share = even - piece
    inner = knots[:, piece] * (1.0 - share) + knots[:, piece + 1] * share
    first, last = CUT * (2.0 * torch.rand(2, count, 1) - 1.0)
    places: Tensor = first + inner * (1.0 + last - first)
    return places


def change_timbre(features: Tensor, scale: Tensor) -> Tensor:
    """Add to each utterance (n, steps, 96) an offset of its own, the same at all steps, by each feature's ``scale``."""
    return features + TIMBRE * scale * torch.randn(len(features), 1, FEATURES)


def hide_slots(inputs: Tensor) -> Tensor:
    """Set some of the standardised slots of inputs (n, SLOTS * 96 + 1) to the mean, that is to zero."""
    hidden = torch.rand(len(inputs), SLOTS, 1) < HIDDEN
    slots = inputs[:, :-1].view(len(inputs), SLOTS, FEATURES).masked_fill(hidden, 0.0)
    return torch.cat((slots.flatten(1), inputs[:, -1:]), dim=1)
