"""Pictures: bytes of any format Pillow reads, to upright sRGB pixels.

The header is read before anything is decoded, so a small file that claims a huge picture costs nothing.
"""

import io
from typing import Final

import numpy as np
from PIL import Image, ImageCms, ImageOps

from config.errors import MediaRejected, Reason
from config.settings import MediaSettings
from encoders.base import ImageInput
from encoders.media.heif import WAY_OUT, is_heic, reads_heic

SHORT_SIDE: Final = 512
"""Pictures are halved, thirded, … while their short side stays at least this: no encoder here looks closer, and
pictures wait for the device in memory."""

_FORMATS_THAT_RUN_OTHERS: Final = frozenset({"EPS", "WMF", "MSP", "FPX", "MIC"})  # EPS starts Ghostscript
_SRGB: Final = ImageCms.createProfile("sRGB")


def decode_image(data: bytes, settings: MediaSettings, *, field: str = "") -> ImageInput:
    """Decode a picture: its first frame, upright (EXIF), in sRGB (embedded colour profile), on white where transparent.

    Args:
        data: The file's bytes.
        settings: ``max_bytes`` and ``max_pixels`` are checked, the latter against the header.
        field: Path of the picture in the event, for the message of a refusal.

    Returns:
        uint8 pixels of shape (height, width, 3); large pictures are reduced by a whole factor (see ``SHORT_SIDE``).

    Raises:
        MediaRejected: If it is empty, too large, of no known format, or broken.
    """
    if not data:
        raise MediaRejected(Reason.MEDIA_EMPTY, "the picture has no bytes", field=field)
    if len(data) > settings.max_bytes:
        message = f"the picture has {len(data)} bytes, more than media.max_bytes ({settings.max_bytes})"
        raise MediaRejected(Reason.MEDIA_TOO_LARGE, message, field=field)
    image = _open(data, field)
    _check_pixels(image, settings, field)
    try:
        return ImageInput(pixels=_to_pixels(image))
    except Exception as exc:  # Pillow's readers raise whatever broken input leads them into
        message = f"the {image.format} picture is broken or cut short ({_words(exc)}); send the whole file again"
        raise MediaRejected(Reason.MEDIA_UNDECODABLE, message, field=field) from exc


def _open(data: bytes, field: str) -> Image.Image:
    if is_heic(data) and not reads_heic():
        raise MediaRejected(Reason.MEDIA_UNDECODABLE, WAY_OUT, field=field)
    try:
        image = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as exc:
        raise MediaRejected(
            Reason.MEDIA_TOO_LARGE, f"the picture is far too large ({_words(exc)})", field=field
        ) from exc
    except Exception as exc:
        raise MediaRejected(Reason.MEDIA_UNDECODABLE, _guess_what_it_is(data), field=field) from exc
    if image.format in _FORMATS_THAT_RUN_OTHERS:
        message = f"{image.format} pictures are not decoded; send PNG, JPEG or WebP"
        raise MediaRejected(Reason.MEDIA_UNDECODABLE, message, field=field)
    return image


def _check_pixels(image: Image.Image, settings: MediaSettings, field: str) -> None:
    width, height = image.size
    if width * height > settings.max_pixels:
        message = f"the picture has {width} × {height} pixels, more than media.max_pixels ({settings.max_pixels})"
        raise MediaRejected(Reason.MEDIA_TOO_LARGE, message, field=field)
    if not width or not height:
        raise MediaRejected(Reason.MEDIA_EMPTY, "the picture has no pixels", field=field)


def _to_pixels(image: Image.Image) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    image.draft("RGB", (SHORT_SIDE * 2, SHORT_SIDE * 2))  # JPEG alone: decodes at 1/2, 1/4 or 1/8, many times faster
    image.load()
    image = ImageOps.exif_transpose(image)
    factor = min(image.size) // SHORT_SIDE
    profile = image.info.get("icc_profile")
    image = _eight_bit(image)
    if factor > 1 and image.mode != "P":
        image = image.reduce(factor)
    image = _to_srgb(image, profile)
    return np.asarray(_on_white(image), dtype=np.uint8)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and floating-point greys to 8 bits; Pillow's own conversion clips them to white."""
    if image.mode == "1" or (image.mode not in {"I", "F"} and not image.mode.startswith("I;16")):
        return image
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    low, high = (0.0, 65_535.0) if image.mode.startswith("I;16") else (min(values.min(), 0.0), values.max())
    if image.mode == "I" and low == 0.0 and high <= 65_535.0:
        high = 65_535.0 if high > 255.0 else 255.0  # 16-bit PNGs of some Pillow versions arrive as 32-bit integers
    scaled = (values - low) * (255.0 / ((high - low) or 1.0))
    return Image.fromarray(scaled.round().clip(0, 255).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile and image.mode in {"RGB", "CMYK", "L", "RGBA"}:
        alpha = image.getchannel("A") if image.mode == "RGBA" else None
        colours = image.convert("RGB") if image.mode == "RGBA" else image
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(colours, source, _SRGB, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            return image  # an unreadable or ill-fitting profile is common, and the picture is fine without it
        if converted is not None:
            if alpha is not None:
                converted.putalpha(alpha)
            return converted
    return image


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _guess_what_it_is(data: bytes) -> str:
    head = data[:1024].lstrip().lower()
    if b"<svg" in head or head.startswith(b"<?xml"):
        return "SVG is a drawing program, not a picture, and is not run here; render it and send PNG, JPEG or WebP"
    if head.startswith((b"<!doctype", b"<html")):
        return "this is a web page, not a picture; give the address of the picture itself"
    if head.startswith(b"%pdf"):
        return "this is a PDF document, not a picture; send PNG, JPEG or WebP"
    return "the bytes are no picture in a known format; send PNG, JPEG, WebP, GIF, TIFF, BMP or AVIF"


def _words(exc: Exception) -> str:
    return str(exc).splitlines()[0][:200] if str(exc) else type(exc).__name__
