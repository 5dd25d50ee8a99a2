"""Places moved a little; series of readings with noise, gaps, another scale and another pace.

Um et al., "Data Augmentation of Wearable Sensor Data", 2017, for jitter, scaling and warping.
"""

import numpy as np

from encoders.base import LocationInput, SensorInput

JITTER_KM = 10.0
EARTH_RADIUS_KM = 6371.0088
NOISE, SCALE, GAPS, WARP = 0.05, 0.03, 0.08, 0.2


def augment_location(item: LocationInput, rng: np.random.Generator, strength: float) -> LocationInput:
    """Return a place within 10 km times ``strength``, evenly spread over that disc on the sphere."""
    angle = JITTER_KM * strength * np.sqrt(rng.random()) / EARTH_RADIUS_KM
    bearing = rng.uniform(0, 2 * np.pi)
    latitude, longitude = np.radians(item.latitude), np.radians(item.longitude)
    sine = np.sin(latitude) * np.cos(angle) + np.cos(latitude) * np.sin(angle) * np.cos(bearing)
    moved = np.arcsin(np.clip(sine, -1, 1))
    east = np.arctan2(
        np.sin(bearing) * np.sin(angle) * np.cos(latitude), np.cos(angle) - np.sin(latitude) * np.sin(moved)
    )
    wrapped = (np.degrees(longitude + east) + 180) % 360 - 180
    return LocationInput(latitude=float(np.degrees(moved)), longitude=float(wrapped))


def augment_sensor(item: SensorInput, rng: np.random.Generator, strength: float) -> SensorInput:
    """Return readings of the same shape, float32 (time, channels); noise and scale follow each channel's own spread."""
    values = item.values.astype(np.float64)
    with np.errstate(invalid="ignore"):
        known = np.isfinite(values)
        spread = np.array([np.std(v[k]) if k.any() else 0.0 for v, k in zip(values.T, known.T, strict=True)])
        mean = np.array([np.mean(v[k]) if k.any() else 0.0 for v, k in zip(values.T, known.T, strict=True)])
    values = _warped(values, rng, strength)
    values = mean + (values - mean) * (1 + SCALE * strength * rng.normal(size=len(mean)))
    values = values + rng.normal(size=values.shape) * spread * NOISE * strength
    gaps = rng.random(values.shape) < min(0.9, GAPS * strength)
    gaps &= ~_only_reading(values)  # a channel keeps at least what it has once
    values[gaps] = np.nan
    return SensorInput(channels=item.channels, sample_rate_hz=item.sample_rate_hz, values=values.astype(np.float32))


def _warped(values: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    if len(values) < 4:
        return values
    # The pace varies smoothly; every place takes the nearest reading, so that gaps stay gaps.
    knots = np.cumsum(np.clip(1 + WARP * min(1.0, strength) * rng.normal(size=4), 0.3, None))
    pace = np.interp(np.linspace(0, 3, len(values)), np.arange(4), (knots - knots[0]) / (knots[-1] - knots[0]))
    warped: np.ndarray = values[np.rint(pace * (len(values) - 1)).astype(int)]
    return warped


def _only_reading(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    return np.asarray(known & (np.cumsum(known, axis=0) == 1))
