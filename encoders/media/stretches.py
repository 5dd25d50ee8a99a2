"""A long sound's stretches: about equally long, and cut where it is quiet, so that no word is torn."""

from itertools import pairwise
from typing import Final

import numpy as np

from encoders.base import AudioInput

STRETCH_S: Final = 6.0
"""Length aimed at: a spoken sentence or two. Sounds too long for the number allowed get longer ones."""

_HOP_S: Final = 0.02
_PAUSE_HOPS: Final = 5  # a tenth of a second: shorter than a pause between words, longer than a stop within one
_REACH: Final = 0.25  # how far a cut may move, in parts of a stretch: no stretch is shorter than half of another

Samples = tuple[int, int]
"""Where a stretch begins and ends, in samples."""


def stretches(sound: AudioInput, *, most: int) -> list[Samples]:
    """Cut a sound into at most ``most`` stretches that cover all of it, in order; one of less than 9 s is one."""
    total = sound.samples.shape[0]
    length = total / sound.sample_rate_hz
    count = max(1, min(most, round(length / STRETCH_S)))
    if count == 1:
        return [(0, total)]
    hop = max(1, round(_HOP_S * sound.sample_rate_hz))
    levels = _levels_db(sound, hop)
    cuts = [_quietest(levels, place * len(levels) / count, _REACH * len(levels) / count) for place in range(1, count)]
    bounds = [0, *(min(cut * hop, total) for cut in cuts), total]
    return list(pairwise(bounds))


def _levels_db(sound: AudioInput, hop: int) -> list[int]:
    """Loudness around each hop in whole decibels: differences below one are no pause."""
    hops = sound.samples[: sound.samples.shape[0] // hop * hop].reshape(-1, hop)
    power = np.square(hops).mean(axis=1, dtype=np.float64)
    smooth = np.convolve(power, np.full(_PAUSE_HOPS, 1.0 / _PAUSE_HOPS), mode="same")
    levels: list[int] = np.round(10.0 * np.log10(smooth + 1e-10)).astype(int).tolist()
    return levels


def _quietest(levels: list[int], middle: float, reach: float) -> int:
    """The quietest hop within reach, the one nearest to the middle among equals."""
    near = range(max(1, round(middle - reach)), min(len(levels), round(middle + reach) + 1))
    return min(near, key=lambda hop: (levels[hop], abs(hop - middle)))
