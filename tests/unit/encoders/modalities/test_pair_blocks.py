"""Vectors with a block for each pair of modalities: every comparison is the model's own."""

from itertools import combinations

import pytest

from config.vocabulary import Modality
from encoders.device import prepare_torch
from encoders.modalities.pair_blocks import Pair, arrange, pairs_of

prepare_torch()

import torch  # noqa: E402
from torch.nn import functional  # noqa: E402

THREE = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)


@pytest.fixture
def vectors() -> dict[tuple[Modality, Pair], torch.Tensor]:
    """What a model would compare: four vectors of eight numbers for each modality and each pair that it is in."""
    draw = torch.Generator().manual_seed(0)
    return {(m, pair): torch.randn(4, 8, generator=draw) for pair in pairs_of(THREE) for m in pair}


def test_cosines_across_modalities_are_the_models_own(vectors: dict[tuple[Modality, Pair], torch.Tensor]):
    """Of three modalities each is in two pairs: half the cosine of the pair, so that every ranking is the pair's."""
    pairs = pairs_of(THREE)
    laid = {m: functional.normalize(arrange(m, pairs, lambda pair, m=m: vectors[m, pair]), dim=-1) for m in THREE}

    for one, other in combinations(THREE, 2):
        pair = frozenset({one, other})
        own = functional.normalize(vectors[one, pair], dim=-1) @ functional.normalize(vectors[other, pair], dim=-1).T
        assert torch.allclose(laid[one] @ laid[other].T, own / 2, atol=1e-6)


def test_cosines_within_a_modality_are_the_mean_of_its_pairs(vectors: dict[tuple[Modality, Pair], torch.Tensor]):
    """Two texts are as alike as their vectors for sounds and for pictures are on average."""
    pairs = pairs_of(THREE)
    laid = functional.normalize(arrange(Modality.TEXT, pairs, lambda pair: vectors[Modality.TEXT, pair]), dim=-1)
    each = [functional.normalize(vectors[Modality.TEXT, pair], dim=-1) for pair in pairs if Modality.TEXT in pair]

    assert torch.allclose(laid @ laid.T, sum(part @ part.T for part in each) / 2, atol=1e-6)


def test_two_modalities_or_one_add_nothing():
    """One block, of the model's own length, whatever order the modalities were named in."""
    two = pairs_of([Modality.TEXT, Modality.AUDIO])

    assert two == pairs_of([Modality.AUDIO, Modality.TEXT]) == (frozenset({Modality.TEXT, Modality.AUDIO}),)
    assert pairs_of([Modality.IMAGE]) == (frozenset({Modality.IMAGE}),)
    assert arrange(Modality.TEXT, two, lambda _: torch.ones(2, 8)).shape == (2, 8)
