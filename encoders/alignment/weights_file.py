"""Weights per dimension of a space that has no heads of its own: a JSON file, named in the settings."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured
from config.vocabulary import ModelRef

FORMAT: Final = 1
DIGITS: Final = 5

Weights = NDArray[np.float64]


def save_weights(path: Path, model: ModelRef, weights: Weights, facts: Mapping[str, Any]) -> None:
    """Write weights (dims,) with the space that they belong to and what was measured."""
    raw = {"format": FORMAT, "model": str(model), "weights": plain_weights(weights), "facts": dict(facts)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")


def load_weights(path: Path, model: ModelRef, dims: int) -> Weights:
    """Read weights (dims,) of a space.

    Raises:
        Misconfigured: There is no such file, it is damaged, or it belongs to another space.
    """
    again = "learn them again with `crosscurrent train weights`"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        owner, weights = str(raw["model"]), read_weights(raw["weights"], dims)
    except OSError as exc:
        raise Misconfigured(f"model.dimension_weights: {path} cannot be read ({exc.strerror}); {again}") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise Misconfigured(f"model.dimension_weights: {path} is damaged ({exc}); {again}") from exc
    if owner != str(model):
        raise Misconfigured(f"model.dimension_weights: {path} belongs to {owner}, these encoders are {model}; {again}")
    return weights


def plain_weights(weights: Weights) -> list[float]:
    """Return weights as JSON has them."""
    return [round(float(value), DIGITS) for value in weights]


def read_weights(raw: Any, dims: int) -> Weights:
    """Read what ``plain_weights`` made.

    Raises:
        ValueError: They are not ``dims`` numbers, or one is negative, or all are zero.
    """
    weights = np.array(raw, np.float64)
    if weights.shape != (dims,) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError(f"weights must be {dims} numbers, none negative and not all zero")
    return weights
