"""A second view of an input that means the same: for self-supervised pairs and for robustness."""

from collections.abc import Callable
from typing import Any

import numpy as np

from config.vocabulary import Modality
from encoders.augmentation.audio import augment_audio
from encoders.augmentation.image import augment_image
from encoders.augmentation.readings import augment_location, augment_sensor
from encoders.augmentation.text import augment_text
from encoders.base import EncoderInput

_BY_MODALITY: dict[Modality, Callable[[Any, np.random.Generator, float], EncoderInput]] = {
    Modality.TEXT: augment_text,
    Modality.IMAGE: augment_image,
    Modality.AUDIO: augment_audio,
    Modality.LOCATION: augment_location,
    Modality.SENSOR: augment_sensor,
}


def augment(modality: Modality, item: EncoderInput, rng: np.random.Generator, strength: float = 1.0) -> EncoderInput:
    """Return a distorted copy of an encoder's input; the input stays as it is.

    Args:
        modality: Which encoder takes it; a clip is distorted as its pictures and its sound.
        item: The input.
        rng: Source of chance; the same state gives the same view.
        strength: How far it may go; 0 changes nothing.

    Raises:
        ValueError: ``strength`` is negative, or the modality has no encoder of its own.
    """
    if strength < 0:
        raise ValueError(f"strength must be at least 0, not {strength}")
    if modality not in _BY_MODALITY:
        raise ValueError(f"{modality} has no encoder of its own: distort its pictures and its sound")
    return item if strength == 0 else _BY_MODALITY[modality](item, rng, strength)
