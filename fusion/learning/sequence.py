"""The trained sequence model at work: what comes next, as a direction in the aligned space. Numpy, no torch.

Self-attention over what a user acted on last, in order (SASRec: Kang, McAuley 2018, arXiv 1808.09781); what was not
liked is read as such, and only what is liked is foretold. Items are known by their content vectors alone, through a
linear map (as in UniSRec, whose items are texts: Hou et al. 2022, arXiv 2206.05941), and the answer leaves through
another as a direction whose dot product with an item's vector is the logit of that item coming next. So an item that
nobody has touched is expected like any other, and the index finds the likeliest as it finds the neighbours of anything.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured
from config.vocabulary import ModelRef

WEIGHTS: Final = "sequence.safetensors"
RECORD: Final = "sequence.json"

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceShape:
    """Sizes of the network.

    Args:
        dims: Length of the items' vectors.
        width: Of the network; a multiple of ``heads``.
        layers: Blocks of attention and a two-layer network.
        heads: Of attention.
        length: Items read, the latest.
    """

    dims: int
    width: int = 64
    layers: int = 2
    heads: int = 2
    length: int = 50


class SequenceNetwork:
    """The forward pass of a trained network.

    Args:
        shape: Its sizes.
        weights: Its tensors, float32, by name, as ``fusion.learning.sequence_network`` names them.
        model: The space that its items' vectors live in; None when they came from a file.
    """

    def __init__(self, shape: SequenceShape, weights: Mapping[str, Array], model: ModelRef | None = None) -> None:
        self.shape = shape
        self.model = model
        self._weights = weights

    @property
    def length(self) -> int:
        """How many of the latest items it reads."""
        return self.shape.length

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``crosscurrent train sequence`` wrote.

        Raises:
            Misconfigured: The folder holds no such model, or it is damaged.
        """
        from safetensors.numpy import load_file

        try:
            record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            shape = SequenceShape(**record["shape"])
            model = ModelRef.parse(record["model"]) if record["model"] else None
            weights = load_file(folder / WEIGHTS)
        except (OSError, ValueError, KeyError, TypeError) as exc:
            way_out = "train one with 'crosscurrent train sequence --out FOLDER'"
            raise Misconfigured(f"{folder} holds no sequence model that can be read ({exc}): {way_out}") from exc
        if weights.get("enter.weight", np.zeros(0)).shape != (shape.width, shape.dims):
            raise Misconfigured(f"{folder}/{WEIGHTS} does not fit its record: train it again")
        return cls(shape, weights, model)

    def next_direction(self, items: Sequence[Array], liked: Sequence[bool]) -> Array:
        """The direction of shape (dims,) whose dot product with an item's unit vector is its logit of coming next.

        Args:
            items: Unit vectors of shape (dims,), oldest first; at least one, of which the last ``length`` count.
            liked: Which of them the user liked.
        """
        weights = self._weights
        read, kinds = np.stack(items[-self.length :]), np.array(liked[-self.length :], np.intp)
        state = read @ weights["enter.weight"].T + weights["places"][: len(read)] + weights["kinds"][kinds]
        for layer in range(self.shape.layers):
            state = self._block(state, f"blocks.{layer}.")
        last = _normal(state[-1], weights["norm.weight"], weights["norm.bias"])
        return np.asarray(weights["leave.weight"] @ last, np.float32)

    def _block(self, state: Array, name: str) -> Array:
        weights = self._weights
        attended = self._attend(_normal(state, weights[f"{name}norm1.weight"], weights[f"{name}norm1.bias"]), name)
        state = state + attended
        inner = _normal(state, weights[f"{name}norm2.weight"], weights[f"{name}norm2.bias"])
        hidden = np.maximum(inner @ weights[f"{name}widen.weight"].T + weights[f"{name}widen.bias"], 0.0)
        return np.asarray(state + hidden @ weights[f"{name}narrow.weight"].T + weights[f"{name}narrow.bias"])

    def _attend(self, state: Array, name: str) -> Array:
        """Every item looks at itself and those before it."""
        count, width, heads = len(state), self.shape.width, self.shape.heads
        mixed = state @ self._weights[f"{name}mix.weight"].T + self._weights[f"{name}mix.bias"]
        asked, known, told = mixed.reshape(count, 3, heads, width // heads).transpose(1, 2, 0, 3)
        scores = asked @ known.transpose(0, 2, 1) / math.sqrt(width // heads)
        scores = np.where(np.tri(count, dtype=np.bool_), scores, -np.inf)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        seen = (scores / scores.sum(axis=-1, keepdims=True)) @ told
        joined = seen.transpose(1, 0, 2).reshape(count, width)
        return np.asarray(joined @ self._weights[f"{name}join.weight"].T + self._weights[f"{name}join.bias"])


def _normal(state: Array, scale: Array, shift: Array) -> Array:
    centred = state - state.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5)
    return np.asarray(centred / deviation * scale + shift)


def record_of(shape: SequenceShape, model: ModelRef | None, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is written beside the weights."""
    return {"shape": asdict(shape), "model": str(model) if model else None, **facts}
