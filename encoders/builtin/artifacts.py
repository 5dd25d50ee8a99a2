"""The shipped weights: a manifest with hashes, and loaders that check them.

On disk everything is float16 safetensors; on the CPU it becomes float32, on a GPU it stays where the caller puts it.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from config.errors import Misconfigured
from config.vocabulary import Background, Modality, ModelRef
from encoders.alignment.weights_json import plain_calibration, plain_weights, read_calibration, read_weights
from encoders.base import DimensionWeights
from encoders.builtin.image import DRAWING_DIMS, PHOTO_DIMS, ImageTower
from encoders.builtin.meanings import to_whole
from encoders.builtin.text import BACKBONE_PACKAGE, BACKBONE_SHA256, BACKBONE_VERSION, TextHead

WEIGHTS = Path(__file__).parent / "weights"
MANIFEST = "manifest.json"
MODEL = ModelRef("builtin", "2")
BUILTIN_DIMS = DRAWING_DIMS + PHOTO_DIMS
IMAGE_FILE = "image.safetensors"
TEXT_FILE = "text.safetensors"
M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a weights folder holds.

    Attributes:
        model: Identity of the aligned space.
        dims: Length of every vector.
        files: SHA-256 by file name.
        calibration: Background similarity by (query modality, item modality).
        dimension_weights: What each dimension counts in a weighted cosine; None where nothing was learnt.
        text_backbone: The package that the text head was trained on: ``package``, ``version``, ``sha256`` by file.
        facts: How it was trained and what was measured, as the model card tells it.
    """

    model: ModelRef
    dims: int
    files: Mapping[str, str]
    calibration: Mapping[tuple[Modality, Modality], Background] = field(default_factory=dict)
    dimension_weights: DimensionWeights | None = None
    text_backbone: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def load_manifest(folder: Path | None = None) -> Manifest:
    """Read and check a weights folder's manifest; ``None`` is the folder that ships with the package.

    Raises:
        Misconfigured: It is missing, is not readable, or is of another shape than this code's.
    """
    path = (folder or WEIGHTS) / MANIFEST
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        manifest = _parse(raw)
    except FileNotFoundError as exc:
        raise Misconfigured(f"no built-in model at {path}: run 'crosscurrent train builtin' or reinstall") from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise Misconfigured(f"{path} is not a manifest of the built-in model: {exc!r}") from exc
    if manifest.dims != BUILTIN_DIMS:
        raise Misconfigured(f"{path} has vectors of {manifest.dims}, this version expects {BUILTIN_DIMS}: retrain")
    return manifest


def load_image_tower(folder: Path | None = None, device: str = "cpu") -> ImageTower:
    """Return the image tower, ready for inference.

    Raises:
        Misconfigured: A file is missing, damaged or not the one the manifest names.
    """
    return load_module(ImageTower(), IMAGE_FILE, folder, device)


def load_text_head(folder: Path | None = None, device: str = "cpu") -> TextHead:
    """Return the text head, ready for inference.

    Raises:
        Misconfigured: A file is missing, damaged or not the one the manifest names.
    """
    return load_module(TextHead(), TEXT_FILE, folder, device)


def load_module(module: M, name: str, folder: Path | None = None, device: str = "cpu") -> M:
    """Fill ``module`` from a hash-checked safetensors file: float32, evaluation mode, no gradients.

    Raises:
        Misconfigured: The file is missing, damaged or not the one the manifest names.
    """
    path = (folder or WEIGHTS) / name
    data = _checked_bytes(path, load_manifest(folder).files.get(name))
    try:
        module.load_state_dict({key: value.float() for key, value in load(data).items()})
    except (SafetensorError, RuntimeError) as exc:
        raise Misconfigured(f"{path} does not fit this version of the model: {exc}") from exc
    return module.to(device).eval().requires_grad_(False)


def save_module(module: nn.Module, name: str, folder: Path, *, whole: Collection[str] = ()) -> str:
    """Write a module's weights as float16 safetensors and return the file's SHA-256.

    Args:
        module: What to write.
        name: The file's name.
        folder: Made if missing.
        whole: Tables of which only the rows' directions count: written in one byte a number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {
        key: (
            to_whole(value.detach().float()).to("cpu", torch.int8) if key in whole else value.detach().half().cpu()
        ).contiguous()
        for key, value in module.state_dict().items()
    }
    data = save(tensors)
    (folder / name).write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def save_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest, sorted and readable, so that a change shows as a small difference."""
    raw = {
        "model": str(manifest.model),
        "dims": manifest.dims,
        "files": dict(manifest.files),
        "calibration": plain_calibration(manifest.calibration),
        "dimension_weights": plain_weights(manifest.dimension_weights),
        "text_backbone": dict(manifest.text_backbone),
        "facts": dict(manifest.facts),
    }
    text = json.dumps(raw, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def expected_text_backbone() -> dict[str, Any]:
    """Return what a manifest says of the text backbone that this code runs with."""
    return {"package": BACKBONE_PACKAGE, "version": BACKBONE_VERSION, "sha256": dict(BACKBONE_SHA256)}


def _parse(raw: Mapping[str, Any]) -> Manifest:
    weights = raw.get("dimension_weights")
    return Manifest(
        model=ModelRef.parse(raw["model"]),
        dims=int(raw["dims"]),
        files={str(name): str(digest) for name, digest in raw["files"].items()},
        calibration=read_calibration(raw["calibration"]),
        dimension_weights=None if weights is None else read_weights(weights, int(raw["dims"])),
        text_backbone=raw["text_backbone"],
        facts=raw.get("facts", {}),
    )


def _checked_bytes(path: Path, expected: str | None) -> bytes:
    if expected is None:
        raise Misconfigured(f"{path.parent / MANIFEST} names no {path.name}: this model lacks that part")
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise Misconfigured(f"cannot read the weights {path}: {exc.strerror}; reinstall the package") from exc
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise Misconfigured(f"{path} has sha256 {found}, its manifest says {expected}: reinstall the package")
    return data
