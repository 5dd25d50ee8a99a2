"""A person's own folder as content events: pictures, sounds, clips and texts, each file an item.

The same file is always the same item, so publishing a folder again changes only what changed. The event carries no
``occurred_at``: what versions an item is when it was published, not when the photograph was taken, else a corrected
date could make an item older than itself. The date goes into the attributes.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.vocabulary import Modality
from workers.contracts.base import MAX_ID_CHARS, MAX_TEXT_CHARS
from workers.contracts.content import ContentUpsert
from workers.operate.exif import read_exif
from workers.operate.media_files import UnusableFileError, media_of, modality_of

_HASH_CHARS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderPlan:
    """How a folder is published.

    Args:
        root: The folder.
        prefix: Start of every item id; the folder's own name if not told otherwise.
        by_reference: Send ``file://`` addresses that the workers read themselves, instead of the files' bytes.
        max_event_bytes: Largest event.
    """

    root: Path
    prefix: str
    by_reference: bool
    max_event_bytes: int


def find_files(root: Path) -> list[Path]:
    """Every file that can be an item, in order of its path; hidden files and folders are passed over."""
    found = []
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        paths = (Path(folder, name) for name in sorted(files) if not name.startswith("."))
        found += [path for path in paths if modality_of(path)]
    return found


def folder_events(
    plan: FolderPlan,
    files: list[Path],
    *,
    on_skipped: Callable[[Path, str], object],
    on_read: Callable[[Path], object] = lambda _: None,
) -> Iterator[ContentUpsert]:
    """Yield an event for each file; a file that cannot be used is told and passed over."""
    for path in files:
        on_read(path)
        try:
            yield ContentUpsert.model_validate(_event(plan, path))
        except (UnusableFileError, OSError, ValueError) as exc:
            on_skipped(path, str(exc))


def item_id_of(plan: FolderPlan, path: Path) -> str:
    """Identity of a file: its path under the folder, after the prefix. Unusual or long paths end in a hash."""
    relative = path.relative_to(plan.root).as_posix()
    name = f"{plan.prefix}/{relative}" if plan.prefix else relative
    plain = re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "_", name)
    if plain == name and len(name) <= MAX_ID_CHARS:
        return name
    digest = hashlib.sha256(os.fsencode(relative)).hexdigest()[:_HASH_CHARS]
    return f"{plain[: MAX_ID_CHARS - _HASH_CHARS - 1]}~{digest}"


def _event(plan: FolderPlan, path: Path) -> dict[str, Any]:
    modality = modality_of(path)
    if modality is None:
        raise UnusableFileError("is of no known kind")
    taken_at, place = read_exif(path) if modality is Modality.IMAGE else (None, None)
    modalities: dict[str, Any] = {modality.value: _content(plan, path, modality)}
    if place is not None:
        modalities["location"] = {"latitude": place[0], "longitude": place[1]}
    attributes = _attributes(plan, path, modality)
    if taken_at is not None:
        attributes |= {"taken_at": taken_at.isoformat(), "year": taken_at.year, "month": taken_at.month}
    return {
        "type": "content.upsert",
        "item_id": item_id_of(plan, path),
        "modalities": modalities,
        "attributes": attributes,
    }


def _content(plan: FolderPlan, path: Path, modality: Modality) -> dict[str, str]:
    if modality is Modality.TEXT:
        text = path.read_text(encoding="utf-8")
        if not text.strip():
            raise UnusableFileError("is empty")
        return {"text": text[:MAX_TEXT_CHARS]}
    if plan.by_reference:
        return {"uri": path.resolve().as_uri()}
    return media_of(path, modality, max_event_bytes=plan.max_event_bytes)


def _attributes(plan: FolderPlan, path: Path, modality: Modality) -> dict[str, Any]:
    relative = path.relative_to(plan.root)
    words = re.sub(r"[_\-.]+", " ", path.stem).strip()
    attributes: dict[str, Any] = {"name": words or path.stem, "file": relative.as_posix(), "kind": modality.value}
    if relative.parent.name:
        attributes["folder"] = relative.parent.as_posix()
    return attributes
