"""Measure how far the photograph half carries: names of things whose every word was kept from it.

The photograph half is trained anew without some of the classifier's classes: their names, their descriptions and
their rows are taken out, as if the classifier had never known them. Then their names ask, among the directions of all
1,000 classes, for their own: this is what becomes of a word that no photograph was named by. As in all of training no
photograph is looked at: a class's direction stands for its photographs.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table
from torch.nn import functional

from config.errors import Misconfigured
from encoders.alignment.evaluation import RetrievalScores, mean_scores, score_retrieval
from encoders.builtin.training.backbone import Backbone, ClassTexts, load_backbone, load_classes
from encoders.builtin.training.build import PHOTO_STEPS
from encoders.builtin.training.emoji import load_concepts
from encoders.builtin.training.packages import DEFAULT_CACHE
from encoders.builtin.training.photo_stage import build_targets, photo_projection, train_photo_head
from encoders.builtin.training.texts import build_texts, encode_texts
from encoders.progress import track

FOLDS: Final = 10
"""A tenth of the classes is left out at a time."""


def evaluate_classes(cache: Path = DEFAULT_CACHE, *, folds: int = 3, steps: int = PHOTO_STEPS) -> dict[str, Any]:
    """Train the photograph half without a tenth of the classes, several times, and measure their names.

    Args:
        cache: Packages and sentence features; filled where something is missing.
        folds: How many tenths, each left out of a training of its own; 1 to 10.
        steps: Of each training.

    Returns:
        A report ready for JSON: ``classes`` measured in all and ``scores`` by task.

    Raises:
        Misconfigured: a package is missing, or ``folds`` is out of bounds.
    """
    if not 1 <= folds <= FOLDS:
        raise Misconfigured(f"folds: {folds} tenths cannot be left out in turn, 1 to {FOLDS} can")
    backbone, classes = load_backbone(cache), load_classes(cache)
    others = build_texts(load_concepts(cache), cache).features
    left, kept = [], []
    for fold in track(list(range(folds)), "leave classes out"):
        unseen, seen = measure_fold(backbone, classes, others, cache, fold=fold, steps=steps)
        left.append(unseen)
        kept.append(seen)
    scores = {"names left out of training": mean_scores(left), "names trained on": mean_scores(kept)}
    return {
        "classes": sum(score.queries for score in left),
        "scores": {task: asdict(score) for task, score in scores.items()},
    }


def classes_table(report: Mapping[str, Any]) -> Table:
    """Return the report as a table: a row a task."""
    table = Table(title=f"{report['classes']} names of photographed things, left out in turn", title_justify="left")
    table.add_column("name → direction of its photographs")
    for title in ("queries", "of", "R@1", "R@5", "R@10", "median rank"):
        table.add_column(title, justify="right")
    for task, score in report["scores"].items():
        recalls = [f"{score[f'recall_at_{k}']:.3f}" for k in (1, 5, 10)]
        table.add_row(task, f"{score['queries']:,}", f"{score['items']:,}", *recalls, f"{score['median_rank']:.1f}")
    return table


def measure_fold(
    backbone: Backbone, classes: list[ClassTexts], others: NDArray[np.float16], cache: Path, *, fold: int, steps: int
) -> tuple[RetrievalScores, RetrievalScores]:
    """Train without every tenth class and return the scores of the names left out and of those trained on.

    Args:
        backbone: With the rows of all classes.
        classes: What they are called.
        others: Sentence features of other texts, of shape (m, 512).
        cache: Keeps sentence features.
        fold: Which tenth is left out, from 0.
        steps: Of the training.
    """
    numbers = np.arange(len(classes))
    # Neighbouring classes are of one kind (118 are dogs): every tenth leaves some of each kind to learn from.
    out = numbers % FOLDS == fold
    known = replace(backbone, rows=backbone.rows[torch.from_numpy(~out)])
    targets = build_targets(known, [classes[number] for number in numbers[~out]], cache)
    head = train_photo_head(targets, others, steps=steps, seed=0, progress=lambda _: None)
    directions = functional.normalize(
        (backbone.rows - known.rows.mean(dim=0)) @ photo_projection(known).weight.detach().T, dim=1
    )
    names = encode_texts([told.names[0] for told in classes], cache)
    with torch.inference_mode():
        asked = head(torch.from_numpy(names.astype(np.float32))).numpy()
    items = directions.numpy()
    return (
        score_retrieval(asked[out], items, numbers[out], numbers),
        score_retrieval(asked[~out], items, numbers[~out], numbers),
    )
