"""What happens to a voice on its way to a machine: rooms, telephones, noise, and silence before and after.

Plain numpy on one clip at a time: float32 samples (time,) at 16 kHz in, the same out, longer where silence was added.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from encoders.builtin.speech import SAMPLE_RATE_HZ

Samples = NDArray[np.float32]
NOISE_DB: Final = (5.0, 35.0)  # signal above noise
LINE_NOISE_DB: Final = 25.0
TELEPHONE_HZ: Final = (300.0, 3_400.0)
TILT_DB_PER_OCTAVE: Final = 4.0  # microphones and rooms colour a voice by about this much
THROAT: Final = (0.86, 1.16)  # of a vocal tract's length: from a tall man's to a child's, seen from an adult's
ECHO_S: Final = (0.1, 0.5)  # time in which a room's echo falls by 60 dB


def augment(samples: Samples, rng: np.random.Generator) -> Samples:
    """Draw a speaker, a room, a microphone and a noise for one clip; about a third of clips stay nearly clean."""
    if rng.random() < 0.7:
        samples = change_throat(samples, float(rng.uniform(*THROAT)))
    if rng.random() < 0.3:
        samples = reverberate(samples, float(rng.uniform(*ECHO_S)), rng)
    samples = colour(samples, float(rng.uniform(-1, 1)) * TILT_DB_PER_OCTAVE, telephone=bool(rng.random() < 0.25))
    samples = np.pad(samples, tuple(rng.integers(0, SAMPLE_RATE_HZ // 3, size=2)))
    if rng.random() < 0.6:
        samples = add_noise(samples, float(rng.uniform(*NOISE_DB)), float(rng.uniform(0, 2)), rng)
    return samples


def through_telephone(samples: Samples, rng: np.random.Generator) -> Samples:
    """Cut a clip to a telephone's band and add line noise 25 dB below it."""
    return add_noise(colour(samples, 0.0, telephone=True), LINE_NOISE_DB, 1.0, rng)


def change_throat(samples: Samples, factor: float) -> Samples:
    """Play faster (``factor`` > 1) or slower, which moves pitch and formants alike: another speaker's throat.

    Speed perturbation after Ko et al. 2015, "Audio Augmentation for Speech Recognition". Linear interpolation dulls
    what lies above 5 kHz, which the spectrogram does not look at.
    """
    count = max(round(samples.size / factor), 1)
    places = np.linspace(0.0, samples.size - 1.0, count)
    return np.interp(places, np.arange(samples.size), samples).astype(np.float32)


def reverberate(samples: Samples, echo_s: float, rng: np.random.Generator) -> Samples:
    """Add a room's echo: noise that falls by 60 dB in ``echo_s``, mixed behind the direct sound."""
    tail = int(echo_s * SAMPLE_RATE_HZ)
    decay = np.exp(-6.9 * np.arange(tail) / tail)  # e^-6.9 is -60 dB
    impulse = rng.standard_normal(tail) * decay
    impulse *= rng.uniform(0.1, 0.5) / np.linalg.norm(impulse)
    impulse[0] += 1.0
    size = samples.size + tail
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(impulse, size), size)
    return wet.astype(np.float32)


def colour(samples: Samples, tilt_db_per_octave: float, *, telephone: bool) -> Samples:
    """Tilt the spectrum around 1 kHz, and cut it to a telephone's band if asked."""
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(samples.size, 1 / SAMPLE_RATE_HZ)
    octaves = np.log2(np.clip(hertz, 125.0, None) / 1_000.0)
    gain = 10.0 ** (tilt_db_per_octave * octaves / 20.0)
    if telephone:
        gain *= (hertz > TELEPHONE_HZ[0]) & (hertz < TELEPHONE_HZ[1])
    return np.fft.irfft(spectrum * gain, samples.size).astype(np.float32)


def add_noise(samples: Samples, above_db: float, slope: float, rng: np.random.Generator) -> Samples:
    """Add noise whose power falls with frequency to the ``slope`` (0 white, 1 pink, 2 brown), ``above_db`` below."""
    spectrum = np.fft.rfft(rng.standard_normal(samples.size))
    hertz = np.clip(np.fft.rfftfreq(samples.size, 1 / SAMPLE_RATE_HZ), 50.0, None)
    noise = np.fft.irfft(spectrum * hertz ** (-slope / 2.0), samples.size)
    wanted = np.sqrt(np.mean(np.square(samples))) * 10.0 ** (-above_db / 20.0)
    noise *= wanted / max(float(np.sqrt(np.mean(np.square(noise)))), 1e-12)
    return (samples + noise).astype(np.float32)
