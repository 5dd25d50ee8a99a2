"""One known good input a modality: warms encoders up, and tells a broken device from a broken input."""

import numpy as np

from config.vocabulary import Modality
from encoders.base import AudioInput, EncoderInput, ImageInput, LocationInput, SensorInput, TextInput

_RATE_HZ = 16_000


def sample_input(modality: Modality) -> EncoderInput:
    """Return a small valid input of that modality.

    Raises:
        ValueError: For video, which has no encoder of its own.
    """
    match modality:
        case Modality.TEXT:
            return TextInput(text="warm up")
        case Modality.IMAGE:
            ramp = np.linspace(0, 255, 256).astype(np.uint8)
            return ImageInput(pixels=np.stack(np.broadcast_arrays(ramp[:, None], ramp, np.uint8(99)), axis=-1))
        case Modality.AUDIO:
            times = np.arange(_RATE_HZ) / _RATE_HZ
            tone = 0.3 * np.sin(2 * np.pi * 300 * times)
            return AudioInput(samples=tone.astype(np.float32), sample_rate_hz=_RATE_HZ)
        case Modality.LOCATION:
            return LocationInput(latitude=35.66, longitude=139.75)
        case Modality.SENSOR:
            values = np.full((8, 1), 21.5, np.float32)
            return SensorInput(channels=("temperature_celsius",), sample_rate_hz=0.1, values=values)
        case Modality.VIDEO:
            msg = "video has no encoder of its own: a clip is encoded as its pictures and its sound"
            raise ValueError(msg)
