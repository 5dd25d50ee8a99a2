"""Short clips made from renderings: something moves, grows and turns over a ground, and may say its name.

The ground is plain, as in an animated drawing, or graded, as in a filmed one; no clip shows the whole picture still.
"""

import io
from collections.abc import Iterator
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders.builtin.speech import SAMPLE_RATE_HZ

WIDTH: Final = 320
HEIGHT: Final = 240
RATE_HZ: Final = 12
SECONDS: Final = 2.0
DARKEST: Final = 60

Pixels = NDArray[np.uint8]


def make_clip(
    rendering: Pixels, rng: np.random.Generator, *, graded: bool, sound: NDArray[np.float32] | None = None
) -> bytes:
    """Return an MP4 file (MPEG-4 part 2, AAC) of a rendering that moves over a ground.

    Args:
        rendering: RGBA of shape (height, width, 4).
        rng: Draws the ground and the movement.
        graded: Whether the ground goes from one colour to another, or is plain.
        sound: Samples (time,) at 16 kHz, beside the pictures; None for a clip without a track.
    """
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        pictures = container.add_stream("mpeg4", rate=RATE_HZ, width=WIDTH, height=HEIGHT, pix_fmt="yuv420p")
        pictures.bit_rate = 2_000_000
        track = None if sound is None else container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        for pixels in _frames(rendering, rng, graded=graded):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(pictures.encode(None))
        if track is not None and sound is not None:
            frame = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), format="fltp", layout="mono")
            frame.sample_rate = SAMPLE_RATE_HZ
            container.mux(track.encode(frame))
            container.mux(track.encode(None))
    return target.getvalue()


def _frames(rendering: Pixels, rng: np.random.Generator, *, graded: bool) -> Iterator[Pixels]:
    above, below = rng.integers(DARKEST, 256, size=(2, 3))
    below = below if graded else above
    share = np.linspace(0.0, 1.0, HEIGHT)[:, None, None]
    ground = Image.fromarray(np.broadcast_to(above * (1 - share) + below * share, (HEIGHT, WIDTH, 3)).astype(np.uint8))
    picture = Image.fromarray(rendering)
    start, end = rng.uniform(0.2, 0.8, size=(2, 2))
    sizes = rng.uniform(0.45, 0.85, size=2) * HEIGHT
    turns = rng.uniform(-15, 15, size=2)
    for moment in np.linspace(0.0, 1.0, int(SECONDS * RATE_HZ)):
        size = int(sizes[0] + (sizes[1] - sizes[0]) * moment)
        angle = float(turns[0] + (turns[1] - turns[0]) * moment)
        shown = picture.resize((size, size)).rotate(angle, Image.Resampling.BILINEAR)
        middle = start + (end - start) * moment
        canvas = ground.copy()
        canvas.paste(shown, (int(middle[0] * (WIDTH - size)), int(middle[1] * (HEIGHT - size))), mask=shown)
        yield np.asarray(canvas, np.uint8)
