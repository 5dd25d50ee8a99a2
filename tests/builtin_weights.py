"""Weights folders of the built-in model for tests: the right shapes, random numbers, written by the real path."""

from pathlib import Path

import torch

from encoders.builtin.artifacts import (
    BUILTIN_DIMS,
    IMAGE_FILE,
    MODEL,
    TEXT_FILE,
    Manifest,
    expected_text_backbone,
    save_manifest,
    save_module,
)
from encoders.builtin.image import ImageTower
from encoders.builtin.speech import WEIGHTS_FILE, SpeechTower
from encoders.builtin.text import TextHead

PHRASES = 8


def save_random_weights(folder: Path) -> Path:
    """Write a complete weights folder from a fixed seed."""
    torch.manual_seed(4)
    speech = SpeechTower(dims=BUILTIN_DIMS, phrases=PHRASES)
    speech.front_end.mel.uniform_(0, 0.01)
    modules = {IMAGE_FILE: ImageTower(), TEXT_FILE: TextHead(), WEIGHTS_FILE: speech}
    files = {name: save_module(module, name, folder) for name, module in modules.items()}
    backbone = expected_text_backbone()
    facts = {"speech": {"phrases": PHRASES}}
    save_manifest(Manifest(model=MODEL, dims=BUILTIN_DIMS, files=files, text_backbone=backbone, facts=facts), folder)
    return folder
