"""The trained weights of attention fusion: what they are, where they come from, and how they lie on disk.

A folder holds ``fusion.safetensors`` (float32, with its facts in the header) and ``FUSION_CARD.md``. Features are
calibrated, so one set serves every model that has a calibration. What the network learned of particular modalities is
true of the model it was trained on alone: for any other model it is asked without their names.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from config.errors import Misconfigured
from config.settings import QuerySettings
from config.vocabulary import Modality, ModelRef

WEIGHTS_FILE: Final = "fusion.safetensors"
SHIPPED: Final = Path(__file__).with_name("weights")
FORMAT: Final = 1
HEADER: Final = "crosscurrent"
NAMED: Final = ("part", "item", "has", "towards", "away")
"""Arrays with a row a modality: what is known of modalities by name."""
PLAIN: Final = 5
"""Features without names: same modality, steers away, share of the modalities it has, 1 / parts, always 1."""

Arrays = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FusionWeights:
    """A trained network, ready for ``fusion.attention``.

    Args:
        name: What people call it; echoed in explanations with the first digits of its hash.
        model: The model whose similarities it was trained on.
        arrays: float64 by name: ``NAMED`` of shape (6, hidden), ``plain`` (5, hidden), ``curve`` (hidden, knots),
            ``curve_ground`` (knots,), ``offset`` and ``ground`` (hidden,), ``mix`` (), ``knots`` and ``widths``
            (knots,), ``centre`` and ``spread`` ().
        facts: Options, data and metrics, as the card tells them.
    """

    name: str
    model: ModelRef
    arrays: Arrays
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def knots(self) -> Any:
        """Where the curves' rises have their middle, in standard deviations."""
        return self.arrays["knots"]

    @property
    def widths(self) -> Any:
        """How wide each rise is."""
        return self.arrays["widths"]

    @property
    def centre(self) -> float:
        """The evidence at which a score is 0.5."""
        return float(self.arrays["centre"])

    @property
    def spread(self) -> float:
        """How slowly scores leave 0.5 from there."""
        return float(self.arrays["spread"])

    def for_model(self, model: ModelRef) -> "FusionWeights":
        """Return these weights for a model: without what is known by name, if it is not the one trained on."""
        return self if model == self.model else self.unnamed()

    def unnamed(self) -> "FusionWeights":
        """Return these weights without what they know of particular modalities."""
        blank = {name: np.zeros_like(self.arrays[name]) for name in NAMED}
        return replace(self, name=f"{self.name} without names", arrays={**self.arrays, **blank})


def write_weights(weights: FusionWeights, folder: Path) -> FusionWeights:
    """Write the weights file, and return the weights as they will be read; the folder is made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"format": FORMAT, "name": weights.name, "model": str(weights.model), "facts": dict(weights.facts)}
    # One entry: the library writes several in any order, and the same weights would not be the same bytes.
    header = {HEADER: json.dumps(told, sort_keys=True)}
    arrays = {name: np.asarray(array, np.float32) for name, array in weights.arrays.items()}
    partial = folder / f"{WEIGHTS_FILE}.partial"
    partial.write_bytes(save(arrays, metadata=header))
    partial.replace(folder / WEIGHTS_FILE)
    return read_weights(folder)


def read_weights(folder: Path) -> FusionWeights:
    """Read a folder's weights.

    Raises:
        Misconfigured: There are none, or they are damaged or of another form.
    """
    path = folder / WEIGHTS_FILE
    try:
        data = path.read_bytes()
        arrays = {name: array.astype(np.float64) for name, array in load(data).items()}
        told = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"][HEADER])
        digest = hashlib.sha256(data).hexdigest()[:8]
        weights = FusionWeights(
            name=f"{told['name']}@{digest}",
            model=ModelRef.parse(told["model"]),
            arrays=arrays,
            facts=told["facts"],
        )
        _check(weights, told["format"])
    except FileNotFoundError as exc:
        way_out = f"run 'crosscurrent train fusion --out {folder}', or leave query.fusion_weights out"
        raise Misconfigured(f"no trained fusion weights at {path}: {way_out}") from exc
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as exc:
        raise Misconfigured(f"{path} is damaged or of another version ({exc!r}): train the weights again") from exc
    return weights


def locate_weights(name_or_folder: str, weights_dir: Path) -> Path:
    """Return the folder that a setting names: itself, or one of that name under ``weights_dir``.

    Raises:
        Misconfigured: Neither is there.
    """
    for folder in (Path(name_or_folder), weights_dir / name_or_folder):
        if (folder / WEIGHTS_FILE).is_file():
            return folder
    raise Misconfigured(
        f"query.fusion_weights: {name_or_folder!r} is neither a folder of trained fusion weights nor one under "
        f"{weights_dir}; train some with 'crosscurrent train fusion', or set query.fusion_weights_dir"
    )


@cache
def shipped_weights() -> FusionWeights:
    """The weights that ship with the package.

    Raises:
        Misconfigured: The package is damaged.
    """
    return read_weights(SHIPPED)


def fusion_weights_of(settings: QuerySettings, model: ModelRef) -> FusionWeights:
    """The weights that the settings name, or those that ship, for a model.

    Raises:
        Misconfigured: The settings name none that are there, or they are damaged.
    """
    if settings.fusion_weights is None:
        return shipped_weights().for_model(model)
    return read_weights(locate_weights(settings.fusion_weights, settings.fusion_weights_dir)).for_model(model)


def _check(weights: FusionWeights, form: int) -> None:
    hidden, knots = np.shape(weights.arrays["curve"])
    expected = {
        **dict.fromkeys(NAMED, (len(Modality), hidden)),
        "plain": (PLAIN, hidden),
        "curve": (hidden, knots),
        **dict.fromkeys(("curve_ground", "knots", "widths"), (knots,)),
        **dict.fromkeys(("offset", "ground"), (hidden,)),
        **dict.fromkeys(("mix", "centre", "spread"), ()),
    }
    found = {name: np.shape(array) for name, array in weights.arrays.items()}
    finite = all(np.isfinite(array).all() for array in weights.arrays.values())
    if form != FORMAT or found != expected or not finite or weights.spread <= 0 or not (weights.widths > 0).all():
        msg = f"format {form}, shapes {found}"
        raise ValueError(msg)
