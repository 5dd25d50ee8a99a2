"""The build: who is trained on, what is written, and what the card says of it."""

from pathlib import Path

import pytest
import torch
from torch import nn

from config.errors import Misconfigured
from encoders.builtin.artifacts import load_image_tower, load_manifest, load_text_head
from encoders.builtin.efficientnet import FEATURES, Tail, Trunk
from encoders.builtin.image import DRAWING_DIMS, PHOTO_DIMS
from encoders.builtin.text import HalfHead
from encoders.builtin.training.backbone import Backbone
from encoders.builtin.training.build import HELD_OUT, training_vendors
from encoders.builtin.training.card import CARD, NOTICE, write_card
from encoders.builtin.training.drawing_model import DrawingModel
from encoders.builtin.training.export import assemble_image_tower, assemble_text_head, save_towers
from encoders.builtin.training.vendors import VENDORS, siblings

FACTS = {
    "seed": 3,
    "concepts": 1914,
    "languages": ["en", "zh"],
    "trained_vendors": ["noto", "flag"],
    "trained_lines": ["tabler"],
    "icons": 64,
    "continued_from": {"model": "builtin@0", "steps": 1234},
    "held_out_vendors": ["twemoji"],
    "tail_steps": 1150,
    "batch": 256,
    "views": 3,
    "drawing_half_recall_at_10": {"twemoji": {"en>image": 0.8125, "image>en": 0.75}},
}


def test_no_sibling_of_a_held_out_set_is_trained_on() -> None:
    """Sets by a held-out artist stay out, however they are called."""
    trained = training_vendors(HELD_OUT)
    assert not set(trained) & {name for vendor in HELD_OUT for name in siblings(vendor)}
    assert "emojione-monotone" not in trained
    assert {"noto", "noto-v1"} <= set(trained)


def test_an_unknown_or_total_hold_out_is_refused() -> None:
    """A misspelt vendor would silently be trained on, so it is an error; and something must be left."""
    with pytest.raises(Misconfigured, match="no vendor twemojy"):
        training_vendors(("twemojy",))
    with pytest.raises(Misconfigured, match="leave some"):
        training_vendors(tuple(name for name, vendor in VENDORS.items() if not vendor.flags_only))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder written from untrained parts."""
    torch.manual_seed(0)
    out = tmp_path_factory.mktemp("weights")
    backbone = Backbone(trunk=Trunk(), tail=Tail(), rows=torch.zeros(0))
    drawing = DrawingModel(Tail())
    drawing.centre.fill_(0.25)
    drawing.spread.fill_(2.0)
    tower = assemble_image_tower(backbone, drawing, nn.Linear(FEATURES, PHOTO_DIMS))
    features = torch.rand(3, FEATURES)
    with torch.inference_mode():
        expected = drawing.eval().project(features)
        found = nn.functional.normalize(tower.drawing_projection(features), dim=1)
    torch.testing.assert_close(found, expected)  # standardisation is folded into the shipped projection
    save_towers(tower, assemble_text_head(HalfHead(DRAWING_DIMS), HalfHead(PHOTO_DIMS), 0.5), FACTS, out)
    write_card(load_manifest(out), out)
    return out


def test_what_is_written_loads(folder: Path) -> None:
    """Towers, manifest and facts come back from the folder."""
    load_image_tower(folder)
    assert float(load_text_head(folder).balance) == 0.5
    assert load_manifest(folder).facts["seed"] == 3


def test_the_card_tells_data_and_numbers(folder: Path) -> None:
    """The card names every set trained on with its licence, the steps, and each measured number with its mean."""
    card = (folder / CARD).read_text(encoding="utf-8")
    for name in FACTS["trained_vendors"]:
        assert f"[{name}]({VENDORS[name].url}) | {VENDORS[name].package.licence}" in card
    assert "| twemoji | 0.812 | 0.750 |" in card
    assert "| mean | 0.812 | 0.750 |" in card
    assert "1,150 steps" in card
    assert "after the 1,234 steps of builtin@0" in card
    assert "tabler-icons" in card


def test_the_notice_names_everything_the_weights_derive_from(folder: Path) -> None:
    """Backbones with their licence, and every package of training data with its own."""
    notice = (folder / NOTICE).read_text(encoding="utf-8")
    for words in (
        "EfficientNet-Lite0",
        "NOTICE-speech.txt",
        "Universal Sentence Encoder",
        "Apache License, Version 2.0",
    ):
        assert words in notice
    assert "@iconify-json/noto 1.2.9: Apache-2.0" in notice
    assert "emojibase-data 17.0.0: MIT" in notice
