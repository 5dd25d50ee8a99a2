"""Items to vectors by the steps of a content worker: fetched, decoded, encoded in batches, averaged."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured, RejectEvent
from config.settings import Settings
from config.vocabulary import Modality
from encoders.alignment.features import PairedFeatures
from encoders.augmentation import augment
from encoders.base import EncoderSet
from encoders.batching import DeviceBatcher
from workers.contracts.content import ContentUpsert
from workers.streams.encoding import mean_direction
from workers.streams.fetch import MediaFetcher
from workers.streams.inputs import Input, InputReader, StageError

TOGETHER: Final = 64
VIEW_SEED: Final = 5
_CLIP: Final = f"modalities.{Modality.VIDEO}"

Advance = Callable[[int, int], object]
"""Told how many items are done, of how many."""

_Vectors = dict[Modality, list[NDArray[np.float32]]]
_Read = tuple[str, list[Input]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How items are encoded.

    Attributes:
        encoders: The profile's; of one length where clips are whole.
        settings: Limits of media, and how the device is used.
        folder: Where ``file://`` may lead beside what the settings allow.
        views: Whether to encode a distorted view of every input too.
        whole_clips: Whether a clip is one vector under ``video``, between its pictures' and its sound's, instead of
            both by themselves.
        advance: Told how far it is.
    """

    encoders: EncoderSet
    settings: Settings
    folder: Path | None = None
    views: bool = False
    whole_clips: bool = False
    advance: Advance = lambda *_: None


def encode_items(items: Sequence[ContentUpsert], encoding: Encoding, problems: list[str]) -> PairedFeatures:
    """Return the items' vectors; an item of which a part cannot be had is told in ``problems`` and left out.

    Raises:
        Misconfigured: Nothing could be read.
    """
    rows = asyncio.run(_encode(items, encoding, problems))
    if not rows:
        raise Misconfigured("no item could be read", *problems[:5])
    return PairedFeatures(
        item_ids=tuple(item_id for item_id, _, _ in rows),
        vectors=_tables([own for _, own, _ in rows], encoding.encoders),
        views=_tables([seen for _, _, seen in rows], encoding.encoders) if encoding.views else {},
    )


async def _encode(
    items: Sequence[ContentUpsert], encoding: Encoding, problems: list[str]
) -> list[tuple[str, _Vectors, _Vectors]]:
    media = encoding.settings.media
    if encoding.folder is not None:
        media = media.model_copy(update={"allowed_folders": (*media.allowed_folders, encoding.folder.resolve())})
    rows: list[tuple[str, _Vectors, _Vectors]] = []
    async with AsyncExitStack() as stack:
        batcher = DeviceBatcher(encoding.encoders, encoding.settings.model)
        stack.push_async_callback(batcher.close)
        fetcher = await stack.enter_async_context(MediaFetcher(media))
        reader = InputReader(fetcher, media, encoding.encoders.modalities)
        stack.callback(reader.close)
        for start in range(0, len(items), TOGETHER):
            some = items[start : start + TOGETHER]
            whole = encoding.whole_clips
            inputs = await asyncio.gather(*(_inputs(reader, event, problems, whole_clips=whole) for event in some))
            own = await _vectors(batcher, inputs, problems, whole_clips=whole)
            seen = own
            if encoding.views:
                seen = await _vectors(batcher, _distorted(inputs, start), problems, whole_clips=whole)
            rows += [row for row in zip((event.item_id for event in some), own, seen, strict=True) if row[1] and row[2]]
            encoding.advance(start + len(some), len(items))
    return rows


async def _inputs(reader: InputReader, event: ContentUpsert, problems: list[str], *, whole_clips: bool) -> _Read:
    made: list[Input] = []
    present = event.modalities.present()
    for modality, content in present.items():
        try:
            read = await reader.read(modality, content, f"modalities.{modality}")
        except StageError as exc:
            problems.append(f"item {event.item_id}: {exc}")
            return event.item_id, []
        # As for a content worker: a clip's parts count where the item has none of its own.
        whole = whole_clips or modality is not Modality.VIDEO
        made += [one for one in read if whole or one.modality not in present]
    return event.item_id, made


def _distorted(inputs: Sequence[_Read], start: int) -> list[_Read]:
    made = []
    for place, (item_id, each) in enumerate(inputs):
        rng = np.random.default_rng([VIEW_SEED, start + place])
        views = [replace(one, value=augment(one.modality, one.value, rng)) for one in each]
        made.append((item_id, views))
    return made


async def _vectors(
    batcher: DeviceBatcher, inputs: Sequence[_Read], problems: list[str], *, whole_clips: bool
) -> list[_Vectors]:
    outcomes = iter(await batcher.encode_many([(one.modality, one.value) for _, each in inputs for one in each]))
    found: list[_Vectors] = []
    for item_id, each in inputs:
        vectors: _Vectors = {}
        clip: _Vectors = {}
        for one in each:
            outcome = next(outcomes)
            if isinstance(outcome, RejectEvent):
                problems.append(f"item {item_id}: {outcome}")
            else:
                into = clip if whole_clips and one.field.startswith(_CLIP) else vectors
                into.setdefault(one.modality, []).append(outcome)
        if clip:
            vectors[Modality.VIDEO] = [mean_direction(part) for part in clip.values()]
        found.append(vectors)
    return found


def _tables(rows: Sequence[_Vectors], encoders: EncoderSet) -> dict[Modality, NDArray[np.float32]]:
    lengths = {modality: encoder.dims for modality, encoder in encoders.encoders.items()}
    tables: dict[Modality, NDArray[np.float32]] = {}
    for modality, dims in {**lengths, Modality.VIDEO: encoders.dims}.items():
        if any(modality in row for row in rows):
            table = np.full((len(rows), dims), np.nan, np.float32)
            for place, row in enumerate(rows):
                if modality in row:
                    table[place] = mean_direction(row[modality])
            tables[modality] = table
    return tables
