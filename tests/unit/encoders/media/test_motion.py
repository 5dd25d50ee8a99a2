"""What moves before a still ground is shown nearer and alone; whatever else moves is left as it is."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.base import ImageInput
from encoders.media.motion import attend_to_motion

HEIGHT, WIDTH, SIDE = 120, 200, 30
RED = np.array([220, 20, 20], np.uint8)


def ground(seed: int = 0) -> NDArray[np.uint8]:
    """Dark, with a structure that a median must see through."""
    return np.random.default_rng(seed).integers(0, 100, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def clip(frames: int = 8, *, noise: float = 0.0) -> list[ImageInput]:
    """A red square that crosses the ground from left to right."""
    rng = np.random.default_rng(1)
    shown = []
    for left in np.linspace(5, WIDTH - SIDE - 5, frames).astype(int):
        pixels = ground()
        pixels[40 : 40 + SIDE, left : left + SIDE] = RED
        noisy = pixels + rng.normal(0, noise, pixels.shape)
        shown.append(ImageInput(pixels=noisy.clip(0, 255).astype(np.uint8)))
    return shown


def share_of_red(picture: ImageInput) -> float:
    """How much of a picture is the square."""
    return float((np.abs(picture.pixels.astype(int) - RED).max(axis=-1) < 30).mean())


@pytest.mark.parametrize("noise", [0.0, 4.0])
def test_every_third_picture_is_whole_nearer_or_alone(noise: float) -> None:
    """The square fills most of the nearer pictures, and stands on white in those of it alone."""
    frames = clip(noise=noise)
    shown = attend_to_motion([replace(frame, time_s=float(number)) for number, frame in enumerate(frames)])
    assert [picture.time_s for picture in shown] == list(map(float, range(len(frames))))
    for number, (before, after) in enumerate(zip(frames, shown, strict=True)):
        if number % 3 == 0:
            assert after.pixels is before.pixels
            continue
        height, width = after.pixels.shape[:2]
        assert height == width < HEIGHT
        assert share_of_red(after) > 0.5 > share_of_red(before)
        assert ((after.pixels == 255).all(axis=-1).mean() > 0.1) == (number % 3 == 2)


def test_what_moves_at_the_edge_is_shown_on_white() -> None:
    """A square that reaches over the edge is cut out with white beyond it, not shifted or stretched."""
    frames = clip()
    edge = frames[1].pixels.copy()
    edge[:] = ground()
    edge[40 : 40 + SIDE, :SIDE] = RED
    shown = attend_to_motion([frames[0], ImageInput(pixels=edge), *frames[2:]])[1].pixels
    assert (shown[:, 0] == 255).all()
    assert share_of_red(ImageInput(pixels=shown)) > 0.5


def test_a_moving_camera_changes_nothing() -> None:
    """Where everything differs from frame to frame there is no ground."""
    frames = [ImageInput(pixels=ground(seed) * 2) for seed in range(8)]
    assert all(after is before for before, after in zip(frames, attend_to_motion(frames), strict=True))


@pytest.mark.parametrize(
    "frames",
    [
        [],
        clip(frames=3),
        [ImageInput(pixels=ground())] * 8,
        [*clip(frames=7), ImageInput(pixels=np.zeros((10, 10, 3), np.uint8))],
        [ImageInput(pixels=np.full((1, 1, 3), value, np.uint8)) for value in range(0, 160, 20)],
    ],
    ids=["none", "few", "still", "sizes", "a single pixel"],
)
def test_clips_that_show_no_ground_are_left_as_they_are(frames: list[ImageInput]) -> None:
    """Too few pictures, none that moves, or pictures of several sizes."""
    assert attend_to_motion(frames) == frames
