"""Distortions that stand between artists: another angle, other colours, outlines, another ground.

Left-right mirroring is absent on purpose: arrows and pointing hands mean something else when mirrored.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

WHITE = (255, 255, 255)
OUTLINE_INK = (16, 16, 16)


def composite(pixels: NDArray[np.uint8], ground: tuple[int, int, int] = WHITE) -> Image.Image:
    """Return RGBA pixels of shape (h, w, 4) as an RGB picture on one colour."""
    picture = Image.fromarray(pixels)
    canvas = Image.new("RGB", picture.size, ground)
    canvas.paste(picture, mask=picture)
    return canvas


def augment(pixels: NDArray[np.uint8], rng: np.random.Generator, *, keep_hues: bool) -> NDArray[np.uint8]:
    """Return a distorted rendering.

    Args:
        pixels: RGBA of shape (h, w, 4).
        rng: Source of chance; the same state gives the same picture.
        keep_hues: Leave colour channels in their order: for flags, hearts and coloured shapes, which are their colours.

    Returns:
        RGB of shape (h, w, 3).
    """
    drawn = _warp(Image.fromarray(pixels), rng)
    ground = _ground(rng)
    flat = Image.new("RGB", drawn.size, ground)
    flat.paste(_recolour(drawn.convert("RGB"), rng, keep_hues), mask=drawn.getchannel("A"))
    return np.asarray(_soften(_restroke(flat, drawn, ground, rng), rng))


def _warp(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    size = picture.width
    angle = math.radians(float(np.clip(rng.normal(0, 8), -20, 20)))
    shear = rng.uniform(-0.15, 0.15)
    scale_x = rng.uniform(0.72, 1.1)
    scale_y = scale_x * rng.uniform(0.9, 1.1)
    cos, sin = math.cos(angle), math.sin(angle)
    a, b = cos / scale_x, (sin + shear * cos) / scale_x
    d, e = -sin / scale_y, (cos - shear * sin) / scale_y
    middle = size / 2
    shift_x, shift_y = rng.uniform(-6, 6, 2)
    offset_x = middle - a * (middle + shift_x) - b * (middle + shift_y)
    offset_y = middle - d * (middle + shift_x) - e * (middle + shift_y)
    return picture.transform(
        picture.size, Image.Transform.AFFINE, (a, b, offset_x, d, e, offset_y), Image.Resampling.BICUBIC
    )


def _ground(rng: np.random.Generator) -> tuple[int, int, int]:
    kind = rng.random()
    if kind < 0.55:
        return WHITE
    low, high = (185, 256) if kind < 0.8 else (0, 256)
    red, green, blue = (int(value) for value in rng.integers(low, high, 3))
    return red, green, blue


def _recolour(picture: Image.Image, rng: np.random.Generator, keep_hues: bool) -> Image.Image:
    saturation = 0.0 if not keep_hues and rng.random() < 0.12 else rng.uniform(0.5, 1.5)
    picture = ImageEnhance.Color(picture).enhance(saturation)
    picture = ImageEnhance.Contrast(picture).enhance(rng.uniform(0.7, 1.3))
    picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.75, 1.2))
    if rng.random() < 0.2:  # gradients become flat areas, as flat sets draw them
        picture = ImageOps.posterize(picture, int(rng.integers(2, 4)))
    if not keep_hues and rng.random() < 0.1:
        bands = picture.split()
        picture = Image.merge("RGB", [bands[i] for i in rng.permutation(3)])
    return picture


def _restroke(
    flat: Image.Image, drawn: Image.Image, ground: tuple[int, int, int], rng: np.random.Generator
) -> Image.Image:
    kind = rng.random()
    if kind > 0.4:
        return flat
    # Inner edges from the picture's own light and dark, the outer contour from its transparency.
    inner = flat.convert("L").filter(ImageFilter.SMOOTH).filter(ImageFilter.FIND_EDGES)
    threshold = rng.uniform(28, 70)
    lines = inner.point(lambda value: 255 if value > threshold else 0)
    contour = drawn.getchannel("A").filter(ImageFilter.FIND_EDGES).point(lambda value: 255 if value > 60 else 0)
    marks = np.maximum(np.asarray(lines), np.asarray(contour))
    strokes = Image.fromarray(np.pad(marks[2:-2, 2:-2], 2))  # the edge filter marks the frame itself
    if rng.random() < 0.6:
        strokes = strokes.filter(ImageFilter.MaxFilter(3))
    base = Image.new("RGB", flat.size, ground if sum(ground) > 380 else WHITE) if kind < 0.1 else flat
    stroked = base.copy()
    stroked.paste(OUTLINE_INK, mask=strokes.filter(ImageFilter.GaussianBlur(0.6)))
    return stroked


def _soften(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    kind = rng.random()
    if kind < 0.12:
        return picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.4)))
    if kind < 0.24:
        small = int(rng.integers(48, 97))
        return picture.resize((small, small), Image.Resampling.BILINEAR).resize(picture.size, Image.Resampling.BILINEAR)
    return picture
