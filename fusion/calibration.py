"""Similarities of different modality pairs made comparable: each against what does not match in its own pair.

Encoders of different modalities leave their vectors in different cones (the modality gap: Liang et al. 2022), so a
cosine of 0.3 may be a perfect match of text to image and noise of image to image. Distances from the pair's own
background, in standard deviations, mean the same everywhere.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from config.errors import Misconfigured
from config.vocabulary import Background, Calibration, Modality
from fusion.similarity import Matrix

CHANCE_Z: Final = 3.0
"""Where a calibrated value is 0.5: in a bell curve one background item in 740 lies beyond three standard deviations,
so below this chance explains a similarity and above it a match does."""

SPREAD_Z: Final = 2.0
"""How fast calibrated values leave 0.5: with 2, the background's mean lies at 0.08 and a match at 10 deviations at
0.98, and both ends still have room for better and worse."""


def background_of(calibration: Calibration, query: Modality, item: Modality, dims: int) -> Background:
    """The pair's background.

    A pair that was never measured is taken for independent directions, whose cosines have mean 0 and standard
    deviation 1 / √dims; so is whatever is compared with a profile or with an item's mean.

    Raises:
        Misconfigured: When the measured one is not finite or has no spread.
    """
    known = calibration.get((query, item))
    if known is None:
        return Background(mean=0.0, std=1.0 / math.sqrt(dims))
    if not (math.isfinite(known.mean) and math.isfinite(known.std) and known.std > 0):
        raise Misconfigured(f"the calibration of {query} against {item} has no spread: {known}; measure it again")
    return known


def deviations(cosines: Matrix, backgrounds: Sequence[Background]) -> Matrix:
    """Distances of cosines, shape (backgrounds, …), from their own backgrounds in standard deviations; same shape."""
    shape = (len(backgrounds), *[1] * (cosines.ndim - 1))
    means = np.array([background.mean for background in backgrounds], np.float64).reshape(shape)
    stds = np.array([background.std for background in backgrounds], np.float64).reshape(shape)
    return np.asarray((cosines - means) / stds, np.float64)


def calibrated(distances: Matrix, *, chance_z: float = CHANCE_Z, spread_z: float = SPREAD_Z) -> Matrix:
    """Values in (0, 1) of distances in standard deviations: 0.5 at ``chance_z``, slower for larger ``spread_z``."""
    return squash((distances - chance_z) / spread_z)


def calibrate(cosines: Matrix, backgrounds: Sequence[Background]) -> Matrix:
    """Calibrated values in (0, 1) of cosines of shape (backgrounds, …); the same shape."""
    return calibrated(deviations(cosines, backgrounds))


def squash(values: Matrix) -> Matrix:
    """(1 + u / √(1 + u²)) / 2, in (0, 1) and rising everywhere.

    It never saturates: its tails fall as 1 / u², where those of the logistic function vanish as e^-u, so that strong
    matches would be equal in the last digits and tie.
    """
    return np.asarray(0.5 + 0.5 * values / np.sqrt(1.0 + values * values), np.float64)
