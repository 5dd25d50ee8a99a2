"""Samples at whatever rate they were recorded, brought to the rate a network was trained on."""

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.errors import MediaRejected, Reason
from encoders.base import AudioInput
from encoders.device import prepare_torch

_RATE_STEP_HZ: Final = 25
"""Source rates are rounded to it. The filter bank has source × target / gcd² taps: 47,999 Hz to 16 kHz would take
3 GB, and a fifth of a percent of pitch is nothing to a network."""


def resample(sound: AudioInput, rate_hz: int) -> NDArray[np.float32]:
    """Return the samples at ``rate_hz``, band-limited (windowed sinc, torchaudio), contiguous float32 of shape (n,).

    Raises:
        MediaRejected: If there are no samples.
    """
    if sound.samples.shape[0] == 0:
        raise MediaRejected(Reason.MEDIA_EMPTY, "the sound has no samples")
    samples = np.ascontiguousarray(sound.samples, dtype=np.float32)
    source_hz = max(_RATE_STEP_HZ, round(sound.sample_rate_hz / _RATE_STEP_HZ) * _RATE_STEP_HZ)
    if source_hz == rate_hz:
        return samples
    import torch

    with torch.inference_mode():
        resampled: NDArray[np.float32] = _resampler(source_hz, rate_hz)(torch.from_numpy(samples)).numpy()
    return resampled


@lru_cache(maxsize=16)
def _resampler(source_hz: int, target_hz: int) -> Any:
    prepare_torch()
    from torchaudio.transforms import Resample  # only after prepare_torch

    return Resample(source_hz, target_hz)
