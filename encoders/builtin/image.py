"""The image tower: pixels to the aligned space, for drawings and photographs alike.

One frozen trunk carries two tails. The photograph tail is the classifier's own and lands in the space of its class
rows; the drawing tail was tuned on emoji. An embedding is both halves side by side, so its dot product with a text is
the weighted sum of both similarities; how much each half counts depends on how much of the picture is flat colour.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional

from encoders.builtin.efficientnet import FEATURES, Tail, Trunk

INPUT_PX = 128
MEAN = 0.498
DEVIATION = 0.502
DRAWING_DIMS = 192
PHOTO_DIMS = 192
GROUND_TOLERANCE = 14  # of 255: JPEG noise on a plain ground stays below
MAX_ZOOM = 1.4  # more would make a small square a large one
MARGIN = 1.06
# Drawings have areas of exactly one colour: at least 0.3 of the places (median 0.46 in the softest vendor's set, 0.8 in
# the flattest) against at most 0.3 in photographs (median 0.05). The drawing half helps with photographs too.
FLAT_STEP = 0.3 / 255
HALFWAY_FLAT = 0.27
STEEPNESS = 16.0
DRAWING_SHARE, PHOTO_SHARE = 0.97, 0.4


class ImageTower(nn.Module):
    """Pictures of shape (n, 3, 128, 128) to unit vectors of shape (n, DRAWING_DIMS + PHOTO_DIMS)."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.drawing_tail = Tail()
        self.photo_tail = Tail()
        self.drawing_projection = nn.Linear(FEATURES, DRAWING_DIMS)
        self.photo_projection = nn.Linear(FEATURES, PHOTO_DIMS)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return float32 unit vectors for normalised float32 pixels (see ``preprocess``)."""
        maps = self.trunk(pixels.contiguous(memory_format=torch.channels_last))
        return self.project(maps, drawing_share(pixels))

    def project(self, maps: Tensor, share: Tensor) -> Tensor:
        """Return float32 unit vectors for the trunk's maps (n, 112, 8, 8) and their ``drawing_share`` (n,)."""
        drawing = functional.normalize(self.drawing_projection(self.drawing_tail(maps)), dim=1)
        photo = functional.normalize(self.photo_projection(self.photo_tail(maps)), dim=1)
        return torch.cat([share.sqrt()[:, None] * drawing, (1.0 - share).sqrt()[:, None] * photo], dim=1)


def drawing_share(pixels: Tensor) -> Tensor:
    """Return the drawing half's share of each embedding's squared norm, of shape (n,), for normalised pixels."""
    levels = pixels * DEVIATION
    across = (levels[..., :-1, 1:] - levels[..., :-1, :-1]).abs().amax(dim=1)
    down = (levels[..., 1:, :-1] - levels[..., :-1, :-1]).abs().amax(dim=1)
    flat = (torch.maximum(across, down) < FLAT_STEP).float().mean(dim=(1, 2))
    return PHOTO_SHARE + (DRAWING_SHARE - PHOTO_SHARE) * torch.sigmoid(STEEPNESS * (flat - HALFWAY_FLAT))


def preprocess(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a decoded picture as the tower wants it.

    The aspect is always kept. A picture whose frame is one colour is taken for a drawing on a ground: its content is
    centred on a square of that colour and enlarged by at most 1.4, so that margins, which differ between artists, do
    not matter. Any other picture is taken for a photograph: its central square.

    Args:
        rgb: uint8 of shape (height, width, 3), each side at least 1.

    Returns:
        float32 of shape (3, 128, 128).
    """
    ground = _ground(rgb)
    square = _centre_square(rgb) if ground is None else _drawing_square(rgb, ground)
    return normalise(square)


def normalise(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return pixels of shape (h, w, 3) as the backbone wants them: float32 of shape (3, h, w) in about [-1, 1]."""
    scaled = (rgb.astype(np.float32) / 255.0 - MEAN) / DEVIATION
    return np.ascontiguousarray(scaled.transpose(2, 0, 1), dtype=np.float32)


def _ground(rgb: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """The colour of the picture's frame if it has one, with room for a drawing that touches it in places."""
    frame = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]]).astype(np.int16)
    colour = np.median(frame, axis=0)
    plain = (np.abs(frame - colour) <= GROUND_TOLERANCE).all(axis=1)
    return colour.astype(np.uint8) if plain.mean() >= 0.75 else None


def _drawing_square(rgb: NDArray[np.uint8], ground: NDArray[np.uint8]) -> NDArray[np.uint8]:
    distance = np.abs(rgb.astype(np.int16) - ground.astype(np.int16)).max(axis=2)
    rows, columns = np.nonzero(distance > GROUND_TOLERANCE)
    if not len(rows):
        return np.broadcast_to(ground, (INPUT_PX, INPUT_PX, 3))
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    whole = max(rgb.shape[:2])
    side = round(max(MARGIN * max(bottom - top, right - left), whole / MAX_ZOOM))
    canvas = Image.new("RGB", (side, side), tuple(int(value) for value in ground))
    content = Image.fromarray(np.ascontiguousarray(rgb[top:bottom, left:right]))
    canvas.paste(content, ((side - content.width) // 2, (side - content.height) // 2))
    return np.asarray(canvas.resize((INPUT_PX, INPUT_PX), Image.Resampling.BICUBIC))


def _centre_square(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    return np.asarray(ImageOps.fit(picture, (INPUT_PX, INPUT_PX), Image.Resampling.BICUBIC))
