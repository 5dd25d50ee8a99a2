"""What the drawing stage trains, and the vectors it gives."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from encoders.builtin.efficientnet import FEATURES, Tail
from encoders.builtin.image import DRAWING_DIMS
from encoders.builtin.text import HalfHead

BATCH = 256
FEATURE_DROPOUT = 0.1
FIRST_SCALE = 20.0
LARGEST_SCALE = 60.0


class DrawingModel(nn.Module):
    """What the stage trains: the tail, the projection, the text head's drawing half and the temperature."""

    centre: Tensor
    spread: Tensor

    def __init__(self, tail: Tail) -> None:
        super().__init__()
        self.tail = tail
        self.projection = nn.Linear(FEATURES, DRAWING_DIMS)
        self.text = HalfHead(DRAWING_DIMS)
        self.log_scale = nn.Parameter(torch.tensor(FIRST_SCALE).log())
        self.register_buffer("centre", torch.zeros(FEATURES))
        self.register_buffer("spread", torch.ones(FEATURES))

    def standardise(self, features: NDArray[np.float32]) -> None:
        """Centre and scale features from now on as these are: without it the projection learns ten times slower."""
        self.centre.copy_(torch.from_numpy(features.mean(axis=0)))
        self.spread.copy_(torch.from_numpy(features.std(axis=0)).clamp(min=0.02))

    def images(self, maps: Tensor) -> Tensor:
        """Return unit vectors of shape (n, DRAWING_DIMS) for the trunk's maps."""
        return self.project(self.tail(maps.contiguous(memory_format=torch.channels_last)))

    def project(self, features: Tensor) -> Tensor:
        """Return unit vectors for the tail's features."""
        standard = (features - self.centre) / self.spread
        kept = functional.dropout(standard, FEATURE_DROPOUT, self.training)
        return functional.normalize(self.projection(kept), dim=1)

    def scale(self) -> Tensor:
        """Return the inverse temperature, bounded."""
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)


@torch.inference_mode()
def embed_maps(model: DrawingModel, maps: NDArray[np.float16]) -> Tensor:
    """Return unit vectors of shape (n, DRAWING_DIMS) for a memory-mapped file of maps."""
    parts = [model.images(_batch(maps, start)) for start in range(0, len(maps), BATCH)]
    return torch.cat(parts)


@torch.inference_mode()
def pooled_features(tail: Tail, maps: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return a tail's features, float32 of shape (n, 1280), for maps of shape (n, 112, 8, 8)."""
    parts = [tail(_batch(maps, start)) for start in range(0, len(maps), BATCH)]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)


def _batch(maps: NDArray[np.float16], start: int) -> Tensor:
    rows = torch.from_numpy(maps[start : start + BATCH].astype(np.float32))
    return rows.contiguous(memory_format=torch.channels_last)
