"""The text side: which texts a concept is taught by, and where class names and other words point."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch.nn import functional

from encoders.builtin.efficientnet import FEATURES, Tail, Trunk
from encoders.builtin.image import PHOTO_DIMS
from encoders.builtin.training.backbone import Backbone, ClassTexts
from encoders.builtin.training.emoji import Concept
from encoders.builtin.training.photo_stage import (
    PhotoTargets,
    class_targets,
    neighbour_targets,
    photo_projection,
    wider_words,
)
from encoders.builtin.training.texts import NAME_SHARE, TextTable, _uses


def _table() -> TextTable:
    """Two concepts: the first with rows 0 (3 of 4) and 1, the second with row 2 alone."""
    return TextTable(
        features=np.zeros((3, 512), np.float16),
        rows=np.array([0, 1, 2]),
        weights=np.array([0.75, 0.25, 1.0]),
        starts=np.array([0, 2, 3]),
        cumulative=np.array([0.75, 1.0, 2.0]),
    )


def test_texts_are_sampled_by_their_chances() -> None:
    """Each concept gets one of its own texts, as often as its chance says."""
    rng = np.random.default_rng(0)
    seen = Counter(int(row) for _ in range(2000) for row in _table().sample(np.array([0, 1]), rng))
    assert seen[2] == 2000
    assert seen[0] / 2000 == pytest.approx(0.75, abs=0.04)


def test_names_weigh_more_than_keywords_and_flags_answer_to_their_country() -> None:
    """A flag is taught by its country's bare name and by its description too, and empty keywords are dropped."""
    concept = Concept(
        item_id="emoji-1",
        emoji="🇨🇱",
        hexcode="1",
        names={"en": "flag: Chile", "zh": "智利"},
        keywords={"en": ("CL", " "), "zh": ()},
        group="flags",
        subgroup="country-flag",
        unicode_version=1.0,
        shortcodes=(),
    )
    uses = dict(_uses(concept))
    assert set(uses) == {"flag: Chile", "Chile", "CL", "智利", "flag: Chile: CL"}
    assert (uses["flag: Chile"] + uses["Chile"]) / uses["CL"] == pytest.approx(NAME_SHARE / (1 - NAME_SHARE))


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    """A backbone with random rows: 400 classes, the first ten of which resemble each other."""
    torch.manual_seed(0)
    rows = torch.randn(400, FEATURES)
    rows[:10] += 2.0 * torch.randn(FEATURES)
    return Backbone(trunk=Trunk(), tail=Tail(), rows=rows)


def test_features_along_a_row_land_on_their_class(backbone: Backbone) -> None:
    """A photograph whose features lie along a class's row is nearest to that class's target."""
    projection, targets = photo_projection(backbone), class_targets(backbone)
    with torch.inference_mode():
        images = functional.normalize(projection(backbone.rows), dim=1)
    assert float(((images @ targets.T).argmax(dim=1) == torch.arange(400)).float().mean()) > 0.95


def test_the_projection_is_the_same_every_time(backbone: Backbone) -> None:
    """Singular vectors have a chance sign: it is fixed, so heads and towers made apart fit each other."""
    weight = photo_projection(backbone).weight
    assert bool((weight.gather(1, weight.abs().argmax(dim=1, keepdim=True)) > 0).all())


def test_wider_words_are_those_whose_classes_lie_together(backbone: Backbone) -> None:
    """The word "dog" names ten classes that resemble each other; "small" names ten that do not."""
    classes = [ClassTexts(names=(f"breed{i} dog",), description=f"Kind {i}. Barks.") for i in range(10)]
    classes += [ClassTexts(names=(f"thing{i}",), description=f"small item{i}. Lies.") for i in range(390)]
    words = wider_words(classes, class_targets(backbone))
    assert "dog" in words
    assert "small" not in words
    assert float(words["dog"].norm()) == pytest.approx(1.0, abs=1e-5)


def test_other_texts_point_where_their_neighbours_do() -> None:
    """A text that means nearly the same as a class's name points at that class."""
    torch.manual_seed(0)
    features = functional.normalize(torch.randn(5, 512), dim=1)
    targets = PhotoTargets(
        features=features.numpy().astype(np.float16),
        targets=functional.normalize(torch.randn(5, PHOTO_DIMS), dim=1),
        weights=np.full(5, 0.2),
        classes=np.arange(5),
    )
    asked = functional.normalize(features[2:3] + 0.01 * torch.randn(1, 512), dim=1)
    pointed = neighbour_targets(targets, asked)
    assert int((pointed @ targets.targets.T).argmax()) == 2
    assert float(pointed.norm()) == pytest.approx(1.0, abs=1e-5)
