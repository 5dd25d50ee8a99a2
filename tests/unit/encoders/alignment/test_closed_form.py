"""Closed forms against exact oracles."""

import numpy as np
import pytest

from config.errors import Misconfigured
from config.vocabulary import Modality
from encoders.alignment.closed_form import CAUTION, canonical, least_squares, procrustes, shrinkage, solve
from tests.unit.encoders.alignment.planted import planted, recall


def test_least_squares_without_a_ridge_is_numpys() -> None:
    """The affine map equals the one that an independent solver finds."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 4)), rng.normal(size=(50, 3))
    weight, bias = least_squares(x, y, ridge=1e-12)
    oracle, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(50)]), y, rcond=None)
    np.testing.assert_allclose(np.column_stack([weight, bias]).T, oracle, atol=1e-6)


@pytest.mark.parametrize(("source", "target"), [(6, 6), (4, 6)])
def test_procrustes_finds_a_planted_rotation(source: int, target: int) -> None:
    """A rotation and a shift are recovered exactly, also into a longer space."""
    rng = np.random.default_rng(1)
    rotation = np.linalg.qr(rng.normal(size=(target, target)))[0][:, :source]
    x = rng.normal(size=(40, source))
    weight, bias = procrustes(x, x @ rotation.T + 3.0)
    np.testing.assert_allclose(weight, rotation, atol=1e-8)
    np.testing.assert_allclose(bias, 3.0, atol=1e-8)


def test_procrustes_keeps_angles() -> None:
    """Whatever the data, the map is orthogonal."""
    rng = np.random.default_rng(2)
    weight, _ = procrustes(rng.normal(size=(20, 5)), rng.normal(size=(20, 5)))
    np.testing.assert_allclose(weight @ weight.T, np.eye(5), atol=1e-10)


def test_canonical_correlations_are_those_of_an_independent_computation() -> None:
    """For two tables they are the singular values of the product of both orthonormal bases (Björck and Golub, 1973)."""
    rng = np.random.default_rng(3)
    shared = rng.normal(size=(300, 3))
    x = np.column_stack([shared, rng.normal(size=(300, 2))]) @ rng.normal(size=(5, 5))
    y = np.column_stack([shared + rng.normal(size=(300, 3)), rng.normal(size=(300, 1))]) @ rng.normal(size=(4, 4))
    maps, correlations = canonical([x, y], 4, ridge=1e-12)
    bases = [np.linalg.qr(table - table.mean(axis=0))[0] for table in (x, y)]
    np.testing.assert_allclose(correlations, np.linalg.svd(bases[0].T @ bases[1])[1][:4], atol=1e-6)
    left, right = ((table @ weight.T + bias) for table, (weight, bias) in zip((x, y), maps, strict=True))
    for column, expected in enumerate(correlations):
        assert np.corrcoef(left[:, column], right[:, column])[0, 1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("solver", ["least_squares", "procrustes", "cca"])
def test_every_solver_aligns_what_is_linear(solver: str) -> None:
    """Items that no solver saw are found across modalities; unaligned spaces are not even of one length."""
    dims = 20 if solver == "cca" else 24
    heads = solve(planted(400), Modality.TEXT, dims, solver)
    assert recall(heads, planted(100, seed=7), Modality.IMAGE, Modality.TEXT) > (0.6 if solver == "procrustes" else 0.9)
    assert recall(heads, planted(100, seed=7), Modality.TEXT, Modality.AUDIO) > (0.4 if solver == "procrustes" else 0.9)


def test_too_few_pairs_and_wrong_lengths_are_refused() -> None:
    """The message says what is missing."""
    with pytest.raises(Misconfigured, match="only 5 items have image and text together"):
        solve(planted(5), Modality.TEXT, 24, "least_squares")
    with pytest.raises(Misconfigured, match="dims must be 24"):
        solve(planted(50), Modality.TEXT, 16, "procrustes")
    with pytest.raises(Misconfigured, match="at most as many as the shortest source has, 20"):
        solve(planted(50), Modality.TEXT, 21, "cca")


def test_shrinkage_is_that_of_the_paper() -> None:
    """Against the sums as Ledoit and Wolf write them, row by row; less with more rows, at most 1, 1 for a sphere."""
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(60, 12)) @ np.diag(np.linspace(0.2, 3.0, 12))
    centred = rows - rows.mean(axis=0)
    covariance = centred.T @ centred / 60
    mean = np.trace(covariance) / 12
    spread = ((covariance - mean * np.eye(12)) ** 2).sum() / 12
    noise = sum(((np.outer(row, row) - covariance) ** 2).sum() / 12 for row in centred) / 60**2
    assert shrinkage(centred) == pytest.approx(CAUTION * (noise / spread) / (1 - noise / spread))
    assert shrinkage(np.tile(centred, (50, 1))) < shrinkage(centred) / 40
    assert shrinkage(np.concatenate([np.eye(5), -np.eye(5)])) == 1.0
