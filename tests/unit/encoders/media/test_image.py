"""Pictures: every format strangers send, and every way in which they are broken."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from config.errors import MediaRejected, Reason
from config.settings import MediaSettings
from encoders.media.image import SHORT_SIDE, decode_image

SETTINGS = MediaSettings()
RED = (220, 30, 20)


def written(image: Image.Image, fmt: str, **options: Any) -> bytes:
    """Return the picture as a file of that format."""
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def two_halves() -> Image.Image:
    """Return a 40 × 20 picture, red on the left and blue on the right."""
    image = Image.new("RGB", (40, 20), (20, 30, 220))
    image.paste(RED, (0, 0, 20, 20))
    return image


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds a few bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def refusal(data: bytes, settings: MediaSettings = SETTINGS) -> MediaRejected:
    """Return the refusal that these bytes meet."""
    with pytest.raises(MediaRejected) as caught:
        decode_image(data, settings, field="modalities.image.data")
    assert caught.value.field == "modalities.image.data"
    return caught.value


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "RGBA", "LA", "I;16", "I", "F"])
def test_decodes_every_colour_mode(mode: str):
    """Grey, palette, bilevel, print colours, transparency, 16 and 32 bit: a light half stays lighter."""
    grey = Image.new("L", (40, 20), 60)
    grey.paste(230, (0, 0, 20, 20))
    if mode in {"I;16", "I", "F"}:
        values = np.asarray(grey).astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode])
        image = Image.fromarray(values * 257 if mode != "F" else values / 255)
    else:
        image = grey.convert(mode)
    pixels = decode_image(written(image, "TIFF" if mode != "P" else "PNG"), SETTINGS).pixels.astype(int)

    assert pixels[:, 2:15].mean() > pixels[:, 25:38].mean() + 100
    assert pixels[:, 2:15].mean() > 200


def test_sixteen_bit_png_is_scaled_and_not_clipped():
    """A 16-bit grey of half brightness is half bright: Pillow's own conversion would make it white."""
    image = Image.fromarray(np.full((8, 8), 32_768, np.uint16))

    assert abs(int(decode_image(written(image, "PNG"), SETTINGS).pixels.mean()) - 128) <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_applies_the_camera_orientation(orientation: int):
    """All eight EXIF orientations show the same upright picture."""
    upright = two_halves()
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that a camera in that position makes
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode_image(written(stored, "PNG", exif=exif), SETTINGS).pixels

    assert np.array_equal(pixels, np.asarray(upright))


def test_applies_the_colour_profile():
    """In a space whose red is sRGB's blue, stored red is seen as blue: the profile is applied and not just dropped."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    data = written(Image.new("RGB", (8, 8), (250, 10, 10)), "PNG", icc_profile=bytes(profile))

    seen = decode_image(data, SETTINGS).pixels[4, 4]

    assert seen[2] > 200
    assert seen[0] < 80


def test_ignores_a_broken_colour_profile():
    """A profile that cannot be read costs the picture nothing."""
    data = written(two_halves(), "PNG", icc_profile=b"not a profile")

    assert np.array_equal(decode_image(data, SETTINGS).pixels, np.asarray(two_halves()))


@pytest.mark.parametrize("fmt", ["PNG", "WEBP"])
def test_transparency_lies_on_white(fmt: str):
    """What is transparent shows white, not the black that lies under it."""
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    image.paste((220, 30, 20, 255), (0, 0, 10, 20))
    pixels = decode_image(written(image, fmt, **({"lossless": True} if fmt == "WEBP" else {})), SETTINGS).pixels

    assert tuple(pixels[10, 15]) == (255, 255, 255)
    assert tuple(pixels[10, 5]) == RED


def test_palette_transparency_lies_on_white():
    """A transparent palette entry is transparent, whatever colour it names."""
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])

    assert decode_image(written(image, "PNG", transparency=0), SETTINGS).pixels.min() == 255


def test_takes_the_first_frame_of_an_animation():
    """An animated GIF is its first picture."""
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "green")]
    data = written(frames[0], "GIF", save_all=True, append_images=frames[1:])

    assert tuple(decode_image(data, SETTINGS).pixels[8, 8]) == (255, 0, 0)


@pytest.mark.parametrize("fmt", ["PNG", "JPEG"])
def test_reduces_large_pictures(fmt: str):
    """Large pictures come out small enough to wait in memory, with their proportions and halves."""
    pixels = decode_image(written(two_halves().resize((4000, 2000)), fmt), SETTINGS).pixels

    assert SHORT_SIDE <= pixels.shape[0] < 2 * SHORT_SIDE
    assert abs(pixels.shape[1] / pixels.shape[0] - 2) < 0.01
    assert pixels[:, 10, 0].mean() > 200


def test_refuses_a_bomb_by_its_header():
    """A file of 200 bytes that claims 200 million pixels is refused before a pixel is decoded."""
    error = refusal(png_header(20_000, 10_000))

    assert error.reason is Reason.MEDIA_TOO_LARGE
    assert "200000000" in error.message
    assert "16000 × 10000" in refusal(png_header(16_000, 10_000)).message


def test_refuses_an_absurd_bomb_by_its_header():
    """So is one beyond what Pillow itself would open."""
    assert refusal(png_header(2_000_000, 2_000_000)).reason is Reason.MEDIA_TOO_LARGE


def test_refuses_too_many_bytes():
    """A file above the limit is refused unread."""
    error = refusal(b"x" * 5000, MediaSettings(max_bytes=4096))

    assert error.reason is Reason.MEDIA_TOO_LARGE
    assert "media.max_bytes" in error.message


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "WEBP", "GIF", "TIFF"])
def test_refuses_a_truncated_picture(fmt: str):
    """Half a file is refused with a word on what to do."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8))
    data = written(noise, fmt)
    error = refusal(data[: len(data) // 2])

    assert error.reason is Reason.MEDIA_UNDECODABLE
    assert "PNG" in error.message or "whole file" in error.message


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\x00\x01\x02\x03 no picture", "known format"),
    ],
)
def test_says_what_it_was_given_instead(data: bytes, word: str):
    """Drawings, pages and documents are refused by name."""
    error = refusal(data)

    assert error.reason is Reason.MEDIA_UNDECODABLE
    assert word in error.message


def test_never_runs_postscript():
    """EPS would start an interpreter; it is refused."""
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"

    assert refusal(eps).reason is Reason.MEDIA_UNDECODABLE


def test_refuses_nothing():
    """No bytes, no picture."""
    assert refusal(b"").reason is Reason.MEDIA_EMPTY


def test_random_bytes_never_escape():
    """Whatever follows a valid start, the answer is pixels or a refusal."""
    random = np.random.default_rng(1)
    starts = [written(two_halves(), fmt) for fmt in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "ICO")]
    for _ in range(40):
        for start in starts:
            data = bytearray(start)
            for place in random.integers(8, len(data), 6):
                data[place] = random.integers(0, 256)
            try:
                assert decode_image(bytes(data), SETTINGS).pixels.shape[2] == 3
            except MediaRejected as error:
                assert error.message
