"""Long sounds in stretches: all of it, in order, cut in pauses."""

from itertools import pairwise

import numpy as np
import pytest

from encoders.base import AudioInput
from encoders.media.stretches import stretches

RATE_HZ = 8_000


def noise(seconds: float, pauses_s: tuple[float, ...] = ()) -> AudioInput:
    """Noise with a pause of 0.3 s around each of these times."""
    samples = np.random.default_rng(3).uniform(-0.5, 0.5, round(seconds * RATE_HZ)).astype(np.float32)
    for pause_s in pauses_s:
        samples[round((pause_s - 0.15) * RATE_HZ) : round((pause_s + 0.15) * RATE_HZ)] = 0.0
    return AudioInput(samples=samples, sample_rate_hz=RATE_HZ)


@pytest.mark.parametrize("seconds", [0.001, 1.0, 8.9])
def test_a_short_sound_is_one_stretch(seconds: float) -> None:
    """There is nothing to choose from."""
    sound = noise(seconds)

    assert stretches(sound, most=8) == [(0, sound.samples.shape[0])]


def test_cuts_fall_into_pauses() -> None:
    """Within a quarter of a stretch of where equal parts would end."""
    cuts_s = [start / RATE_HZ for start, _ in stretches(noise(24.0, (5.0, 13.2, 17.0)), most=8)][1:]

    assert np.allclose(cuts_s, [5.0, 13.2, 17.0], atol=0.1)


@pytest.mark.parametrize(("seconds", "count"), [(12.0, 2), (30.0, 5), (48.0, 8), (200.0, 8)])
def test_all_of_it_is_covered(seconds: float, count: int) -> None:
    """End to end, no stretch shorter than half of what equal parts would be; at most as many as allowed."""
    sound = noise(seconds)
    found = stretches(sound, most=8)

    assert len(found) == count
    assert (found[0][0], found[-1][1]) == (0, sound.samples.shape[0])
    assert all(before[1] == after[0] for before, after in pairwise(found))
    assert min(end - start for start, end in found) > 0.45 * sound.samples.shape[0] / count


def test_without_a_pause_the_parts_are_equal() -> None:
    """Silence and a steady noise have no quieter place than the middle."""
    silence = AudioInput(samples=np.zeros(24 * RATE_HZ, np.float32), sample_rate_hz=RATE_HZ)

    assert stretches(silence, most=8) == [(place * 6 * RATE_HZ, (place + 1) * 6 * RATE_HZ) for place in range(4)]
