"""The frozen trunk's maps of every rendering, computed once and kept in half precision on disk.

One file per vendor and view: view 0 is the plain rendering on white, which is what models are tested on; views 1 and
up are augmented, each from a seed made of the run's seed, the vendor and the view, so any file can be made alone.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.builtin.efficientnet import TRUNK_CHANNELS, Trunk
from encoders.builtin.image import normalise, preprocess
from encoders.builtin.training.augment import augment, composite
from encoders.builtin.training.emoji import Concept
from encoders.builtin.training.renderings import load_renderings

MAP_SIDE = 8
PLAIN_VIEW = 0  # on white and undistorted
BATCH = 64
HUE_SUBGROUPS = frozenset({"heart", "geometric", "country-flag", "subdivision-flag", "flag"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorMaps:
    """The trunk's maps of one vendor's renderings in one view.

    Attributes:
        concepts: Index of each rendering's concept, of shape (n,).
        maps: Memory-mapped float16 of shape (n, 112, 8, 8).
    """

    concepts: NDArray[np.int64]
    maps: NDArray[np.float16]


def vendor_maps(
    trunk: Trunk, vendor: str, view: int, concepts: Sequence[Concept], cache: Path, *, seed: int
) -> VendorMaps:
    """Return one vendor's maps in one view, computing them unless they lie in ``cache``."""
    indices, pixels = load_renderings(vendor, concepts, cache)
    store = cache / "activations" / f"{vendor}-{len(indices)}-{'plain' if view == PLAIN_VIEW else f'{seed}-{view}'}.npy"
    rng = np.random.default_rng([seed, view, zlib.crc32(vendor.encode())])
    maps = compute_maps(
        trunk,
        store,
        pixels,
        view=view,
        rng=rng,
        keeps_hues=lambda n: concepts[indices[n]].subgroup in HUE_SUBGROUPS,
    )
    return VendorMaps(concepts=indices, maps=maps)


def compute_maps(
    trunk: Trunk,
    store: Path,
    pixels: NDArray[np.uint8],
    *,
    view: int,
    rng: np.random.Generator,
    keeps_hues: Callable[[int], bool],
) -> NDArray[np.float16]:
    """Return the maps of RGBA pictures (n, h, w, 4) in one view, memory-mapped; computed unless ``store`` has them."""
    if not store.exists():
        store.parent.mkdir(parents=True, exist_ok=True)
        _write(trunk, store, pixels, lambda n: _view(pixels[n], view, rng, keeps_hues(n)))
    return np.asarray(np.load(store, mmap_mode="r"))


def _view(pixels: NDArray[np.uint8], view: int, rng: np.random.Generator, keep_hues: bool) -> NDArray[np.float32]:
    if view == PLAIN_VIEW:
        return preprocess(np.asarray(composite(pixels)))
    return normalise(augment(pixels, rng, keep_hues=keep_hues))


@torch.inference_mode()
def _write(trunk: Trunk, store: Path, pixels: NDArray[np.uint8], picture: Callable[[int], NDArray[np.float32]]) -> None:
    partial = store.with_suffix(".partial.npy")
    shape = (len(pixels), TRUNK_CHANNELS, MAP_SIDE, MAP_SIDE)
    out = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
    for start in range(0, len(pixels), BATCH):
        rows = range(start, min(start + BATCH, len(pixels)))
        batch = torch.from_numpy(np.stack([picture(row) for row in rows]))
        out[rows.start : rows.stop] = trunk(batch.to(memory_format=torch.channels_last)).half().numpy()
    out.flush()
    partial.rename(store)
