"""What a training step sees of its examples: some candidates, some of what they have, perhaps without names."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fusion.learning.examples import Example
from fusion.learning.options import FusionOptions

MOST_RELEVANT = 64
"""Relevant candidates that a step sees of one query: a query with hundreds would fill the batch with padding."""
WEAKEST = 0.4
"""Share of a similarity's own part that the weakest model keeps."""


def draw_candidates(example: Example, options: FusionOptions, rng: np.random.Generator) -> Example:
    """Some relevant candidates and some others."""
    relevant, others = np.flatnonzero(example.gains > 0), np.flatnonzero(example.gains <= 0)
    kept = rng.permutation(relevant)[:MOST_RELEVANT]
    return example.among(np.sort(np.concatenate([kept, rng.permutation(others)[: options.candidates]])))


def hide_modalities(example: Example, share: float, rng: np.random.Generator) -> Example:
    """Hide up to a share of what items have, another of each modality; every item keeps something."""
    rates = rng.uniform(0.0, share, (len(example.modalities), 1))
    present = example.present & (rng.random(example.present.shape) >= rates)
    bare = np.flatnonzero(~present.any(axis=0))
    order = np.argsort(rng.random((len(example.modalities), len(bare))) - 2.0 * example.present[:, bare], axis=0)
    if len(bare):
        present[order[0], bare] = True
    return replace(example, present=present)


def weaken(examples: Sequence[Example], rng: np.random.Generator) -> list[Example]:
    """Mix similarities with noise, pair by pair: the background keeps its spread, and matches stand out less."""
    found = []
    for example in examples:
        kept = rng.uniform(WEAKEST, 1.0, (*example.deviations.shape[:2], 1))
        noise = rng.standard_normal(example.deviations.shape)
        mixed = kept * example.deviations + np.sqrt(1.0 - kept**2) * noise
        found.append(replace(example, deviations=mixed.astype(np.float32)))
    return found
