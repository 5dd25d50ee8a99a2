"""Spoken training data: espeak-ng says the names of things in many voices, accents, speeds and pitches."""

import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured
from encoders.builtin.speech import SAMPLE_RATE_HZ

Samples = NDArray[np.float32]

ESPEAK: Final = "espeak-ng"
INSTALL: Final = f"{ESPEAK} is missing: install it with 'apt-get install espeak-ng'"
ESPEAK_TIMEOUT_S: Final = 30
WAV_HEADER_BYTES: Final = 44
ESPEAK_RATE_HZ: Final = 22_050
SPEED_WPM: Final = (110, 200)
PITCH: Final = (25, 75)  # espeak-ng's own scale, 0 to 99

ACCENTS: Final = ("en-us", "en-gb", "en-gb-x-rp", "en-029", "en-us-nyc", "en-gb-x-gbclan", "en-gb-x-gbcwmd")
VARIANTS: Final = (
    *("m1", "m2", "m3", "m4", "m6", "m7", "f1", "f2", "f4"),
    *("Andy", "Annie", "Mike", "Storm", "belinda", "caleb", "linda", "steph", "klatt2", "klatt4", "whisper"),
)
# Never heard in training: three variants and an accent. They alone say what is measured.
HELD_OUT_VOICES: Final = ("en-us+f5", "en-gb+m5", "en-gb-scotland+f3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One thing to say, and how.

    Attributes:
        text: What is said.
        voice: espeak-ng's voice with its variant, such as ``en-gb+f4``.
        speed_wpm: Words a minute.
        pitch: espeak-ng's pitch, 0 to 99.
    """

    text: str
    voice: str
    speed_wpm: int = 150
    pitch: int = 50


def draw_utterance(text: str, rng: np.random.Generator) -> Utterance:
    """Draw a training voice, speed and pitch for a text."""
    variant = str(rng.choice(VARIANTS))
    accent = str(rng.choice(ACCENTS))
    return Utterance(
        text=text, voice=f"{accent}+{variant}", speed_wpm=int(rng.integers(*SPEED_WPM)), pitch=int(rng.integers(*PITCH))
    )


def speak(utterance: Utterance) -> Samples:
    """Say one utterance; returns float32 samples (time,) at 16 kHz in [-1, 1].

    Raises:
        Misconfigured: espeak-ng is missing, refuses the voice, or says nothing for this text.
    """
    wave = np.frombuffer(_run_espeak(utterance)[WAV_HEADER_BYTES:], np.int16)
    if wave.size == 0:
        msg = f"{ESPEAK} said nothing for {utterance.text!r} in voice {utterance.voice}"
        raise Misconfigured(msg)
    return resample(wave, ESPEAK_RATE_HZ)


def resample(wave: NDArray[np.int16], rate_hz: int) -> Samples:
    """Bring 16-bit mono samples (time,) to float32 at 16 kHz."""
    frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
    frame.sample_rate = rate_hz
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
    parts = [part.to_ndarray()[0] for part in (*resampler.resample(frame), *resampler.resample(None))]
    return np.concatenate(parts).astype(np.float32)


def _run_espeak(utterance: Utterance) -> bytes:
    executable = shutil.which(ESPEAK)
    if executable is None:
        raise Misconfigured(INSTALL)
    command = [executable, "-v", utterance.voice, "-s", str(utterance.speed_wpm), "-p", str(utterance.pitch)]
    command += ["--stdout", "--", utterance.text]
    try:
        done = subprocess.run(command, check=True, capture_output=True, timeout=ESPEAK_TIMEOUT_S)  # noqa: S603
    except subprocess.SubprocessError as exc:
        msg = f"{ESPEAK} failed on {utterance.text!r} in voice {utterance.voice}: {exc}"
        raise Misconfigured(msg) from exc
    return done.stdout
