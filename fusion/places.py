"""Distances on the Earth, and how a place prefers what is near."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from config.vocabulary import Attributes
from fusion.request import Near
from fusion.similarity import Matrix

EARTH_KM: Final = 6371.0088
"""Mean radius (IUGG)."""


def distances_km(near: Near, attributes: Sequence[Attributes]) -> Matrix:
    """Great-circle distance to each item's ``latitude`` and ``longitude``, shape (items,); NaN for items without."""
    degrees = np.array([[_degrees(each, "latitude"), _degrees(each, "longitude")] for each in attributes], np.float64)
    latitude, longitude = np.radians(degrees.reshape(len(attributes), 2)).T
    own_latitude, own_longitude = np.radians([near.latitude, near.longitude])
    # The haversine form stays exact for near places, where the law of cosines cancels out.
    half = np.sin((latitude - own_latitude) / 2) ** 2
    half += np.cos(own_latitude) * np.cos(latitude) * np.sin((longitude - own_longitude) / 2) ** 2
    return np.asarray(2.0 * EARTH_KM * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0))), np.float64)


def closeness(distances: Matrix, scale_km: float) -> Matrix:
    """1 at the place, half of it every ``scale_km``; NaN stays NaN."""
    return np.asarray(np.exp2(-distances / scale_km), np.float64)


def _degrees(attributes: Attributes, name: str) -> float:
    value = attributes.get(name)
    return float(value) if isinstance(value, int | float) else float("nan")
