"""Silent clips for items that are to be measured: each shows the item's picture on the move."""

import io
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from encoders.builtin.training.clips import make_clip

CLIPS: Final = 320
SEED: Final = 99
MEDIA_TYPE: Final = "video/mp4"
_WHITE_TOLERANCE: Final = 24  # of 3 x 255: what WebP does to a white ground
_CLEAR: Final = (255, 0, 255)

Pixels = NDArray[np.uint8]


def choose_for_clips(
    count: int, measured: Sequence[int], placed: Sequence[int], clips: int = CLIPS
) -> NDArray[np.int64]:
    """Return which of ``count`` things get a clip, ascending.

    Args:
        count: Things.
        measured: Those with readings: all of them get one.
        placed: Those with a place: a fifth of the clips, evenly spread.
        clips: Clips in all; what is left is spread evenly over the other things.
    """
    chosen = np.union1d(np.array(measured, np.int64), _evenly(np.array(placed, np.int64), clips // 5))
    others = np.setdiff1d(np.arange(count), [*measured, *placed])
    return np.union1d(chosen, _evenly(others, max(clips - len(chosen), 0)))


def silent_clip(rendering: Pixels, number: int) -> bytes:
    """Return an MP4 file of a rendering (height, width, 4) that moves over a graded ground; ``number`` seeds it."""
    return make_clip(rendering, np.random.default_rng([SEED, number]), graded=True)


def cut_out(picture: bytes) -> Pixels:
    """Return RGBA pixels of a picture on white, its ground clear: white that the frame's corners reach."""
    with Image.open(io.BytesIO(picture)) as opened:
        flat = opened.convert("RGB")
    shown, ground = np.asarray(flat), flat.copy()
    right, bottom = flat.width - 1, flat.height - 1
    for corner in ((0, 0), (right, 0), (0, bottom), (right, bottom)):
        if int((255 - shown[corner[1], corner[0]].astype(np.int64)).sum()) <= _WHITE_TOLERANCE:
            ImageDraw.floodfill(ground, corner, _CLEAR, thresh=_WHITE_TOLERANCE)
    clear = (np.asarray(ground) == _CLEAR).all(axis=2)
    return np.dstack([shown, np.where(clear, 0, 255).astype(np.uint8)])


def _evenly(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64)] if len(rows) else rows
