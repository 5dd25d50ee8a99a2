"""Programs that speak: espeak-ng (formants), flite (voices made from people's recordings) and festival (diphones).

The first two speak for training; festival is of another make and speaks for tests alone.
"""

import io
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured
from encoders.builtin.speech import SAMPLE_RATE_HZ

Samples = NDArray[np.float32]

ESPEAK: Final = "espeak-ng"
FLITE: Final = "flite"
FESTIVAL: Final = "festival"
PROGRAMS: Final[Mapping[str, str]] = {ESPEAK: "espeak-ng", FLITE: "flite", FESTIVAL: "text2wave"}
TIMEOUT_S: Final = 30
NORMAL_WPM: Final = 150
HERTZ_AT_0: Final = 70.0
HERTZ_PER_PITCH: Final = 1.6  # flite's mean pitch: 110 Hz at 25, 190 Hz at 75


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One thing to say, and how.

    Attributes:
        text: What is said.
        voice: A voice of the engine: espeak-ng's with its variant, such as ``en-gb+f4``, flite's such as ``slt``,
            festival's such as ``kal_diphone``.
        speed_wpm: Words a minute; festival has its own.
        pitch: 0 to 99 from low to high, 50 is the voice's own with espeak-ng; festival has its own.
        engine: ``espeak-ng``, ``flite`` or ``festival``.
    """

    text: str
    voice: str
    speed_wpm: int = NORMAL_WPM
    pitch: int = 50
    engine: str = ESPEAK


def speak(utterance: Utterance) -> Samples:
    """Say one utterance; returns float32 samples (time,) at 16 kHz in [-1, 1].

    Raises:
        Misconfigured: The engine is missing, refuses the voice, or says nothing for this text.
    """
    sound, rate_hz = _samples(_run(utterance))
    if sound.size == 0:
        raise Misconfigured(f"{utterance.engine} said nothing for {utterance.text!r} in voice {utterance.voice}")
    return resample(sound, rate_hz)


def is_there(engine: str) -> bool:
    """Whether an engine is installed."""
    return shutil.which(PROGRAMS[engine]) is not None


def resample(sound: NDArray[np.int16], rate_hz: int) -> Samples:
    """Bring 16-bit mono samples (time,) to float32 at 16 kHz."""
    frame = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
    frame.sample_rate = rate_hz
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
    parts = [part.to_ndarray()[0] for part in (*resampler.resample(frame), *resampler.resample(None))]
    return np.concatenate(parts).astype(np.float32)


def _samples(data: bytes) -> tuple[NDArray[np.int16], int]:
    # A program that writes to a pipe cannot know the length beforehand and claims too much: read what is there.
    with wave.open(io.BytesIO(data)) as reader:
        rate_hz = reader.getframerate()
        frames = reader.readframes(reader.getnframes())
    return np.frombuffer(frames[: len(frames) // 2 * 2], np.int16), rate_hz


def _run(utterance: Utterance) -> bytes:
    program = PROGRAMS[utterance.engine]
    executable = shutil.which(program)
    if executable is None:
        raise Misconfigured(f"{program} is missing: install it with 'apt-get install {utterance.engine}'")
    try:
        if utterance.engine == ESPEAK:
            return _output([executable, *_espeak_options(utterance)])
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "said.wav"
            if utterance.engine == FLITE:
                _output([executable, *_flite_options(utterance), "-o", str(out)])
            else:
                command = [executable, "-eval", f"(voice_{utterance.voice})", "-o", str(out)]
                _output(command, utterance.text)
            return out.read_bytes()
    except (OSError, subprocess.SubprocessError) as exc:
        msg = f"{utterance.engine} failed on {utterance.text!r} in voice {utterance.voice}: {exc}"
        raise Misconfigured(msg) from exc


def _espeak_options(utterance: Utterance) -> list[str]:
    voice = ["-v", utterance.voice, "-s", str(utterance.speed_wpm), "-p", str(utterance.pitch)]
    return [*voice, "--stdout", "--", utterance.text]


def _flite_options(utterance: Utterance) -> list[str]:
    stretch = NORMAL_WPM / utterance.speed_wpm
    hertz = HERTZ_AT_0 + HERTZ_PER_PITCH * utterance.pitch
    prosody = ["--setf", f"duration_stretch={stretch:.3f}", "--setf", f"int_f0_target_mean={hertz:.0f}"]
    return ["-voice", utterance.voice, *prosody, "-t", utterance.text]


def _output(command: Sequence[str], text: str = "") -> bytes:
    done = subprocess.run(  # noqa: S603 - no shell, and the program was looked up by us
        list(command), check=True, capture_output=True, input=text.encode(), timeout=TIMEOUT_S
    )
    return done.stdout
