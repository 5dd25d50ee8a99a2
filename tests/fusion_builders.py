"""Builders of items and collections for the tests of fusion."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Attributes, ItemId, Modality, ModelRef, Version
from fusion.index.protocol import Item, Segment, Tombstone
from fusion.index.segment_layout import quantised

MODEL = ModelRef("test", "1")
DIMS = 32


def unit(seed: int, dims: int = DIMS) -> NDArray[np.float32]:
    """A unit vector of shape (dims,) that only the seed decides."""
    vector = np.random.default_rng(seed).standard_normal(dims)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def item(
    item_id: str,
    *,
    at_ms: int = 1000,
    offset: int = 0,
    vectors: Mapping[Modality, NDArray[np.float32]] | None = None,
    attributes: Attributes | None = None,
    segments: Sequence[Segment] = (),
) -> Item:
    """An item whose one text vector its id decides, unless other vectors are given."""
    default = {Modality.TEXT: unit(sum(item_id.encode()))}
    return Item(
        item_id=ItemId(item_id),
        version=Version(at_ms, offset),
        vectors=default if vectors is None else vectors,
        attributes=attributes or {},
        segments=tuple(segments),
    )


def passage(text: str, vector: NDArray[np.float32] | None, *, start: int = 0) -> Segment:
    """A passage that points where its vector does; without one the item's own stands for it."""
    return Segment(
        modality=Modality.TEXT,
        source=Modality.TEXT,
        start=start,
        end=start + len(text),
        text=text,
        codes=b"" if vector is None else quantised(vector),
    )


def frame(time_s: float | None, vector: NDArray[np.float32] | None) -> Segment:
    """A frame of a clip, or the item's picture where it has no time."""
    return Segment(
        modality=Modality.IMAGE,
        source=Modality.IMAGE if time_s is None else Modality.VIDEO,
        start=time_s,
        end=time_s,
        codes=b"" if vector is None else quantised(vector),
    )


def stretch(start_s: float, end_s: float, vector: NDArray[np.float32] | None) -> Segment:
    """A stretch of a sound."""
    return Segment(
        modality=Modality.AUDIO,
        source=Modality.AUDIO,
        start=start_s,
        end=end_s,
        codes=b"" if vector is None else quantised(vector),
    )


def tombstone(item_id: str, *, at_ms: int = 1000, offset: int = 0) -> Tombstone:
    """A deletion."""
    return Tombstone(item_id=ItemId(item_id), version=Version(at_ms, offset))


def clustered(
    count: int,
    *,
    clusters: int = 100,
    dims: int = 64,
    modalities: Sequence[Modality] = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO),
    seed: int = 7,
) -> tuple[list[Item], NDArray[np.float64]]:
    """Items around cluster centres, some modalities missing, each modality in its own cone (the modality gap).

    Returns:
        The items, and the centres of shape (clusters, dims).
    """
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((clusters, dims))
    gaps = {modality: 0.5 * rng.standard_normal(dims) for modality in modalities}
    return [_clustered_item(place, rng, centres, gaps) for place in range(count)], centres


def _clustered_item(
    place: int, rng: np.random.Generator, centres: NDArray[np.float64], gaps: Mapping[Modality, NDArray[np.float64]]
) -> Item:
    own = centres[rng.integers(len(centres))] + 0.6 * rng.standard_normal(centres.shape[1])
    present = [modality for modality in gaps if rng.random() > 0.25] or [next(iter(gaps))]
    vectors = {}
    for modality in present:
        raw = own + gaps[modality] + 0.4 * rng.standard_normal(centres.shape[1])
        vectors[modality] = (raw / np.linalg.norm(raw)).astype(np.float32)
    attributes: Attributes = {"year": 2000 + int(rng.integers(25)), "category": f"c{rng.integers(10)}"}
    return item(f"item-{place:05d}", vectors=vectors, attributes=attributes)
