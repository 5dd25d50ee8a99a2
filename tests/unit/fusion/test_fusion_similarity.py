"""Similarities: what each means, and where two of them are one."""

import numpy as np
import pytest

from config.vocabulary import Similarity
from fusion.similarity import compare


@pytest.mark.parametrize("seed", range(5))
def test_euclidean_ranks_exactly_as_cosine(seed: int) -> None:
    """On unit vectors the squared distance is 2 - 2 cos: the numbers differ and the order never does, ties included."""
    rng = np.random.default_rng(seed)
    queries = rng.normal(size=(40, 16)).astype(np.float32)
    items = rng.normal(size=(300, 16)).astype(np.float32)
    items[150:170] = items[:20]  # ties

    cosine, euclidean = (
        compare(queries, items, each).similarities for each in (Similarity.COSINE, Similarity.EUCLIDEAN)
    )

    assert not np.allclose(cosine, euclidean)
    orders = [np.argsort(-each, axis=1, kind="stable") for each in (cosine, euclidean)]
    np.testing.assert_array_equal(*orders)


def test_euclidean_is_the_distance_of_the_unit_vectors() -> None:
    """Against numpy's own norm, for vectors of any length: 1 - d / 2."""
    rng = np.random.default_rng(7)
    queries, items = rng.normal(size=(4, 8)), 3.0 * rng.normal(size=(6, 8))
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (queries, items)]

    found = compare(queries, items, Similarity.EUCLIDEAN).similarities

    exact = 1 - np.linalg.norm(unit[0][:, None] - unit[1][None], axis=2) / 2
    np.testing.assert_allclose(found, exact, atol=1e-6)


def test_equal_weights_change_nothing() -> None:
    """Whatever their size; other weights change the order."""
    rng = np.random.default_rng(8)
    queries, items = rng.normal(size=(5, 8)), rng.normal(size=(60, 8))
    plain = compare(queries, items, Similarity.COSINE).similarities

    same = compare(queries, items, Similarity.WEIGHTED_COSINE, np.full(8, 3.0)).similarities
    other = compare(queries, items, Similarity.WEIGHTED_COSINE, np.array([9.0] + 7 * [1.0])).similarities

    np.testing.assert_allclose(same, plain, atol=1e-8)
    assert (np.argsort(-other, axis=1) != np.argsort(-plain, axis=1)).any()
