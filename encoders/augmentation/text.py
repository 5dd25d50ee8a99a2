"""Texts in other words: words and keywords replaced by synonyms, dropped, swapped and mistyped.

Wei and Zou, "EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks", 2019. In
scripts without spaces a character is the unit, and is dropped alone.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from encoders.base import TextInput

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    word: tuple(other for other in group if other != word)
    for group in (
        ("big", "large", "huge"),
        ("small", "little", "tiny"),
        ("happy", "glad", "cheerful"),
        ("sad", "unhappy", "sorrowful"),
        ("fast", "quick", "rapid"),
        ("car", "automobile", "motorcar"),
        ("picture", "photo", "image"),
        ("house", "home", "dwelling"),
        ("beautiful", "pretty", "lovely"),
        ("begin", "start", "commence"),
        ("road", "street", "way"),
        ("ship", "boat", "vessel"),
        ("child", "kid", "youngster"),
        ("angry", "mad", "furious"),
        ("movie", "film", "picture"),
        ("phone", "telephone", "handset"),
        ("groß", "riesig", "mächtig"),
        ("schnell", "rasch", "flink"),
        ("grande", "enorme", "gran"),
        ("rápido", "veloz", "ligero"),
        ("grand", "vaste", "immense"),
        ("vite", "rapidement", "promptement"),
    )
    for word in group
}
"""Everyday words with others that may stand for them; written here, by hand."""

REPLACE, DROP, SWAP, MISTYPE = 0.5, 0.15, 0.1, 0.05
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")


def augment_text(item: TextInput, rng: np.random.Generator, strength: float) -> TextInput:
    """Return the text in other words; at least one word, or character, is kept."""
    unspaced = bool(_UNSPACED.search(item.text))
    words = list(item.text) if unspaced else item.text.split()
    if not words:
        return item
    changed = words if unspaced else [_other(word, rng, strength) for word in words]
    kept = [word for word in changed if rng.random() >= min(0.9, DROP * strength)]
    kept = kept or [changed[int(rng.integers(len(changed)))]]
    if not unspaced:
        kept = _swapped(kept, rng, strength)
    return TextInput(text=("" if unspaced else " ").join(kept), language=item.language)


def _other(word: str, rng: np.random.Generator, strength: float) -> str:
    others = SYNONYMS.get(word.lower(), ())
    if others and rng.random() < REPLACE * strength:
        return others[int(rng.integers(len(others)))]
    return _mistyped(word, rng) if len(word) > 3 and rng.random() < MISTYPE * strength else word


def _mistyped(word: str, rng: np.random.Generator) -> str:
    at = int(rng.integers(1, len(word) - 1))
    return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]


def _swapped(words: Sequence[str], rng: np.random.Generator, strength: float) -> list[str]:
    moved = list(words)
    for at in range(len(moved) - 1):
        if rng.random() < SWAP * strength:
            moved[at], moved[at + 1] = moved[at + 1], moved[at]
    return moved
