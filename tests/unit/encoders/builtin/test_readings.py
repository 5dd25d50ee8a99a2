"""Readings become the same features in whatever unit, at whatever rate, with gaps; what is unknown is said to be."""

import numpy as np
import pytest

from encoders.builtin.readings import FEATURES, QUANTITIES, describe_readings, find_channel, known_channels

RNG = np.random.default_rng(0)
CELSIUS = 15 + 5 * np.sin(np.linspace(0, 6, 48)) + RNG.normal(0, 0.2, 48)


def features(channel: str, values: np.ndarray, rate_hz: float = 1 / 3_600) -> np.ndarray:
    """Return the features of one channel."""
    found = describe_readings((channel,), rate_hz, values[:, None])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("channel", "values"),
    [
        ("temperature", CELSIUS),
        ("air_temperature_celsius", CELSIUS),
        ("Temperature Celsius", CELSIUS),
        ("temperature_fahrenheit", CELSIUS * 1.8 + 32),
        ("temperature_kelvin", CELSIUS + 273.15),
    ],
)
def test_units_do_not_matter(channel: str, values: np.ndarray) -> None:
    """The same temperatures in other words are the same features."""
    np.testing.assert_allclose(features(channel, values), features("temperature_celsius", CELSIUS), atol=1e-4)


def test_every_quantity_has_units_that_agree() -> None:
    """Each unit turns one value of its own into the customary one: by hand for one of each kind."""
    expected = {
        "pressure_pa": (101_325, 1_013.25),
        "pressure_inhg": (29.92, 1_013.2),
        "wind_speed_km/h": (36, 10),
        "wind_speed_knots": (10, 5.144),
        "relative_humidity_ratio": (0.5, 50),
        "visibility_m": (800, 0.8),
        "precipitation_in_per_h": (1, 25.4),
        "illuminance_klux": (2, 2_000),
        "lightning_per_min": (2, 120),
    }
    for channel, (given, customary) in expected.items():
        found = find_channel(channel)
        assert found is not None, channel
        assert found[1](np.array([given]))[0] == pytest.approx(customary, rel=1e-3), channel
    assert len(known_channels()) == len(QUANTITIES)
    assert all(find_channel(name) for name in known_channels())


def test_length_and_gaps_hardly_matter() -> None:
    """Four readings for each one, or a third of them lost, leave mean, least and most where they were."""
    whole = features("temperature_celsius", CELSIUS)
    often = features("temperature_celsius", np.repeat(CELSIUS, 4), 4 / 3_600)
    gaps = CELSIUS.copy()
    gaps[RNG.permutation(46)[:16] + 1] = np.nan
    lost = features("temperature_celsius", gaps)

    np.testing.assert_allclose(often[:6], whole[:6], atol=0.05)
    np.testing.assert_allclose(lost[:5], whole[:5], atol=0.1)
    assert often[-1] == pytest.approx(whole[-1], abs=1e-6)


def test_a_single_reading_is_enough() -> None:
    """One moment has a mean, no spread and no trend."""
    found = features("temperature_celsius", np.array([24.0]))

    assert found.shape == (FEATURES,)
    assert found[:8].tolist() == pytest.approx([1, 1, 0, 1, 1, 1, 0, 0])


def test_what_is_unknown_is_left_out() -> None:
    """Unknown channels, unknown units and channels without a reading do not count; alone they are nothing."""
    both = describe_readings(
        ("temperature_celsius", "heart_rate_bpm", "pressure_furlongs"), 1 / 3_600, np.stack([CELSIUS] * 3, 1)
    )
    np.testing.assert_array_equal(both, features("temperature_celsius", CELSIUS))
    assert describe_readings(("heart_rate_bpm",), 1.0, CELSIUS[:, None]) is None
    assert describe_readings(("temperature_celsius",), 1.0, np.full((3, 1), np.nan)) is None


def test_wild_values_stay_finite() -> None:
    """Infinities count as missing and absurd values are clipped: a broken instrument breaks nothing else."""
    values = np.array([1e30, np.inf, -1e30, 5.0])
    found = features("temperature_celsius", values)

    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 10.0
