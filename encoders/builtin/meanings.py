"""From features to the aligned space by way of known meanings: recognise, then answer with what was recognised.

Where a modality has few things to say (a country, a kind of weather), a classifier in front of vectors that the text
head and the image tower made is smaller and better than regression, and the vectors can be made anew when those
change, without training.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

WHOLE: Final = 127.0
"""Values are stored as whole numbers up to this: one byte each. Of a unit vector of 384 that moves the direction by
half a degree."""


class Meanings(nn.Module):
    """A network of two hidden layers whose answer is the mean of the meanings' vectors by their probability.

    Args:
        inputs: Length of the features.
        meanings: Number of meanings.
        dims: Length of the aligned vectors.
        width: Hidden units.
        dropout: Share of hidden units dropped in training.
    """

    values: Tensor

    def __init__(self, *, inputs: int, meanings: int, dims: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.refine = nn.Linear(width, width)
        self.leave = nn.Linear(width, meanings)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("values", torch.zeros(meanings, dims))

    def logits(self, features: Tensor) -> Tensor:
        """Turn features (n, inputs) into logits (n, meanings)."""
        hidden = self.dropout(functional.gelu(self.enter(features)))
        hidden = hidden + self.dropout(functional.gelu(self.refine(hidden)))
        scores: Tensor = self.leave(hidden)
        return scores

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (n, inputs) into vectors (n, dims) of length 1 where one meaning is certain."""
        return self.logits(features).softmax(dim=-1) @ functional.normalize(self.values, dim=-1)


def to_whole(values: Tensor) -> Tensor:
    """Scale a table so that its largest number is 127, and round it: what is left of it in one byte each.

    Where such a table is used, directions of rows are what counts: their common scale is lost.
    """
    return (values * (WHOLE / values.abs().max().clamp_min(1e-12))).round()
