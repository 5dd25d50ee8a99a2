"""Losses by hand-computed cases, codes by their definition."""

import math

import numpy as np
import torch

from encoders.alignment.codes import hamming_similarity, rotation_for_codes, to_codes
from encoders.alignment.losses import quantisation_loss, sigmoid_loss, softmax_loss

APART = torch.zeros(2, 2, dtype=torch.bool)
SCALE = torch.tensor(2.0)
LEFT, RIGHT = torch.eye(2), torch.tensor([[1.0, 0.0], [0.6, 0.8]])


def test_softmax_is_the_mean_of_both_directions() -> None:
    """Scores are [[2, 1.2], [0, 1.6]]: rows and columns are told apart."""
    rows = (math.log1p(math.exp(1.2 - 2)) + math.log1p(math.exp(0 - 1.6))) / 2
    columns = (math.log1p(math.exp(0 - 2)) + math.log1p(math.exp(1.2 - 1.6))) / 2
    assert abs(float(softmax_loss(LEFT, RIGHT, APART, SCALE)) - (rows + columns) / 2) < 1e-6


def test_sigmoid_judges_every_pair_by_itself() -> None:
    """Each cell costs -log of how well it was judged; the sum is over items."""
    bias = torch.tensor(-1.0)
    cells = [(2, 1), (1.2, -1), (0, -1), (1.6, 1)]
    expected = sum(math.log1p(math.exp(-sign * (score - 1))) for score, sign in cells) / 2
    assert abs(float(sigmoid_loss(LEFT, RIGHT, APART, SCALE, bias=bias)) - expected) < 1e-6


def test_what_means_the_same_is_no_negative() -> None:
    """Two items with one text cost nothing for being alike, in either loss."""
    same = torch.ones(2, 2, dtype=torch.bool)
    alike = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert float(softmax_loss(alike, alike, same, SCALE)) < 1e-6
    assert float(softmax_loss(alike, alike, APART, SCALE)) > 0.6
    bias = torch.tensor(0.0)
    assert float(sigmoid_loss(alike, alike, same, SCALE, bias=bias)) < float(
        sigmoid_loss(alike, alike, APART, SCALE, bias=bias)
    )


def test_hard_negatives_cost_more() -> None:
    """The near negative gains weight and the far one loses it, so a batch with one near negative costs more."""
    left = torch.eye(3)
    right = torch.nn.functional.normalize(torch.tensor([[1.0, 0, 0], [0.9, 1.0, 0], [0, 0, 1.0]]), dim=1)
    apart = torch.zeros(3, 3, dtype=torch.bool)
    assert float(softmax_loss(left, right, apart, SCALE, hardness=5.0)) > float(softmax_loss(left, right, apart, SCALE))


def test_a_corner_of_the_cube_needs_no_rounding() -> None:
    """Quantisation costs nothing where all numbers are equally large."""
    assert float(quantisation_loss(torch.tensor([[0.5, -0.5, 0.5, 0.5]]))) < 1e-12
    assert float(quantisation_loss(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))) > 0.9


def test_codes_count_equal_signs() -> None:
    """Against the definition, also where the last byte is not full."""
    rng = np.random.default_rng(0)
    queries, items = rng.normal(size=(5, 21)).astype(np.float32), rng.normal(size=(9, 21)).astype(np.float32)
    exact = ((queries[:, None] > 0) == (items[None] > 0)).mean(axis=2)
    codes = to_codes(queries), to_codes(items)
    assert codes[0].shape == (5, 3)
    np.testing.assert_allclose(hamming_similarity(*codes, 21), exact, atol=1e-6)


def test_a_centre_gives_back_what_leaning_takes() -> None:
    """Vectors that all lean one way have the same signs; around their centre the signs tell them apart."""
    rng = np.random.default_rng(1)
    leaning = (5.0 + rng.normal(size=(50, 64))).astype(np.float32)
    same, apart = to_codes(leaning), to_codes(leaning, leaning.mean(axis=0))
    assert len(np.unique(same, axis=0)) == 1
    assert len(np.unique(apart, axis=0)) == 50


def test_a_rotation_spreads_what_a_few_dimensions_know() -> None:
    """It is orthogonal, and codes of vectors that live in four of 32 dimensions find far more neighbours after it."""
    rng = np.random.default_rng(2)
    known = np.concatenate([rng.normal(size=(200, 4)), 0.05 * rng.normal(size=(200, 28))], axis=1)
    rows = known / np.linalg.norm(known, axis=1, keepdims=True)
    rotation = rotation_for_codes(rows)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(32), atol=1e-10)

    def found(vectors: np.ndarray) -> float:
        codes = to_codes(vectors.astype(np.float32))
        near = np.argsort(-hamming_similarity(codes, codes, 32), axis=1, kind="stable")[:, :10]
        exact = np.argsort(-(rows @ rows.T), axis=1)[:, :10]
        return float(np.mean([len(set(a) & set(b)) for a, b in zip(near, exact, strict=True)]) / 10)

    assert found(rows @ rotation) > found(rows) + 0.2
