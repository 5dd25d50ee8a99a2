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
from encoders.builtin.places import WEIGHTS_FILE as PLACES_FILE
from encoders.builtin.places import PlaceTower
from encoders.builtin.readings import WEIGHTS_FILE as READINGS_FILE
from encoders.builtin.readings import ReadingsTower
from encoders.builtin.speech import WEIGHTS_FILE, SpeechTower
from encoders.builtin.text import TextHead

PHRASES = 8
COUNTRIES = 5
ANCHORS = 3
KINDS = ("sun", "rain")


def save_random_weights(folder: Path) -> Path:
    """Write a complete weights folder from a fixed seed."""
    torch.manual_seed(4)
    speech = SpeechTower(dims=BUILTIN_DIMS, phrases=PHRASES)
    speech.front_end.mel.uniform_(0, 0.01)
    places = PlaceTower(countries=COUNTRIES, anchors=ANCHORS)
    places.country.values.normal_()
    readings = ReadingsTower(kinds=len(KINDS))
    readings.weather.values.normal_()
    modules = {
        IMAGE_FILE: ImageTower(),
        TEXT_FILE: TextHead(),
        WEIGHTS_FILE: speech,
        PLACES_FILE: places,
        READINGS_FILE: readings,
    }
    files = {name: save_module(module, name, folder) for name, module in modules.items()}
    backbone = expected_text_backbone()
    facts = {
        "speech": {"phrases": PHRASES},
        "location": {"countries": COUNTRIES, "anchors": ANCHORS},
        "sensor": {"kinds": list(KINDS)},
    }
    save_manifest(Manifest(model=MODEL, dims=BUILTIN_DIMS, files=files, text_backbone=backbone, facts=facts), folder)
    return folder
