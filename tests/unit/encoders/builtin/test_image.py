"""The image tower: what is done to pictures before it, and the two halves it gives."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from encoders.builtin.image import (
    DRAWING_DIMS,
    DRAWING_SHARE,
    INPUT_PX,
    PHOTO_SHARE,
    ImageTower,
    drawing_share,
    normalise,
    preprocess,
)

RED = (200, 20, 20)


def _canvas(height: int, width: int, colour: tuple[int, int, int] = (255, 255, 255)) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, dtype=np.uint8)


def _noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _red_box(pixels: NDArray[np.float32]) -> tuple[int, int, int, int]:
    red = pixels[0] - pixels[2] > 0.5
    rows, columns = np.nonzero(red)
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (128, 128), (999, 10), (2000, 1500)])
def test_any_shape_becomes_the_input_size(shape: tuple[int, int]) -> None:
    """Every picture becomes float32 of 3 x 128 x 128 with values in about [-1, 1]."""
    for picture in (_noise(*shape), _canvas(*shape)):
        pixels = preprocess(picture)
        assert pixels.shape == (3, INPUT_PX, INPUT_PX)
        assert pixels.dtype == np.float32
        assert np.abs(pixels).max() < 1.01


def test_a_drawing_is_centred_and_enlarged_up_to_the_limit() -> None:
    """A small drawing in a corner comes to the middle, and grows by no more than 1.4."""
    picture = _canvas(100, 100)
    picture[5:25, 5:25] = RED
    top, bottom, left, right = _red_box(preprocess(picture))
    assert top + bottom == pytest.approx(INPUT_PX, abs=3)
    assert left + right == pytest.approx(INPUT_PX, abs=3)
    assert bottom - top == pytest.approx(20 * 1.4 * INPUT_PX / 100, abs=3)


def test_margins_of_a_drawing_do_not_matter() -> None:
    """The same drawing with narrow and with wide margins gives the same picture."""
    narrow, wide = _canvas(90, 90), _canvas(110, 110)
    narrow[5:85, 5:85] = RED
    wide[15:95, 15:95] = RED
    assert np.abs(preprocess(narrow) - preprocess(wide)).mean() < 0.01


def test_a_wide_drawing_keeps_its_aspect() -> None:
    """A drawing is never squeezed or cut: it gets ground above and below."""
    picture = _canvas(60, 200)
    picture[20:40, 10:190] = RED
    top, bottom, left, right = _red_box(preprocess(picture))
    assert (right - left) / (bottom - top) == pytest.approx(9.0, rel=0.15)


def test_a_photograph_is_cut_to_its_central_square() -> None:
    """A picture without a plain frame loses its ends and keeps its middle."""
    picture = _noise(128, 256)
    expected = normalise(picture[:, 64:192])
    assert np.abs(preprocess(picture) - expected).mean() < 0.02


def test_flat_pictures_count_as_drawings_and_noisy_ones_as_photographs() -> None:
    """The drawing half's share is high where colours are flat and low where they are not."""
    drawing = _canvas(128, 128)
    drawing[30:90, 30:90] = RED
    pixels = torch.from_numpy(np.stack([preprocess(drawing), preprocess(_noise(300, 300))]))
    drawn, photographed = drawing_share(pixels).tolist()
    assert drawn == pytest.approx(DRAWING_SHARE, abs=0.01)
    assert photographed == pytest.approx(PHOTO_SHARE, abs=0.02)


def test_the_tower_gives_unit_vectors_of_both_halves() -> None:
    """Vectors have unit norm, and the first half's squared norm is the drawing's share."""
    torch.manual_seed(0)
    tower = ImageTower().eval()
    pixels = torch.from_numpy(np.stack([preprocess(_canvas(50, 50, RED)), preprocess(_noise(50, 50))]))
    with torch.inference_mode():
        vectors = tower(pixels)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(vectors[:, :DRAWING_DIMS].pow(2).sum(dim=1), drawing_share(pixels))


def test_neighbours_in_a_batch_do_not_matter() -> None:
    """A picture's vector is the same alone and in company."""
    torch.manual_seed(0)
    tower = ImageTower().eval()
    pixels = torch.from_numpy(np.stack([preprocess(_noise(40, 40)), preprocess(_canvas(40, 40, RED))]))
    with torch.inference_mode():
        torch.testing.assert_close(tower(pixels)[1:], tower(pixels[1:]), rtol=1e-4, atol=1e-5)
