"""Every text of every concept, with the frozen sentence encoder's features, computed once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.builtin.text import BACKBONE_VERSION, UseBackbone
from encoders.builtin.training.emoji import Concept

CHUNK = 4096
ENGLISH_SHARE = 0.3  # of names and keywords alike; the other 15 languages share the rest, Chinese doubly
CHINESE_SHARE = 0.15
NAME_SHARE = 0.65
DESCRIPTION_SHARE = 0.12  # of the name with all keywords, as items are described


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTable:
    """Texts by concept.

    Attributes:
        features: float16 of shape (texts, 512), one row for each different text.
        rows: Row of every use of a text.
        weights: Chance of every use, summing to 1 over a concept's uses.
        starts: First use of every concept, of shape (concepts + 1,).
        cumulative: Running sum of ``weights`` plus the concept's index, so that one sorted search samples all.
    """

    features: NDArray[np.float16]
    rows: NDArray[np.int64]
    weights: NDArray[np.float64]
    starts: NDArray[np.int64]
    cumulative: NDArray[np.float64]

    def sample(self, concepts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return one row of ``features`` for every concept."""
        use = np.searchsorted(self.cumulative, concepts + rng.random(len(concepts)) * (1 - 1e-9), side="right")
        return self.rows[np.minimum(use, self.starts[concepts + 1] - 1)]


def build_texts(concepts: Sequence[Concept], cache: Path) -> TextTable:
    """Return names and keywords in all languages with their chances and features."""
    uses = [_uses(concept) for concept in concepts]
    unique = sorted({text for concept in uses for text, _ in concept})
    row_of = {text: row for row, text in enumerate(unique)}
    rows = np.array([row_of[text] for concept in uses for text, _ in concept], dtype=np.int64)
    weights = np.array([weight for concept in uses for _, weight in concept])
    counts = np.array([len(concept) for concept in uses], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)])
    owner = np.repeat(np.arange(len(concepts)), counts)
    totals = np.add.reduceat(weights, starts[:-1])
    weights /= totals[owner]
    running = np.cumsum(weights)
    before = np.concatenate([[0.0], running])[starts[:-1]]
    return TextTable(
        features=encode_texts(unique, cache),
        rows=rows,
        weights=weights,
        starts=starts,
        cumulative=running - before[owner] + owner,
    )


def concept_texts(concepts: Sequence[Concept]) -> set[str]:
    """Return every different text that ``concepts`` are called by."""
    return {text for concept in concepts for text, _ in _uses(concept)}


def encode_texts(texts: Sequence[str], cache: Path) -> NDArray[np.float16]:
    """Return sentence features of shape (n, 512), kept in ``cache`` under a hash of the texts."""
    digest = hashlib.sha256("\n".join([BACKBONE_VERSION, *texts]).encode()).hexdigest()[:16]
    store = cache / "texts" / f"{digest}.npy"
    if not store.exists():
        store.parent.mkdir(parents=True, exist_ok=True)
        backbone = UseBackbone()
        parts = [backbone.encode(texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK)]
        np.save(store, np.concatenate(parts).astype(np.float16))
    return np.asarray(np.load(store), dtype=np.float16)


def _uses(concept: Concept) -> list[tuple[str, float]]:
    uses: list[tuple[str, float]] = []
    for language, name in concept.names.items():
        share = _language_share(language)
        keywords = [word for word in concept.keywords.get(language, ()) if word.strip()]
        plain = name.split(": ", 1)[-1]  # "flag: Chile" is also asked for as "Chile"
        forms = [name] if plain == name else [name, plain]
        name_share = NAME_SHARE if keywords else 1.0
        if keywords:
            uses.append((f"{name}: {', '.join(keywords)}", share * DESCRIPTION_SHARE))
            share *= 1 - DESCRIPTION_SHARE
        uses += [(form, share * name_share / len(forms)) for form in forms]
        uses += [(word, share * (1 - NAME_SHARE) / len(keywords)) for word in keywords]
    return uses


def _language_share(language: str) -> float:
    if language == "en":
        return ENGLISH_SHARE
    return CHINESE_SHARE if language == "zh" else (1 - ENGLISH_SHARE - CHINESE_SHARE) / 14
