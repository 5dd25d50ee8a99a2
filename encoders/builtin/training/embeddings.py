"""Vectors of known things by the towers of a weights folder: vendors' pictures, names and spoken names."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.builtin.artifacts import IMAGE_FILE, load_image_tower, load_manifest, load_text_head
from encoders.builtin.image import ImageTower, drawing_share, preprocess
from encoders.builtin.speech import SpeechTower
from encoders.builtin.training.activations import PLAIN_VIEW, vendor_maps
from encoders.builtin.training.augment import composite
from encoders.builtin.training.emoji import Concept
from encoders.builtin.training.packages import DEFAULT_CACHE
from encoders.builtin.training.renderings import load_renderings
from encoders.builtin.training.speech_features import SpokenFeatures
from encoders.builtin.training.texts import encode_texts
from encoders.progress import track

Vectors = NDArray[np.float32]
BATCH = 32


def embed_texts(texts: Sequence[str], folder: Path | None = None, cache: Path = DEFAULT_CACHE) -> Vectors:
    """Return unit vectors (n, dims) of texts by the text head in ``folder``."""
    features = torch.from_numpy(encode_texts(texts, cache).astype(np.float32))
    with torch.inference_mode():
        return np.asarray(load_text_head(folder)(features).numpy(), np.float32)


def embed_pictures(tower: ImageTower, pictures: Sequence[NDArray[np.uint8]]) -> Vectors:
    """Return unit vectors (n, dims) of RGB pictures (height, width, 3), prepared as the image encoder prepares them."""
    parts = []
    starts = range(0, len(pictures), BATCH)
    with torch.inference_mode():
        for start in track(starts, "look at pictures"):
            pixels = np.stack([preprocess(picture) for picture in pictures[start : start + BATCH]])
            parts.append(tower(torch.from_numpy(pixels)).numpy())
    return np.concatenate(parts)


def embed_vendors(
    vendors: Sequence[str], concepts: Sequence[Concept], folder: Path | None = None, cache: Path = DEFAULT_CACHE
) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
    """Yield which concepts each vendor draws (n,), and the vectors (n, dims) of its pictures on white.

    The trunk is frozen in training, so its maps may come from ``cache``; the vectors are kept there too, under the
    image tower's hash, because training and evaluation ask for the same again.
    """
    tower = load_image_tower(folder)
    digest = load_manifest(folder).files[IMAGE_FILE][:16]
    store = cache / "embeddings"
    store.mkdir(parents=True, exist_ok=True)
    for vendor in vendors:
        drawn = vendor_maps(tower.trunk, vendor, PLAIN_VIEW, concepts, cache, seed=0)
        path = store / f"{digest}-{vendor}-{len(drawn.concepts)}.npy"
        if not path.exists():
            shares = _shares(load_renderings(vendor, concepts, cache)[1])
            np.save(path, _project(tower, drawn.maps, shares, f"look at {vendor}"))
        yield drawn.concepts, np.load(path)


def _shares(renderings: NDArray[np.uint8]) -> torch.Tensor:
    pixels = (torch.from_numpy(preprocess(np.asarray(composite(rendering)))) for rendering in renderings)
    return torch.cat([drawing_share(picture[None]) for picture in pixels])


def _project(tower: ImageTower, maps: NDArray[np.float16], shares: torch.Tensor, label: str) -> Vectors:
    parts = []
    with torch.inference_mode():
        for start in track(range(0, len(maps), BATCH), label):
            rows = torch.from_numpy(maps[start : start + BATCH].astype(np.float32))
            parts.append(tower.project(rows, shares[start : start + BATCH]))
    return np.asarray(torch.cat(parts).numpy(), np.float32)


def embed_speech(tower: SpeechTower, spoken: SpokenFeatures) -> Vectors:
    """Return unit vectors (n, dims) of utterances whose features are at hand."""
    order = np.argsort(np.diff(spoken.starts), kind="stable")
    vectors = np.zeros((len(spoken), tower.dims), np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            vectors[rows] = tower.head(*spoken.pad(rows)).numpy()
    return vectors
