"""Planted queries: which pair of modalities can be trusted is known, and has to be found out."""

import numpy as np

from config.vocabulary import Modality
from fusion.learning.examples import Example

MODALITIES = (Modality.AUDIO, Modality.IMAGE, Modality.TEXT)
STRENGTHS = {Modality.AUDIO: 0.0, Modality.IMAGE: 0.5, Modality.TEXT: 4.0}
"""Standard deviations by which the wanted item stands out in each modality."""


def planted(queries: int, *, items: int = 60, seed: int = 0, lacks: float = 0.3) -> list[Example]:
    """Queries by one text or one picture; one item of each is wanted, and texts tell best."""
    rng = np.random.default_rng(seed)
    return [_example(place, rng, items, lacks) for place in range(queries)]


def _example(place: int, rng: np.random.Generator, items: int, lacks: float) -> Example:
    deviations = rng.standard_normal((1, len(MODALITIES), items))
    wanted = int(rng.integers(items))
    deviations[0, :, wanted] += [STRENGTHS[modality] for modality in MODALITIES]
    present = rng.random((len(MODALITIES), items)) >= lacks
    present[2, ~present.any(axis=0)] = True
    gains = np.zeros(items, np.float32)
    gains[wanted] = 1.0
    asked = Modality.TEXT if place % 2 else Modality.IMAGE
    return Example(
        group=str(asked),
        modalities=MODALITIES,
        part_modalities=(asked,),
        part_weights=np.ones(1, np.float32),
        deviations=deviations.astype(np.float32),
        present=present,
        gains=gains,
    )
