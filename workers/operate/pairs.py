"""Paired items from a file of content events to vectors, by the same steps as a content worker takes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from config.errors import Misconfigured
from config.settings import Settings
from config.vocabulary import Modality
from encoders.alignment.features import PairedFeatures
from encoders.base import EncoderSet
from workers.contracts.content import ContentDelete, ContentUpsert
from workers.contracts.topics import Topic
from workers.operate.item_vectors import Advance, Encoding, encode_items
from workers.operate.jsonl import read_events

CACHE: Final = "features.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """What a file held.

    Attributes:
        features: Vectors of the items that could be read, with second views if they were asked for.
        problems: Lines and items that could not, each with its number or id and what is wrong.
    """

    features: PairedFeatures
    problems: tuple[str, ...]


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
        advance: Told how far it is.

    Raises:
        Misconfigured: The file cannot be read, or nothing in it can.
    """
    problems: list[str] = []
    items = read_items(file, settings, problems)
    encoding = Encoding(encoders=encoders, settings=settings, folder=file.parent, views=views, advance=advance)
    return encode_once(items, encoding, folder / CACHE, problems)


def read_items(file: Path, settings: Settings, problems: list[str]) -> list[ContentUpsert]:
    """Return a file's items as they are after its last line; lines that are no content events are told.

    Raises:
        Misconfigured: The file cannot be read.
    """
    try:
        lines = file.read_bytes().splitlines(keepends=True)
    except OSError as exc:
        raise Misconfigured(f"{file} cannot be read: {exc.strerror}") from exc
    items: dict[str, ContentUpsert] = {}
    for event in read_events(lines, Topic.CONTENT, settings.kafka, on_bad_line=lambda line: problems.append(str(line))):
        if isinstance(event, ContentUpsert):
            items[event.item_id] = event
        elif isinstance(event, ContentDelete):
            items.pop(event.item_id, None)
    return list(items.values())


def encode_once(items: Sequence[ContentUpsert], encoding: Encoding, store: Path, problems: Sequence[str] = ()) -> Pairs:
    """Encode items unless ``store`` holds the vectors of the same items by the same encoders.

    Args:
        items: What to encode.
        encoding: How.
        store: An ``.npz`` file, written or read.
        problems: What was wrong before, told with the rest.
    """
    mark = _mark(items, encoding, problems)
    if (kept := _load(store, mark)) is not None:
        return kept
    told = list(problems)
    pairs = Pairs(features=encode_items(items, encoding, told), problems=tuple(told))
    store.parent.mkdir(parents=True, exist_ok=True)
    _save(store, mark, pairs)
    return pairs


def _mark(items: Sequence[ContentUpsert], encoding: Encoding, problems: Sequence[str]) -> str:
    """Hash of all that decides the vectors; media behind addresses are taken to stay what they are."""
    encoders = encoding.encoders
    how = f"{encoders.model} {sorted(encoders.modalities)} {encoding.views} {encoding.whole_clips}"
    digest = hashlib.sha256("\n".join([how, *problems]).encode())
    for item in items:
        digest.update(item.item_id.encode())
        digest.update(item.modalities.model_dump_json().encode())
    return digest.hexdigest()


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
