"""A planted problem: two or three modalities that see one hidden thing, each through its own distortion."""

from collections.abc import Mapping

import numpy as np
import torch

from config.vocabulary import Modality
from encoders.alignment.features import PairedFeatures
from encoders.alignment.heads import Head
from encoders.vectors import unit_rows

HIDDEN = 12
SOURCES = {Modality.TEXT: 24, Modality.IMAGE: 32, Modality.AUDIO: 20}


def planted(
    items: int, *, seed: int = 0, bend: float = 0.0, noise: float = 0.05, missing: float = 0.0
) -> PairedFeatures:
    """Return items whose modalities are views of one hidden vector: linear, or folded at 0 by ``bend``."""
    world = np.random.default_rng(99)  # the views are the same whatever the seed of the items
    views = {m: (world.normal(size=(HIDDEN, d)), world.normal(size=(HIDDEN, d))) for m, d in SOURCES.items()}
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(items, HIDDEN))
    vectors = {}
    for modality, (straight, folded) in views.items():
        share = 0.0 if modality == Modality.TEXT else bend
        seen = (1 - share) * hidden @ straight + share * np.abs(hidden) @ folded
        blur = noise * rng.normal(size=seen.shape) * np.linalg.norm(seen, axis=1)[:, None]
        vectors[modality] = unit_rows(seen + blur)
        if modality != Modality.TEXT:
            vectors[modality][rng.random(items) < missing] = np.nan
    return PairedFeatures(item_ids=tuple(f"i{n}" for n in range(items)), vectors=vectors)


def recall(
    heads: Mapping[Modality, Head], features: PairedFeatures, query: Modality, item: Modality, k: int = 1
) -> float:
    """Return the share of items whose own row of the other modality is among the nearest k."""
    rows = features.together((query, item))
    with torch.no_grad():
        x, y = (unit_rows(heads[m](torch.from_numpy(features.vectors[m][rows])).numpy()) for m in (query, item))
    scores = x @ y.T
    return float(((scores > scores.diagonal()[:, None]).sum(axis=1) < k).mean())
