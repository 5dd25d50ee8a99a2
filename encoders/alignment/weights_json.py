"""Weights per dimension as JSON: part of what heads and the built-in model say of themselves, or a file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from config.errors import Misconfigured
from config.vocabulary import Background, Calibration, Modality, ModelRef
from encoders.base import DimensionWeights

FORMAT: Final = 1
DIGITS: Final = 5


def save_weights(path: Path, model: ModelRef, weights: DimensionWeights, facts: Mapping[str, Any]) -> None:
    """Write weights with the space that they belong to and what was measured."""
    raw = {"format": FORMAT, "model": str(model), "weights": plain_weights(weights), "facts": dict(facts)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")


def load_weights(path: Path, model: ModelRef, dims: int) -> DimensionWeights:
    """Read the weights of a space of ``dims`` dimensions.

    Raises:
        Misconfigured: There is no such file, it is damaged, or it belongs to another space.
    """
    again = "learn them again with `crosscurrent train weights`"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        owner, weights = str(raw["model"]), read_weights(raw["weights"], dims)
    except OSError as exc:
        raise Misconfigured(f"model.dimension_weights: {path} cannot be read ({exc.strerror}); {again}") from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise Misconfigured(f"model.dimension_weights: {path} is damaged ({exc}); {again}") from exc
    if owner != str(model):
        raise Misconfigured(f"model.dimension_weights: {path} belongs to {owner}, these encoders are {model}; {again}")
    return weights


def plain_weights(weights: DimensionWeights | None) -> dict[str, Any] | None:
    """Return weights as JSON has them."""
    if weights is None:
        return None
    return {
        "values": [round(float(value), DIGITS) for value in weights.values],
        "calibration": plain_calibration(weights.calibration),
    }


def read_weights(raw: Any, dims: int) -> DimensionWeights:
    """Read what ``plain_weights`` made of weights.

    Raises:
        ValueError: They are not ``dims`` numbers, or one is negative, or all are zero.
        KeyError, TypeError: Something is missing or of another kind.
    """
    values = np.array(raw["values"], np.float64)
    if values.shape != (dims,) or not np.isfinite(values).all() or (values < 0).any() or not values.any():
        raise ValueError(f"weights must be {dims} numbers, none negative and not all zero")
    return DimensionWeights(values=values, calibration=read_calibration(raw["calibration"]))


def plain_calibration(calibration: Calibration) -> dict[str, dict[str, float]]:
    """Return backgrounds as JSON has them, by ``query>item``."""
    return {
        f"{query}>{item}": {"mean": round(each.mean, DIGITS), "std": round(each.std, DIGITS)}
        for (query, item), each in calibration.items()
    }


def read_calibration(raw: Mapping[str, Any]) -> dict[tuple[Modality, Modality], Background]:
    """Read what ``plain_calibration`` made.

    Raises:
        ValueError, TypeError: A key is no pair of modalities, or a value no background.
    """
    pairs = {key: key.split(">") for key in raw}
    return {(Modality(pairs[key][0]), Modality(pairs[key][1])): Background(**value) for key, value in raw.items()}
