"""A small collection in which what belongs together is planted: emoji without any emoji."""

from typing import Final

import numpy as np

from config.vocabulary import Modality
from encoders.builtin.training.emoji import Concept
from workers.relevance.emoji_vectors import LANGUAGES, EmojiVectors, Vectors

COUNT: Final = 80
DIMS: Final = 24
ARTISTS: Final = ("one", "two")
VOICES: Final = ("low", "high")


def tiny_emoji(seed: int = 0) -> EmojiVectors:
    """Eighty concepts in eight kinds; each keyword is shared by concepts of two kinds."""
    rng = np.random.default_rng(seed)
    meanings = rng.standard_normal((COUNT, DIMS))
    words = [f"word{place % 10}" for place in range(COUNT)]
    shared = {word: meanings[[each == word for each in words]].mean(axis=0) for word in words}

    def seen(noise: float) -> Vectors:
        return _unit(meanings + noise * rng.standard_normal(meanings.shape) + rng.standard_normal(DIMS) * 0.5)

    pictures = {artist: seen(1.2) for artist in ARTISTS}
    pictures["two"][::3] = np.nan
    return EmojiVectors(
        concepts=tuple(_concept(place, words[place]) for place in range(COUNT)),
        artists=tuple("one" if place % 2 else "elsewhere" for place in range(COUNT)),
        items={Modality.TEXT: seen(0.3), Modality.IMAGE: seen(0.8), Modality.AUDIO: seen(1.0)},
        keywords={word: _unit(vector + 0.3 * rng.standard_normal(DIMS))[0] for word, vector in shared.items()},
        names={language: seen(0.8) for language in ("en", *LANGUAGES)},
        pictures=pictures,
        voices={voice: seen(1.2) for voice in VOICES},
    )


def _concept(place: int, word: str) -> Concept:
    return Concept(
        item_id=f"emoji-{place:03d}",
        emoji="?",
        hexcode=f"{place:03d}",
        names={"en": f"name {place}"},
        keywords={"en": (word,)},
        group="things",
        subgroup=f"kind {place % 8}",
        unicode_version=1.0,
        shortcodes=(),
    )


def _unit(rows: np.ndarray) -> Vectors:
    rows = np.atleast_2d(rows)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
