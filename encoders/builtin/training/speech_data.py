"""Which voices speak for training, and which for tests alone."""

from typing import Final

import numpy as np

from encoders.builtin.training.speech_engines import ESPEAK, FESTIVAL, FLITE, Utterance

SPEED_WPM: Final = (110, 200)
PITCH: Final = (25, 75)
FLITE_SHARE: Final = 0.5  # of English takes

ACCENTS: Final = ("en-us", "en-gb", "en-gb-x-rp", "en-029", "en-us-nyc", "en-gb-x-gbclan", "en-gb-x-gbcwmd")
MANDARIN: Final = "cmn"
VARIANTS: Final = (
    *("m1", "m2", "m3", "m4", "m6", "m7", "f1", "f2", "f4"),
    *("Andy", "Annie", "Mike", "Storm", "belinda", "caleb", "linda", "steph", "klatt2", "klatt4", "whisper"),
)
FLITE_VOICES: Final = ("awb", "rms", "slt")  # kal is the speaker of festival's voice, and stays out
# Never heard in training: three variants and an accent. They alone say what is measured.
HELD_OUT_VOICES: Final = ("en-us+f5", "en-gb+m5", "en-gb-scotland+f3")
HELD_OUT_MANDARIN: Final = ("cmn+f5", "cmn+m5", "cmn+f3")
OTHER_MAKE: Final = "kal_diphone"
"""A voice of festival: another program, made from another person's recordings."""


def draw_utterance(text: str, rng: np.random.Generator, language: str = "en") -> Utterance:
    """Draw a training voice, speed and pitch for a text in English (``en``) or Mandarin (``zh``)."""
    speed, pitch = int(rng.integers(*SPEED_WPM)), int(rng.integers(*PITCH))
    if language == "en" and rng.random() < FLITE_SHARE:
        voice = str(rng.choice(FLITE_VOICES))
        return Utterance(text=text, voice=voice, speed_wpm=speed, pitch=pitch, engine=FLITE)
    accent = str(rng.choice(ACCENTS)) if language == "en" else MANDARIN
    voice = f"{accent}+{rng.choice(VARIANTS)}"
    return Utterance(text=text, voice=voice, speed_wpm=speed, pitch=pitch, engine=ESPEAK)


def held_out(text: str, voice: str) -> Utterance:
    """Say a text in a voice that measures; festival's is known by its name."""
    return Utterance(text=text, voice=voice, engine=FESTIVAL if voice == OTHER_MAKE else ESPEAK)
