"""Pictures seen otherwise: cropped, turned, recoloured, blurred, noisy, with a piece missing.

Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020 (crop and colour matter
most); Zhong et al., "Random Erasing Data Augmentation", 2020. No mirroring: arrows and writing would mean another
thing.
"""

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from encoders.base import ImageInput

CROP, TURN_DEG, COLOUR, BLUR_PX, NOISE, ERASE = 0.3, 12.0, 0.4, 1.2, 8.0, 0.2


def augment_image(item: ImageInput, rng: np.random.Generator, strength: float) -> ImageInput:
    """Return a picture of the same size, uint8 (height, width, 3)."""
    picture = _cropped(Image.fromarray(item.pixels), rng, min(1.0, strength))
    ground = tuple(int(value) for value in np.median(item.pixels.reshape(-1, 3), axis=0))
    picture = picture.rotate(
        float(rng.uniform(-TURN_DEG, TURN_DEG)) * strength, Image.Resampling.BICUBIC, fillcolor=ground
    )
    for enhance in (ImageEnhance.Color, ImageEnhance.Contrast, ImageEnhance.Brightness):
        factor = 1 + COLOUR * strength * rng.uniform(-1, 1)
        picture = enhance(picture).enhance(max(0.05, float(factor)))
    if rng.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, BLUR_PX * strength))))
    pixels = np.asarray(picture) + rng.normal(0, NOISE * strength * rng.random(), item.pixels.shape)
    return ImageInput(pixels=_erased(np.clip(pixels, 0, 255).astype(np.uint8), rng, strength))


def _cropped(picture: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    keep = 1 - CROP * strength * rng.random()
    width, height = max(1, round(picture.width * keep)), max(1, round(picture.height * keep))
    left = int(rng.integers(0, picture.width - width + 1))
    top = int(rng.integers(0, picture.height - height + 1))
    return picture.resize(picture.size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))


def _erased(pixels: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    if rng.random() < 0.25:
        side = min(0.9, ERASE * strength) * rng.random()
        height, width = (max(1, int(size * side)) for size in pixels.shape[:2])
        top = int(rng.integers(0, pixels.shape[0] - height + 1))
        left = int(rng.integers(0, pixels.shape[1] - width + 1))
        pixels = pixels.copy()
        pixels[top : top + height, left : left + width] = rng.integers(0, 256, 3)
    return pixels
