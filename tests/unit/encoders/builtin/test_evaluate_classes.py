"""Names that were left out of a training are really left out, and are found where meaning carries over."""

from pathlib import Path

import numpy as np
import pytest
import torch

from config.errors import Misconfigured
from encoders.builtin.corpus import Corpus
from encoders.builtin.efficientnet import FEATURES, Tail, Trunk
from encoders.builtin.evaluate_classes import classes_table, evaluate_classes, measure_fold
from encoders.builtin.training.backbone import Backbone, ClassTexts
from encoders.builtin.training.texts import encode_texts

WORDS = [item.name for item in Corpus().items.values()][500:740]
STEPS = 80


@pytest.fixture
def texts(tmp_path: Path) -> tuple[list[ClassTexts], np.ndarray]:
    """Many things and the features of their names."""
    classes = [ClassTexts(names=(word,), description=f"A {word}.") for word in WORDS]
    return classes, encode_texts(WORDS, tmp_path)


def _backbone(rows: torch.Tensor) -> Backbone:
    return Backbone(trunk=Trunk(), tail=Tail(), rows=rows)


@pytest.mark.slow
def test_meaning_carries_over_to_names_left_out(texts: tuple[list[ClassTexts], np.ndarray], tmp_path: Path) -> None:
    """Where photographs lie as their names do, a name left out is found; where they lie at random, only by chance."""
    classes, features = texts
    torch.manual_seed(0)
    lawful = torch.from_numpy(features.astype(np.float32)) @ torch.randn(512, FEATURES)
    unseen, seen = measure_fold(_backbone(lawful), classes, features, tmp_path, fold=0, steps=STEPS)
    assert (unseen.queries, seen.queries) == (len(WORDS) // 10, len(WORDS) - len(WORDS) // 10)
    assert unseen.recall_at_10 > 0.7
    lawless = torch.randn(len(WORDS), FEATURES)
    unseen, seen = measure_fold(_backbone(lawless), classes, features, tmp_path, fold=0, steps=STEPS)
    assert seen.recall_at_10 > 0.9
    assert unseen.recall_at_10 < 0.5


def test_a_report_is_a_row_a_task() -> None:
    """Both tasks are told with how many names asked."""
    score = {"queries": 100, "items": 1000, "median_rank": 7.0}
    score |= {f"recall_at_{k}": 0.1 * k for k in (1, 3, 5, 10)}
    table = classes_table({"classes": 300, "scores": {"left out": score, "trained on": score}})
    assert table.row_count == 2
    assert "300 names" in str(table.title)


def test_folds_out_of_bounds_are_refused(tmp_path: Path) -> None:
    """A tenth can be left out ten times and no more."""
    for folds in (0, 11):
        with pytest.raises(Misconfigured, match="1 to 10 can"):
            evaluate_classes(tmp_path, folds=folds)
