"""Clips made from renderings are real clips: the same code that reads people's reads them."""

import numpy as np
import pytest

from config.settings import MediaSettings
from encoders.builtin.training.clips import HEIGHT, RATE_HZ, SECONDS, WIDTH, make_clip
from encoders.media.video import decode_video


@pytest.fixture
def rendering() -> np.ndarray:
    """Return a red disc on nothing."""
    rows, columns = np.mgrid[:64, :64]
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[(rows - 32) ** 2 + (columns - 32) ** 2 < 900] = (255, 0, 0, 255)
    return pixels


def reds(pixels: np.ndarray) -> np.ndarray:
    """Return where a picture is red."""
    wide = pixels.astype(int)
    return (wide[..., 0] > 180) & (wide[..., 1] < 60) & (wide[..., 2] < 60)


def test_something_moves_over_a_ground(rendering: np.ndarray) -> None:
    """Pictures have the disc in every frame, not in the same place; a clip without a track has no sound."""
    frames, sound = decode_video(make_clip(rendering, np.random.default_rng(1), graded=False), MediaSettings())

    places = [np.argwhere(reds(frame.pixels)).mean(axis=0) for frame in frames]
    assert all(np.isfinite(place).all() for place in places)
    assert np.abs(places[0] - places[-1]).max() > 5
    assert sound is None
    assert frames[0].pixels.shape == (HEIGHT, WIDTH, 3)


def test_a_plain_ground_is_plain_and_a_graded_one_is_not(rendering: np.ndarray) -> None:
    """The left edge, which the disc never covers, is one colour or goes from one to another."""
    rng = np.random.default_rng(2)
    plain, graded = (
        decode_video(make_clip(rendering, rng, graded=graded), MediaSettings())[0][0].pixels[:, 0].astype(int)
        for graded in (False, True)
    )

    assert np.ptp(plain, axis=0).max() < 20
    assert np.ptp(graded, axis=0).max() > 40


def test_a_clip_may_speak(rendering: np.ndarray) -> None:
    """The sound comes back, as long as it was."""
    tone = np.sin(np.arange(16_000) * 0.2).astype(np.float32) * 0.5
    clip = make_clip(rendering, np.random.default_rng(3), graded=True, sound=tone)
    frames, sound = decode_video(clip, MediaSettings(video_frames=24))

    assert len(frames) == int(SECONDS * RATE_HZ)
    assert sound is not None
    assert sound.samples.size / sound.sample_rate_hz == pytest.approx(1.0, abs=0.15)
