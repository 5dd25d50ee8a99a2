"""Simulated weather looks like itself, towns are parted by number, and Fisher's direction tells what it should."""

import numpy as np
import torch

from encoders.builtin.training.meanings import telling_directions
from encoders.builtin.training.place_data import is_held_out
from encoders.builtin.training.sensor_stage import feature_rows, fit_weather, reading_vectors
from encoders.builtin.training.weather_data import CHANNELS, KINDS, weather_set


def test_the_same_seed_draws_the_same_weather() -> None:
    """Series repeat with their seed, have at least two known channels, a first reading, and no negative rain."""
    series, kinds = weather_set(60, seed=3)
    again, kinds_again = weather_set(60, seed=3)
    other, _ = weather_set(60, seed=4)

    assert (kinds == kinds_again).all()
    assert all(np.array_equal(a.values, b.values, equal_nan=True) for a, b in zip(series, again, strict=True))
    assert any(a.values.shape != b.values.shape for a, b in zip(series, other, strict=True))
    for one in series:
        assert len(one.channels) >= 2
        assert not np.isnan(one.values[0]).any()
        for column, name in enumerate(one.channels):
            if name not in {"temperature_celsius", "pressure_hpa"}:
                assert np.nanmin(one.values[:, column]) >= 0


def test_weather_can_be_learnt() -> None:
    """A short training tells kinds of weather apart at stations never seen, far above chance (1 in 16)."""
    train, kinds = weather_set(2_000, seed=0)
    test, expected = weather_set(300, seed=9)

    tower = fit_weather(feature_rows(train), kinds, seed=0, steps=150)
    tower.weather.values.copy_(torch.eye(len(KINDS), tower.weather.values.shape[1]))

    found = reading_vectors(tower, feature_rows(test))[:, : len(KINDS)].argmax(dim=1).numpy()
    assert (found == expected).mean() > 0.6
    assert len(CHANNELS) == 9


def test_a_town_is_always_on_the_same_side() -> None:
    """About a tenth measure, and which ones follows from their numbers."""
    held = [is_held_out(number) for number in range(10_000)]

    assert 0.08 < np.mean(held) < 0.12
    assert held == [is_held_out(number) for number in range(10_000)]


def test_fishers_direction_ignores_what_varies_within() -> None:
    """Two groups differ by little in one axis and vary wildly in another: the direction is the former."""
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1], 200)
    vectors = rng.normal(size=(400, 8)) * 0.01
    vectors[:, 0] += 1.0  # what all have in common
    vectors[:, 1] += np.where(groups == 0, 0.1, -0.1)
    vectors[:, 2] += rng.normal(size=400) * 0.5 + np.where(groups == 0, 0.1, -0.1)

    told = telling_directions(torch.from_numpy(vectors.astype(np.float32)), groups, shrinkage=1e-5)

    assert told[0][1] > 0.95
    assert told[1][1] < -0.95
