"""Intervals: where the mean of other queries would lie."""

import numpy as np
import pytest

from workers.relevance.bootstrap import interval


def test_an_interval_covers_as_often_as_it_says() -> None:
    """Of 200 samples, about 95 in 100 intervals hold the true mean."""
    rng = np.random.default_rng(0)
    found = [interval([rng.normal(0.3, 1.0, 60)], resamples=400, seed=seed) for seed in range(200)]

    assert 0.90 <= np.mean([one.low <= 0.3 <= one.high for one in found]) <= 0.99


def test_groups_count_alike_however_many_queries_they_have() -> None:
    """The mean over groups of each one's mean."""
    found = interval([np.zeros(1000), np.ones(10)])

    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)


def test_a_paired_difference_is_sharper_than_two_means() -> None:
    """Hard and easy queries cancel out."""
    rng = np.random.default_rng(1)
    hard = rng.random(200)
    a, b = hard + rng.normal(0, 0.01, 200), hard + 0.02 + rng.normal(0, 0.01, 200)

    paired, alone = interval([b - a]), interval([a])

    assert paired.low > 0
    assert paired.high - paired.low < 0.2 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same() -> None:
    """Reports can be repeated."""
    values = [np.random.default_rng(2).random(50)]

    assert interval(values, seed=3) == interval(values, seed=3)
    assert interval(values).rounded()["mean"] == pytest.approx(float(values[0].mean()), abs=1e-4)
