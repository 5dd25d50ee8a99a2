"""A person's own files as media for events: big pictures made smaller, the originals untouched, everything inline."""

import base64
import io
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps

from config.vocabulary import Modality
from encoders.media.heif import WAY_OUT, reads_heic

MAX_SIDE_PX: Final = 512  # encoders look at 128 to 384 pixels; more would only fill the topic
_WEBP_QUALITY: Final = 88
_SENT_AS_IT_IS_BYTES: Final = 256 * 1024
_BASE64_GROWTH: Final = 4 / 3
_ENVELOPE_BYTES: Final = 8 * 1024
_HEIC: Final = frozenset({".heic", ".heif"})
# What every worker decodes; a picture in another format is sent again as WebP.
_WEB_FORMATS: Final = frozenset({"JPEG", "PNG", "WEBP", "GIF"})

SUFFIXES: Final[Mapping[Modality, frozenset[str]]] = {
    Modality.IMAGE: frozenset(
        {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"}
    ),
    Modality.AUDIO: frozenset({".wav", ".mp3", ".ogg", ".oga", ".opus", ".flac", ".m4a", ".aac", ".aif", ".aiff"}),
    Modality.VIDEO: frozenset({".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v"}),
    Modality.TEXT: frozenset({".txt", ".md"}),
}


class UnusableFileError(ValueError):
    """A file that cannot become media; the message says why and what to do."""


def modality_of(path: Path) -> Modality | None:
    """What a file is, by its suffix; None for other files."""
    suffix = path.suffix.lower()
    return next((modality for modality, suffixes in SUFFIXES.items() if suffix in suffixes), None)


def media_of(path: Path, modality: Modality, *, max_event_bytes: int) -> dict[str, str]:
    """A file as inline media in the wire's form: ``{"data": …, "media_type": …}``.

    Pictures larger than 512 pixels are turned upright, scaled down and sent as WebP, without the file's metadata.

    Raises:
        UnusableFileError: It cannot be read, or does not fit into an event.
    """
    try:
        data, media_type = _picture(path) if modality is Modality.IMAGE else _as_it_is(path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise UnusableFileError(f"cannot be read ({_reason(exc)})") from exc
    if not data:
        raise UnusableFileError("is empty")
    if len(data) * _BASE64_GROWTH + _ENVELOPE_BYTES > max_event_bytes:
        way_out = "send it by reference (--by-reference, an http address) or raise kafka.max_event_bytes"
        raise UnusableFileError(f"has {len(data)} bytes, too many for one event: {way_out}")
    return {"data": base64.b64encode(data).decode("ascii"), "media_type": media_type}


def _as_it_is(path: Path) -> tuple[bytes, str]:
    return path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _picture(path: Path) -> tuple[bytes, str]:
    if path.suffix.lower() in _HEIC and not reads_heic():
        raise ValueError(WAY_OUT)
    with Image.open(path) as picture:
        if _small_enough(picture, path):
            picture.load()  # a truncated file is told here, not by the worker later
            return path.read_bytes(), Image.MIME[picture.format or "PNG"]
        picture.draft("RGB", (MAX_SIDE_PX * 2, MAX_SIDE_PX * 2))  # JPEG decodes at a fraction, many times faster
        upright = ImageOps.exif_transpose(picture)
        upright.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.LANCZOS)
        plain = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        target = io.BytesIO()
        plain.save(target, "WEBP", quality=_WEBP_QUALITY)
    return target.getvalue(), "image/webp"


def _small_enough(picture: Image.Image, path: Path) -> bool:
    turned = (
        picture.getexif().get(0x0112, 1) != 1
    )  # EXIF orientation: such a picture is turned upright for the encoders
    fits = max(picture.size) <= MAX_SIDE_PX and path.stat().st_size <= _SENT_AS_IT_IS_BYTES
    return fits and not turned and picture.format in _WEB_FORMATS


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "not a picture, or damaged" if isinstance(error, OSError) else str(error)
