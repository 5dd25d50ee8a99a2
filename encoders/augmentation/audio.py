"""Sounds heard otherwise: masked in time and frequency, noisy, louder, faster, over a telephone.

Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition", 2019, applied to the
short-time spectrum and turned back into samples, so that it serves any encoder; Ko et al., "Audio Augmentation for
Speech Recognition", 2015, for speed.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.base import AudioInput
from encoders.device import prepare_torch

GAIN_DB, SPEED, QUIETEST_SNR_DB, MASK_S, MASK_SHARE = 9.0, 0.12, 12.0, 0.25, 0.12
TELEPHONE_HZ = (300.0, 3400.0)
TELEPHONE_CHANCE = 0.2
_FFT = 512
_SHORTEST = 2 * _FFT


def augment_audio(item: AudioInput, rng: np.random.Generator, strength: float) -> AudioInput:
    """Return samples at the same rate, float32 in [-1, 1]; only speed changes their number, by an eighth at most.

    Sounds of fewer than 1,024 samples have no spectrum worth masking: they get gain and noise alone.
    """
    samples = item.samples.astype(np.float32)
    if len(samples) >= _SHORTEST:
        samples = change_speed(samples, 1 + SPEED * min(1.0, strength) * float(rng.uniform(-1, 1)))
        samples = _masked(samples, item.sample_rate_hz, rng, strength)
        if rng.random() < TELEPHONE_CHANCE * strength:
            samples = telephone(samples, item.sample_rate_hz)
    gain = 10 ** (GAIN_DB * strength * rng.uniform(-1, 0.3) / 20)
    samples = _noisy(samples, rng, strength) * gain
    return AudioInput(samples=np.clip(samples, -1, 1).astype(np.float32), sample_rate_hz=item.sample_rate_hz)


def change_speed(samples: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Return samples (n,) played ``factor`` times as fast, pitch included."""
    places = np.arange(0, len(samples) - 1, factor)
    return np.asarray(np.interp(places, np.arange(len(samples)), samples), np.float32)


def telephone(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """Return samples (n,) as a telephone passes them: 300 to 3,400 Hz, in 8-bit mu-law steps (ITU-T G.711)."""
    prepare_torch()
    from torchaudio import functional as audio  # only after prepare_torch

    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    spectrum[(frequencies < TELEPHONE_HZ[0]) | (frequencies > TELEPHONE_HZ[1])] = 0
    passed = torch.from_numpy(np.fft.irfft(spectrum, len(samples)).astype(np.float32)).clamp(-1, 1)
    coded: NDArray[np.float32] = audio.mu_law_decoding(audio.mu_law_encoding(passed, 256), 256).numpy()
    return coded


def _masked(
    samples: NDArray[np.float32], rate_hz: int, rng: np.random.Generator, strength: float
) -> NDArray[np.float32]:
    window = torch.hann_window(_FFT)
    spectrum = torch.stft(torch.from_numpy(samples), _FFT, window=window, return_complex=True)
    bands, frames = spectrum.shape
    longest = min(frames // 3, int(MASK_S * strength * rate_hz / (_FFT // 4)))
    for axis, widest, size in ((0, int(bands * MASK_SHARE * strength), bands), (1, longest, frames)):
        width = int(rng.integers(0, max(1, min(widest, size - 1)) + 1))
        start = int(rng.integers(0, size - width + 1))
        spectrum.narrow(axis, start, width).zero_()
    masked: NDArray[np.float32] = torch.istft(spectrum, _FFT, window=window, length=len(samples)).numpy()
    return masked


def _noisy(samples: NDArray[np.float32], rng: np.random.Generator, strength: float) -> NDArray[np.float32]:
    level = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if len(samples) else 0.0
    snr_db = rng.uniform(QUIETEST_SNR_DB, 50) - 6 * (strength - 1)
    return np.asarray(samples + rng.normal(0, 1, len(samples)) * level * 10 ** (-snr_db / 20), np.float32)
