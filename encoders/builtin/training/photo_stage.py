"""The photograph half: the classifier's rows stand for photographs, so that none are needed.

A class's row is the direction in which its photographs' features lie. Rows are centred and projected on their leading
singular vectors; the text head's photograph half learns to point at them from the classes' names. Wider words (dog,
bird, fruit) get the mean row of the classes that are described by them. Every other text at hand, in 16 languages,
points at a mixture of the classes whose texts mean nearly the same (Norouzi et al., "Zero-Shot Learning by Convex
Combination of Semantic Embeddings", 2014): that is what carries over to words that are no class's name.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from encoders.builtin.efficientnet import FEATURES
from encoders.builtin.image import PHOTO_DIMS
from encoders.builtin.text import HalfHead
from encoders.builtin.training.backbone import Backbone, ClassTexts
from encoders.builtin.training.texts import encode_texts

RATE = 1e-3
BATCH = 512
SCALE = 20.0
SMALLEST_GROUP, LARGEST_GROUP = 2, 150  # classes that a wider word may stand for
LEAST_COHESION = 1.6  # mean row's length, in multiples of that of as many rows taken at random
NEIGHBOUR_SHARPNESS = 20.0  # of the mixture; 10 and 30 are worse by two points of recall at 10
OTHERS = 256  # other texts a step
OTHERS_WEIGHT = 3.0  # of their loss; with 1 words that are no class's name are found half as well
NAME_SHARE, DESCRIPTION_SHARE = 0.7, 0.1  # of what is sampled; wider words get the rest

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoTargets:
    """Texts and where they point.

    Attributes:
        features: Sentence features, float16 of shape (texts, 512).
        targets: Unit vectors of shape (texts, PHOTO_DIMS).
        weights: Chance of each text, summing to 1.
        classes: Target of each text: a class, or a wider word after the classes, of shape (texts,).
    """

    features: NDArray[np.float16]
    targets: Tensor
    weights: NDArray[np.float64]
    classes: NDArray[np.int64]


def photo_projection(backbone: Backbone) -> nn.Linear:
    """Return the map from the tail's features to the space of the centred rows' leading singular vectors."""
    centred = backbone.rows - backbone.rows.mean(dim=0)
    _, _, vectors = torch.linalg.svd(centred, full_matrices=False)
    basis = vectors[:PHOTO_DIMS]
    largest = basis.gather(1, basis.abs().argmax(dim=1, keepdim=True))
    projection = nn.Linear(FEATURES, PHOTO_DIMS)
    with torch.no_grad():
        projection.weight.copy_(basis * largest.sign())  # a singular vector's sign is chance: fix it
        projection.bias.zero_()
    return projection


def build_targets(backbone: Backbone, classes: Sequence[ClassTexts], cache: Path) -> PhotoTargets:
    """Return every name, description and wider word with its target and chance."""
    rows = class_targets(backbone)
    wider = wider_words(classes, rows)
    texts: list[tuple[str, int, float]] = []
    for index, told in enumerate(classes):
        shares = np.array([2.0] + [1.0] * (len(told.names) - 1))
        texts += [
            (name, index, NAME_SHARE * share) for name, share in zip(told.names, shares / shares.sum(), strict=True)
        ]
        texts.append((_first_sentence(told.description), index, DESCRIPTION_SHARE))
    boost = (1 - NAME_SHARE - DESCRIPTION_SHARE) * len(classes) / max(1, len(wider))
    texts += [(word, len(classes) + i, boost) for i, word in enumerate(wider)]
    targets = torch.cat([rows, torch.stack(list(wider.values()))]) if wider else rows
    weights = np.array([weight for _, _, weight in texts])
    owners = np.array([owner for _, owner, _ in texts], dtype=np.int64)
    return PhotoTargets(
        features=encode_texts([text for text, _, _ in texts], cache),
        targets=targets,
        weights=weights / weights.sum(),
        classes=owners,
    )


def class_targets(backbone: Backbone) -> Tensor:
    """Return the classes' unit vectors of shape (1000, PHOTO_DIMS)."""
    centred = backbone.rows - backbone.rows.mean(dim=0)
    basis = photo_projection(backbone).weight.detach()
    return functional.normalize(centred @ basis.T, dim=1)


def wider_words(classes: Sequence[ClassTexts], rows: Tensor) -> dict[str, Tensor]:
    """Return words that several classes share, with the mean of those classes' targets.

    A word counts if its classes lie closer together than chance would put them: "dog" does, "small" does not.
    """
    holders: dict[str, set[int]] = defaultdict(set)
    for index, told in enumerate(classes):
        heads = [name.split()[-1] for name in told.names]
        for word in [*heads, *re.findall(r"[A-Za-z]+", _first_sentence(told.description))]:
            holders[word.lower()].add(index)
    found: dict[str, Tensor] = {}
    for word, members in sorted(holders.items()):
        if len(word) > 2 and SMALLEST_GROUP <= len(members) <= LARGEST_GROUP:
            mean = rows[sorted(members)].mean(dim=0)
            if float(mean.norm()) * len(members) ** 0.5 >= LEAST_COHESION * (1 + 0.05 * len(members) ** 0.5):
                found[word] = functional.normalize(mean, dim=0)
    return found


def train_photo_head(
    targets: PhotoTargets, others: NDArray[np.float16], *, steps: int, seed: int, progress: Progress
) -> HalfHead:
    """Return the text head's photograph half.

    Args:
        targets: Texts of classes and wider words, with where they point.
        others: Sentence features of any other texts, of shape (m, 512).
        steps: Steps of 512 texts and 256 others.
        seed: Of the run.
        progress: Told every few hundred steps.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 3])
    head = HalfHead(PHOTO_DIMS).train()
    optimiser = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, RATE / 50)
    for step in range(steps):
        picks = rng.choice(len(targets.weights), size=BATCH, p=targets.weights)
        loss = _named_loss(head, targets, picks)
        loss = loss + OTHERS_WEIGHT * _neighbour_loss(head, targets, others[rng.integers(0, len(others), OTHERS)])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 200 == 0:
            progress(f"photographs {step}/{steps} loss {loss.item():.3f}")
    return head.eval()


def neighbour_targets(targets: PhotoTargets, features: Tensor) -> Tensor:
    """Return the mixtures of known targets, unit vectors of shape (n, PHOTO_DIMS), for features of shape (n, 512)."""
    known = torch.from_numpy(targets.features.astype(np.float32))
    weights = torch.softmax(NEIGHBOUR_SHARPNESS * features @ known.T, dim=1)
    return functional.normalize(weights @ targets.targets[torch.from_numpy(targets.classes)], dim=1)


def _named_loss(head: HalfHead, targets: PhotoTargets, picks: NDArray[np.int64]) -> Tensor:
    features = torch.from_numpy(targets.features[picks].astype(np.float32))
    features = functional.dropout(features, 0.1)
    owners = torch.from_numpy(targets.classes[picks])
    pointed: Tensor = head(features)
    regression = 1.0 - (pointed * targets.targets[owners]).sum(dim=1).mean()
    loss: Tensor = regression + 0.5 * functional.cross_entropy(SCALE * pointed @ targets.targets.T, owners)
    return loss


def _neighbour_loss(head: HalfHead, targets: PhotoTargets, others: NDArray[np.float16]) -> Tensor:
    features = torch.from_numpy(others.astype(np.float32))
    pointed: Tensor = head(features)
    return 1.0 - (pointed * neighbour_targets(targets, features)).sum(dim=1).mean()


def _first_sentence(description: str) -> str:
    return description.split(". ", maxsplit=1)[0]
