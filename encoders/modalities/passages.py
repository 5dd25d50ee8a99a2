"""Inputs too long for one look: cut into overlapping passages, encoded side by side, averaged back into one vector."""

from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

MAX_PASSAGES: Final = 16
"""Passages of one input at most: bounds the work that a single event can ask for."""

T = TypeVar("T")


def cut_text(text: str, *, length: int = 512, overlap: int = 64) -> list[str]:
    """Cut a text into passages of at most ``length`` characters that share about ``overlap`` with the one before.

    Cuts fall on white space where there is any in the last quarter of a passage. Of more than ``MAX_PASSAGES``, as
    many are kept, evenly spread, the first and the last among them.
    """
    passages = []
    start = 0
    while len(text) - start > length:
        space = text.rfind(" ", start + length - length // 4, start + length)
        end = space if space > 0 else start + length
        passages.append(text[start:end])
        start = end - overlap
    return spread([*passages, text[start:]])


def cut_tokens(ids: list[int], *, lead: Sequence[int], length: int) -> list[list[int]]:
    """Cut token ids into passages of at most ``length`` that share a quarter of it with the one before.

    Args:
        ids: All tokens of a text.
        lead: Tokens that ``ids`` begin with and that every later passage is to begin with too.
        length: Most tokens of a passage.
    """
    passages, start, room = [ids[:length]], length, length - len(lead)
    while start < len(ids):
        start -= length // 4
        passages.append([*lead, *ids[start : start + room]])
        start += room
    return passages


def cut_samples(samples: NDArray[np.float32], *, length: int) -> list[NDArray[np.float32]]:
    """Cut samples (n,) into windows of ``length``, the last one flush with the end; a short input is one window."""
    last = max(samples.shape[0] - length, 0)
    return [samples[start : start + length] for start in spread([*range(0, last, length), last])]


def spread(pieces: Sequence[T]) -> list[T]:
    """Keep at most ``MAX_PASSAGES`` pieces, evenly spread from the first to the last."""
    if len(pieces) <= MAX_PASSAGES:
        return list(pieces)
    return [pieces[round(place)] for place in np.linspace(0, len(pieces) - 1, MAX_PASSAGES)]
