"""Styles mixed inside the network: an artist that nobody has seen, between two that are known.

MixStyle (Zhou et al., "Domain Generalization with MixStyle", 2021): the mean and the deviation of a map's channels over
its places carry the style, what is left carries the content. Each picture keeps its content and gets statistics
between its own and another picture's. It costs nothing beside a step, and it works on cached maps.
"""

import torch
from torch import Tensor

CHANCE = 0.5
SHAPE = 0.1  # of the Beta distribution: mostly near one of the two styles
EPSILON = 1e-5


def mix_styles(maps: Tensor, keep: Tensor) -> Tensor:
    """Return the maps with some pictures' channel statistics moved towards those of others.

    Args:
        maps: float32 of shape (n, channels, h, w).
        keep: bool of shape (n,): pictures whose colours are their meaning and stay as they are.
    """
    mean = maps.mean(dim=(2, 3), keepdim=True)
    deviation = (maps.var(dim=(2, 3), keepdim=True) + EPSILON).sqrt()
    others = torch.randperm(len(maps))
    own = torch.distributions.Beta(SHAPE, SHAPE).sample(torch.Size([len(maps), 1, 1, 1]))
    own[keep | (torch.rand(len(maps)) > CHANCE)] = 1.0
    mixed_mean = own * mean + (1 - own) * mean[others]
    mixed_deviation = own * deviation + (1 - own) * deviation[others]
    return (maps - mean) / deviation * mixed_deviation + mixed_mean
