"""Paired items from a file of content events to vectors, by the same steps as a content worker takes."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured, RejectEvent
from config.settings import Settings
from config.vocabulary import Modality
from encoders.alignment.features import PairedFeatures
from encoders.augmentation import augment
from encoders.base import EncoderSet
from encoders.batching import DeviceBatcher
from workers.contracts.content import ContentDelete, ContentUpsert
from workers.contracts.topics import Topic
from workers.operate.jsonl import read_events
from workers.streams.encoding import mean_direction
from workers.streams.fetch import MediaFetcher
from workers.streams.inputs import Input, InputReader, StageError

CACHE = "features.npz"
TOGETHER = 64
VIEW_SEED = 5

Advance = Callable[[int], object]
_Vectors = dict[Modality, list[NDArray[np.float32]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """What a file held.

    Attributes:
        features: Vectors of the items that could be read, with second views if they were asked for.
        problems: Lines and items that could not, each with its number or id and what is wrong.
    """

    features: PairedFeatures
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    file: Path
    encoders: EncoderSet
    settings: Settings
    views: bool
    problems: list[str]
    advance: Advance


def read_pairs(
    file: Path, encoders: EncoderSet, settings: Settings, *, views: bool, folder: Path, advance: Advance
) -> Pairs:
    """Read and encode a file's items; the vectors are kept in ``folder``, so that going on encodes nothing again.

    A line that is no content event, and an item of which a part cannot be had, is told and left out. Of two events
    with one id the later counts; deletions take an item out. ``file://`` addresses may lead into the file's own folder.

    Args:
        file: JSON lines in the content topic's format.
        encoders: Without heads.
        settings: Limits of events and media.
        views: Whether to encode a distorted view of every input too.
        folder: Gets ``features.npz``.
        advance: Told how many items were encoded.

    Raises:
        Misconfigured: The file cannot be read, or nothing in it can.
    """
    try:
        data = file.read_bytes()
    except OSError as exc:
        raise Misconfigured(f"{file} cannot be read: {exc.strerror}") from exc
    mark = hashlib.sha256(data + f"{encoders.model} {sorted(encoders.modalities)} {views}".encode()).hexdigest()
    if (kept := _load(folder / CACHE, mark)) is not None:
        return kept
    problems: list[str] = []
    events = _items(data, settings, problems)
    work = _Work(file=file, encoders=encoders, settings=settings, views=views, problems=problems, advance=advance)
    pairs = asyncio.run(_encode(list(events.values()), work))
    folder.mkdir(parents=True, exist_ok=True)
    _save(folder / CACHE, mark, pairs)
    return pairs


def count_items(file: Path) -> int:
    """Return how many lines a file has, for a progress bar."""
    with file.open("rb") as lines:
        return sum(1 for line in lines if line.strip())


def _items(data: bytes, settings: Settings, problems: list[str]) -> dict[str, ContentUpsert]:
    items: dict[str, ContentUpsert] = {}
    lines = data.splitlines(keepends=True)
    for event in read_events(lines, Topic.CONTENT, settings.kafka, on_bad_line=lambda line: problems.append(str(line))):
        if isinstance(event, ContentUpsert):
            items[event.item_id] = event
        elif isinstance(event, ContentDelete):
            items.pop(event.item_id, None)
    return items


async def _encode(events: Sequence[ContentUpsert], work: _Work) -> Pairs:
    media = work.settings.media
    media = media.model_copy(update={"allowed_folders": (*media.allowed_folders, work.file.parent.resolve())})
    rows: list[tuple[str, _Vectors, _Vectors]] = []
    async with AsyncExitStack() as stack:
        batcher = DeviceBatcher(work.encoders, work.settings.model)
        stack.push_async_callback(batcher.close)
        fetcher = await stack.enter_async_context(MediaFetcher(media))
        reader = InputReader(fetcher, media, work.encoders.modalities)
        stack.callback(reader.close)
        for start in range(0, len(events), TOGETHER):
            some = events[start : start + TOGETHER]
            inputs = await asyncio.gather(*(_inputs(reader, event, work.problems) for event in some))
            own = await _vectors(batcher, inputs, work.problems)
            seen = await _vectors(batcher, _distorted(inputs, start), work.problems) if work.views else own
            rows += [row for row in zip((event.item_id for event in some), own, seen, strict=True) if row[1] and row[2]]
            work.advance(len(some))
    if not rows:
        raise Misconfigured(f"{work.file}: no item could be read", *work.problems[:5])
    features = PairedFeatures(
        item_ids=tuple(item_id for item_id, _, _ in rows),
        vectors=_tables([own for _, own, _ in rows], work.encoders),
        views=_tables([seen for _, _, seen in rows], work.encoders) if work.views else {},
    )
    return Pairs(features=features, problems=tuple(work.problems))


async def _inputs(reader: InputReader, event: ContentUpsert, problems: list[str]) -> tuple[str, list[Input]]:
    made: list[Input] = []
    present = event.modalities.present()
    for modality, content in present.items():
        try:
            read = await reader.read(modality, content, f"modalities.{modality}")
        except StageError as exc:
            problems.append(f"item {event.item_id}: {exc}")
            return event.item_id, []
        # As for a content worker: a clip's parts count where the item has none of its own.
        made += [one for one in read if modality is not Modality.VIDEO or one.modality not in present]
    return event.item_id, made


def _distorted(inputs: Sequence[tuple[str, list[Input]]], start: int) -> list[tuple[str, list[Input]]]:
    made = []
    for place, (item_id, each) in enumerate(inputs):
        rng = np.random.default_rng([VIEW_SEED, start + place])
        views = [replace(one, value=augment(one.modality, one.value, rng)) for one in each]
        made.append((item_id, views))
    return made


async def _vectors(
    batcher: DeviceBatcher, inputs: Sequence[tuple[str, list[Input]]], problems: list[str]
) -> list[_Vectors]:
    outcomes = iter(await batcher.encode_many([(one.modality, one.value) for _, each in inputs for one in each]))
    found: list[_Vectors] = []
    for item_id, each in inputs:
        vectors: _Vectors = {}
        for one in each:
            outcome = next(outcomes)
            if isinstance(outcome, RejectEvent):
                problems.append(f"item {item_id}: {outcome}")
            else:
                vectors.setdefault(one.modality, []).append(outcome)
        found.append(vectors)
    return found


def _tables(rows: Sequence[_Vectors], encoders: EncoderSet) -> dict[Modality, NDArray[np.float32]]:
    tables: dict[Modality, NDArray[np.float32]] = {}
    for modality, encoder in encoders.encoders.items():
        if any(modality in row for row in rows):
            table = np.full((len(rows), encoder.dims), np.nan, np.float32)
            for place, row in enumerate(rows):
                if modality in row:
                    table[place] = mean_direction(row[modality])
            tables[modality] = table
    return tables


def _save(path: Path, mark: str, pairs: Pairs) -> None:
    features = pairs.features
    arrays: dict[str, Any] = {f"vectors.{m}": v for m, v in features.vectors.items()}
    arrays |= {f"views.{m}": v for m, v in features.views.items()}
    partial = path.with_suffix(".partial.npz")
    np.savez(
        partial,
        mark=np.array(mark),
        item_ids=np.array(features.item_ids),
        problems=np.array(pairs.problems, dtype=np.str_),
        **arrays,
    )
    partial.replace(path)


def _load(path: Path, mark: str) -> Pairs | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as kept:
        if str(kept["mark"]) != mark:
            return None
        tables = {
            kind: {Modality(key.split(".")[1]): kept[key] for key in kept if key.startswith(f"{kind}.")}
            for kind in ("vectors", "views")
        }
        features = PairedFeatures(item_ids=tuple(map(str, kept["item_ids"])), **tables)
        return Pairs(features=features, problems=tuple(map(str, kept["problems"])))
