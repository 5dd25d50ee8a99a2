"""Sounds: bytes of any container FFmpeg reads, to mono samples."""

from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

from config.errors import MediaRejected, Reason
from config.settings import MediaSettings
from encoders.base import AudioInput
from encoders.media.containers import open_container

HIGHEST_RATE_HZ: Final = 48_000
"""Sounds above it are brought down: no encoder here hears higher, and samples wait for the device in memory."""

_HIGHEST_SENT_HZ: Final = 768_000
"""No recorder writes more; the filter that brings a rate down grows with it, and a header may claim a gigahertz."""


def decode_audio(data: bytes, settings: MediaSettings, *, field: str = "") -> AudioInput:
    """Decode a sound: its best audio track, channels averaged, at most ``settings.max_seconds`` of it.

    Returns:
        float32 samples of shape (n,) in [-1, 1], n ≥ 1, at the track's own rate up to ``HIGHEST_RATE_HZ``.

    Raises:
        MediaRejected: If it is empty, too large, has no audio track, no samples, or is broken from the start.
            A sound that breaks off later counts up to there, as players do.
    """
    with open_container(data, settings, what="sound", field=field) as container:
        if not container.streams.audio:
            raise MediaRejected(Reason.MEDIA_EMPTY, "the file has no audio track", field=field)
        sound = read_track(container, settings.max_seconds)
    if sound is None:
        raise MediaRejected(Reason.MEDIA_EMPTY, "the sound has no samples", field=field)
    return sound


def read_track(container: Any, max_seconds: float) -> AudioInput | None:
    """Decode the best audio track of an open container from where it stands; None if it has no samples.

    Raises:
        av.FFmpegError: If nothing at all could be decoded.
        ValueError: If it claims a rate that no sound has.
    """
    stream = container.streams.best("audio") or container.streams.audio[0]
    rate_hz = min(stream.rate or HIGHEST_RATE_HZ, HIGHEST_RATE_HZ)
    # Channels are averaged here: FFmpeg's own downmix adds them up, and what is louder than 1 would be clipped.
    # Not in planes: PyAV finds the first eight of them, and reads where nothing is for a ninth channel.
    resampler = av.AudioResampler(format="flt", rate=rate_hz)
    limit = max(1, int(max_seconds * rate_hz))
    pieces: list[NDArray[np.float32]] = []
    taken = 0
    try:
        for frame in container.decode(stream):
            _check_rate(frame.sample_rate)
            for piece in resampler.resample(frame):
                pieces.append(_mono(piece))
                taken += pieces[-1].shape[0]
            if taken >= limit:
                break
        else:
            pieces += [_mono(piece) for piece in resampler.resample(None)]
    except (av.FFmpegError, ValueError):  # the latter when the channels change in the middle
        if not taken:
            raise
    samples = np.concatenate(pieces)[:limit] if pieces else np.zeros(0, np.float32)
    if not samples.shape[0]:
        return None
    finite = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)  # files of floats may hold anything
    return AudioInput(samples=finite.clip(-1.0, 1.0).astype(np.float32), sample_rate_hz=rate_hz)


def _check_rate(rate_hz: int) -> None:
    if rate_hz > _HIGHEST_SENT_HZ:
        msg = f"it claims {rate_hz} samples a second, more than the {_HIGHEST_SENT_HZ} of any sound"
        raise ValueError(msg)


def _mono(piece: Any) -> NDArray[np.float32]:
    """The mean of the channels, which lie side by side."""
    samples: NDArray[np.float32] = piece.to_ndarray().reshape(-1, piece.layout.nb_channels).mean(axis=1)
    return samples
