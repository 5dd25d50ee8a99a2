"""Backgrounds from samples: matches left out, the prior met by counts, nothing made up."""

import numpy as np
import pytest

from config.vocabulary import Background
from fusion.background import estimate_background

PRIOR = Background(mean=0.5, std=0.2)


def cone(seed: int, count: int, centre: float) -> np.ndarray:
    """Vectors (count, 64) around one common direction."""
    vectors = np.random.default_rng(seed).standard_normal((count, 64)) / 8
    vectors[:, 0] += centre
    return vectors.astype(np.float32)


def test_it_is_mean_and_deviation_of_what_does_not_match() -> None:
    """The exact moments of all cosines but each query's own, within what trimming takes."""
    vectors = cone(1, 200, 0.6)
    own = np.eye(200, dtype=np.bool_)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    others = (units @ units.T)[~own]

    found = estimate_background(vectors, vectors, own=own)

    assert found is not None
    assert found.mean == pytest.approx(others.mean(), abs=0.005)
    assert found.std == pytest.approx(others.std(), rel=0.07)


def test_near_duplicates_do_not_widen_it() -> None:
    """Every query stands in the index once more: one cosine of 1 in two hundred moves neither number much."""
    items = cone(1, 200, 0.3)
    queries = cone(2, 50, 0.3)
    doubled = items.copy()
    doubled[:50] = queries

    clean, met = estimate_background(queries, items), estimate_background(queries, doubled)

    assert clean is not None
    assert met is not None
    assert met.std == pytest.approx(clean.std, rel=0.05)
    assert met.mean == pytest.approx(clean.mean, abs=0.01)


@pytest.mark.parametrize(("prior_items", "share"), [(100.0, 0.5), (300.0, 0.25), (0.0, 1.0)])
def test_the_prior_counts_for_so_many_items(prior_items: float, share: float) -> None:
    """A hundred sampled items meet a prior of a hundred half-way."""
    queries, items = cone(1, 50, 0.0), cone(2, 100, 0.0)
    alone = estimate_background(queries, items)

    blended = estimate_background(queries, items, prior=PRIOR, prior_items=prior_items)

    assert alone is not None
    assert blended is not None
    assert blended.mean == pytest.approx(share * alone.mean + (1 - share) * 0.5)
    assert blended.std == pytest.approx(share * alone.std + (1 - share) * 0.2)


@pytest.mark.parametrize("prior", [PRIOR, None])
def test_too_little_leaves_the_prior(prior: Background | None) -> None:
    """Seven items, no queries, or vectors that are all the same say nothing."""
    same = np.ones((20, 64), np.float32)

    assert estimate_background(cone(1, 50, 0.0), cone(2, 7, 0.0), prior=prior) is prior
    assert estimate_background(np.zeros((0, 64), np.float32), cone(2, 50, 0.0), prior=prior) is prior
    assert estimate_background(same, same, prior=prior) is prior
