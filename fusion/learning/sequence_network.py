"""The sequence network in torch, for training alone; ``fusion.learning.sequence`` runs it in numpy."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusion.learning.sequence import SequenceShape


class TrainedNetwork(nn.Module):
    """Items' vectors in, for each place the direction in which the next item lies out.

    Args:
        shape: Its sizes.
        dropout: Share of the numbers left out while training.
    """

    def __init__(self, shape: SequenceShape, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        self.enter = nn.Linear(shape.dims, shape.width, bias=False)
        self.places = nn.Parameter(0.02 * torch.randn(shape.length, shape.width))
        self.kinds = nn.Parameter(0.02 * torch.randn(2, shape.width))  # not liked, liked
        self.blocks = nn.ModuleList(_Block(shape, dropout) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.leave = nn.Linear(shape.width, shape.dims, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, items: Tensor, liked: Tensor) -> Tensor:
        """Read sequences of shape (batch, length, dims), padded behind, and which were liked (batch, length).

        Returns:
            Directions of the same shape as ``items``.
        """
        state = self.dropout(self.enter(items) + self.places[: items.shape[1]] + self.kinds[liked])
        for block in self.blocks:
            state = block(state)
        directions: Tensor = self.leave(self.norm(state))
        return directions


class _Block(nn.Module):
    def __init__(self, shape: SequenceShape, dropout: float) -> None:
        super().__init__()
        self.heads = shape.heads
        self.norm1, self.norm2 = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.mix = nn.Linear(shape.width, 3 * shape.width)
        self.join = nn.Linear(shape.width, shape.width)
        self.widen = nn.Linear(shape.width, 2 * shape.width)
        self.narrow = nn.Linear(2 * shape.width, shape.width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, state: Tensor) -> Tensor:
        state = state + self.dropout(self._attend(self.norm1(state)))
        wider: Tensor = self.dropout(self.narrow(functional.relu(self.widen(self.norm2(state)))))
        return state + wider

    def _attend(self, state: Tensor) -> Tensor:
        batch, length, width = state.shape
        mixed = self.mix(state).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        scores = mixed[0] @ mixed[1].transpose(-1, -2) / math.sqrt(width // self.heads)
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        seen = scores.masked_fill(later, -torch.inf).softmax(-1) @ mixed[2]
        joined: Tensor = self.join(seen.transpose(1, 2).reshape(batch, length, width))
        return joined
