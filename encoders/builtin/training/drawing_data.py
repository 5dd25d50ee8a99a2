"""What the drawing stage learns from and is measured on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoders.builtin.image import DRAWING_DIMS
from encoders.builtin.training.activations import VendorMaps
from encoders.builtin.training.drawing_model import BATCH

QUEUE_BATCHES = 4


@dataclass(slots=True)
class Drawings:
    """Training pictures by concept, in whatever form the stage consumes them (maps or features)."""

    rows: NDArray[Any]
    concepts: NDArray[np.int64]
    order: NDArray[np.int64] = field(init=False)
    present: NDArray[np.int64] = field(init=False)
    first: NDArray[np.int64] = field(init=False)
    counts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.order = np.argsort(self.concepts, kind="stable")
        self.present, self.first, self.counts = np.unique(
            self.concepts[self.order], return_index=True, return_counts=True
        )

    def sample(self, size: int, rng: np.random.Generator) -> tuple[Tensor, NDArray[np.int64]]:
        """Return float32 rows and their concepts, all different: concepts count equally, however often drawn."""
        chosen = rng.choice(len(self.present), size=size, replace=False)
        picks = self.order[self.first[chosen] + rng.integers(0, self.counts[chosen])]
        return torch.from_numpy(self.rows[picks].astype(np.float32)), self.present[chosen]


@dataclass(slots=True)
class Queue:
    """The last batches' vectors: more negatives at no cost."""

    vectors: Tensor = field(default_factory=lambda: torch.zeros(0, DRAWING_DIMS))
    concepts: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))

    def push(self, vectors: Tensor, concepts: Tensor) -> None:
        """Add a batch and forget the oldest."""
        keep = QUEUE_BATCHES * BATCH
        self.vectors = torch.cat([vectors.detach(), self.vectors])[:keep]
        self.concepts = torch.cat([concepts, self.concepts])[:keep]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """What the model is measured on: artists it never sees.

    Attributes:
        vendors: Plain view of each held-out vendor by name.
        names: Sentence features of every concept's name, by language, of shape (concepts, 512).
    """

    vendors: Mapping[str, VendorMaps]
    names: Mapping[str, NDArray[np.float16]]
