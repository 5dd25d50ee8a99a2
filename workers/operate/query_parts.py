"""What is asked for on the command line, in the wire's form: ``cat``, ``dog^-0.4``, a file or an address."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from config.errors import Reason, RejectEvent
from config.vocabulary import Modality
from workers.operate.media_files import UnusableFileError, media_of

# As in the query languages of text search engines: a caret and a number at the very end.
_WEIGHTED = re.compile(r"^(?P<what>.+)\^(?P<weight>[+-]?(\d+(\.\d*)?|\.\d+))$", re.DOTALL)
_ADDRESS = re.compile(r"^(https?|file)://", re.IGNORECASE)


def split_weight(written: str) -> tuple[str, float]:
    """Read ``dog^-0.4`` as ("dog", -0.4); without a weight it is 1."""
    match = _WEIGHTED.match(written)
    return (match["what"], float(match["weight"])) if match else (written, 1.0)


def text_part(written: str) -> dict[str, Any]:
    """A query part from words."""
    text, weight = split_weight(written)
    return {"modality": Modality.TEXT.value, "text": text, "weight": weight}


def media_part(written: str, modality: Modality, *, max_event_bytes: int) -> dict[str, Any]:
    """A query part from a file, sent inline, or from an address that the worker fetches.

    Raises:
        RejectEvent: The file cannot be used.
    """
    what, weight = split_weight(written)
    part: dict[str, Any] = {"modality": modality.value, "weight": weight}
    if _ADDRESS.match(what):
        return part | {"uri": what}
    try:
        return part | media_of(Path(what), modality, max_event_bytes=max_event_bytes)
    except UnusableFileError as exc:
        raise RejectEvent(Reason.MEDIA_NOT_FOUND, f"{what} {exc}", field=f"--{modality.value}") from exc


def query_parts(
    texts: Sequence[str], media: Mapping[Modality, Sequence[str]], *, max_event_bytes: int
) -> list[dict[str, Any]]:
    """All parts of a search, texts first."""
    return [text_part(text) for text in texts] + [
        media_part(written, modality, max_event_bytes=max_event_bytes)
        for modality, several in media.items()
        for written in several
    ]
