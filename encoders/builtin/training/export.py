"""From what the stages trained to the weights folder that ships."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from encoders.builtin.artifacts import (
    BUILTIN_DIMS,
    IMAGE_FILE,
    MODEL,
    TEXT_FILE,
    Manifest,
    expected_text_backbone,
    load_image_tower,
    load_text_head,
    save_manifest,
    save_module,
)
from encoders.builtin.image import ImageTower
from encoders.builtin.text import HalfHead, TextHead
from encoders.builtin.training.backbone import Backbone
from encoders.builtin.training.drawing_model import DrawingModel

CONTINUED_SCALE = 40.0  # the inverse temperature is not shipped; runs ended between 35 and 45


@torch.no_grad()
def assemble_image_tower(backbone: Backbone, drawing: DrawingModel, photo: nn.Linear) -> ImageTower:
    """Return the shipped image tower; the drawing half's standardisation is folded into its projection."""
    tower = ImageTower()
    tower.trunk.load_state_dict(backbone.trunk.state_dict())
    tower.photo_tail.load_state_dict(backbone.tail.state_dict())
    tower.drawing_tail.load_state_dict(drawing.tail.state_dict())
    weight = drawing.projection.weight / drawing.spread
    tower.drawing_projection.weight.copy_(weight)
    tower.drawing_projection.bias.copy_(drawing.projection.bias - weight @ drawing.centre)
    tower.photo_projection.load_state_dict(photo.state_dict())
    return tower.eval().requires_grad_(False)


@torch.no_grad()
def continue_from(folder: Path, drawing: DrawingModel) -> None:
    """Fill the drawing stage's model from the weights in ``folder``; its standardisation must be set before.

    Raises:
        Misconfigured: The folder holds no weights of this architecture.
    """
    tower, head = load_image_tower(folder), load_text_head(folder)
    drawing.tail.load_state_dict(tower.drawing_tail.state_dict())
    folded = tower.drawing_projection
    drawing.projection.weight.copy_(folded.weight * drawing.spread)
    drawing.projection.bias.copy_(folded.bias + folded.weight @ drawing.centre)
    drawing.text.load_state_dict(head.drawing.state_dict())
    drawing.log_scale.fill_(CONTINUED_SCALE).log_()


@torch.no_grad()
def assemble_text_head(drawing: HalfHead, photo: HalfHead, balance: float) -> TextHead:
    """Return the shipped text head; ``balance`` is the drawing half's share."""
    head = TextHead()
    head.drawing.load_state_dict(drawing.state_dict())
    head.photo.load_state_dict(photo.state_dict())
    head.balance.fill_(balance)
    return head.eval().requires_grad_(False)


def save_towers(tower: ImageTower, head: TextHead, facts: Mapping[str, Any], folder: Path) -> Manifest:
    """Write both towers and a manifest that names them alone: later stages add the speech tower and calibration."""
    manifest = Manifest(
        model=MODEL,
        dims=BUILTIN_DIMS,
        files={
            IMAGE_FILE: save_module(tower, IMAGE_FILE, folder),
            TEXT_FILE: save_module(head, TEXT_FILE, folder),
        },
        text_backbone=expected_text_backbone(),
        facts=dict(facts),
    )
    save_manifest(manifest, folder)
    return manifest
