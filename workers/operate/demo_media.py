"""What the demo shows instead of words: a picture drawn otherwise, a clip, and an afternoon's readings."""

import base64
import io
from typing import Any, Final

import numpy as np
from PIL import Image, ImageOps

_SHEET: Final = 245  # what is lighter in every colour is the sheet that a picture lies on
_HOURS_S: Final = 3600

# Hour by hour: sultry, then the wind rises, the pressure falls, it darkens, and lightning strikes.
_THUNDERSTORM: Final = (
    (29.5, 58, 1009, 2.0, 0.0, 30, 0),
    (30.2, 61, 1007, 3.5, 0.0, 55, 0),
    (28.0, 74, 1005, 9.0, 1.5, 90, 6),
    (22.5, 93, 1004, 14.0, 18.0, 100, 48),
    (21.0, 95, 1006, 11.0, 12.0, 100, 35),
    (20.5, 94, 1008, 6.0, 4.0, 95, 9),
)


def another_look(encoded: bytes) -> dict[str, str]:
    """The same motif, drawn differently: an exact copy would be found by any hash."""
    changed = ImageOps.mirror(ImageOps.grayscale(_on_white(encoded))).rotate(12, fillcolor=255)
    target = io.BytesIO()
    changed.convert("RGB").save(target, "PNG")
    return inline(target.getvalue(), "image/png")


def clip_of(encoded: bytes) -> dict[str, str]:
    """The motif of a picture, cut out, flying over a sky for two seconds: an MP4 file without a track."""
    from encoders.builtin.training.clips import make_clip  # late: it loads FFmpeg and the speech front end

    pixels = np.asarray(_on_white(encoded))
    cut_out = np.where(pixels.min(axis=-1, keepdims=True) > _SHEET, 0, 255)
    clip = make_clip(np.dstack([pixels, cut_out]).astype(np.uint8), np.random.default_rng(3), graded=True)
    return inline(clip, "video/mp4")


def thunderstorm() -> dict[str, Any]:
    """Six hours of a weather station, as a query part has them."""
    channels = (
        *("temperature_celsius", "relative_humidity_percent", "pressure_hpa", "wind_speed_m_per_s"),
        *("precipitation_mm_per_h", "cloud_cover_percent", "lightning_per_h"),
    )
    return {"channels": list(channels), "sample_rate_hz": 1 / _HOURS_S, "values": [list(row) for row in _THUNDERSTORM]}


def inline(data: bytes, media_type: str) -> dict[str, str]:
    """A medium inside the event."""
    return {"data": base64.b64encode(data).decode("ascii"), "media_type": media_type}


def _on_white(encoded: bytes) -> Image.Image:
    with Image.open(io.BytesIO(encoded)) as picture:
        flat = Image.new("RGBA", picture.size, "white")
        flat.alpha_composite(picture.convert("RGBA"))
    return flat.convert("RGB")
