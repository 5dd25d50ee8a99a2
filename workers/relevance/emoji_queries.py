"""Queries of one, two and three parts over the built-in corpus, in which every part alone leaves a doubt.

A keyword belongs to several emoji, a name in another language may be missing from what was learned, a distorted picture
by an artist never seen looks like its neighbours, a voice never heard mumbles through a telephone. Items lack some of
their modalities, so that no one of them answers everything. A negative part shows a neighbour that shares the keyword
and is of another kind (subgroup): wanted is what has the keyword and is not of that kind.

Targets are parted by concept: what trains the shipped weights, what chooses them, and what measures them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Modality
from workers.relevance.emoji_vectors import LANGUAGES, EmojiVectors, Vectors

TEXT, IMAGE, AUDIO = Modality.TEXT, Modality.IMAGE, Modality.AUDIO
GROUPS: Final[Mapping[str, tuple[tuple[Modality, int], ...]]] = {
    "text": ((TEXT, 1),),
    "image": ((IMAGE, 1),),
    "audio": ((AUDIO, 1),),
    "text + image": ((TEXT, 1), (IMAGE, 1)),
    "text + audio": ((TEXT, 1), (AUDIO, 1)),
    "image + audio": ((IMAGE, 1), (AUDIO, 1)),
    "text + image + audio": ((TEXT, 1), (IMAGE, 1), (AUDIO, 1)),
    "text - text": ((TEXT, 1), (TEXT, -1)),
    "text - image": ((TEXT, 1), (IMAGE, -1)),
    "text - audio": ((TEXT, 1), (AUDIO, -1)),
    "text + image - text": ((TEXT, 1), (IMAGE, 1), (TEXT, -1)),
}
"""Modality and sign of the parts of each group's queries."""

FOLDS: Final = {"train": (0.0, 0.6), "validation": (0.6, 0.75), "test": (0.75, 1.0)}
FOLD_SEED: Final = 1
PRESENT: Final = {TEXT: 0.7, IMAGE: 0.75, AUDIO: 0.6}
"""Share of the items that have each modality."""
PRESENT_SEED: Final = 3
NAME_SHARE: Final = 0.4
"""Of the queries by one text, those that are a name in another language instead of a keyword."""
AWAY_WEIGHTS: Final = (0.5, 0.7, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmojiQuery:
    """One query: parts as (modality, weight, vector), and what each item is worth, float32 of shape (n,)."""

    group: str
    parts: tuple[tuple[Modality, float, Vectors], ...]
    gains: NDArray[np.float32]


class EmojiQueries:
    """Draws queries; the same seed draws the same.

    Args:
        vectors: What items and questions look like.
    """

    def __init__(self, vectors: EmojiVectors) -> None:
        self._vectors = vectors
        self._concepts = vectors.concepts
        self._names = {concept.names["en"].casefold() for concept in self._concepts}

    @cached_property
    def members(self) -> Mapping[str, Sequence[int]]:
        """Concepts by keyword."""
        found: dict[str, list[int]] = {}
        for place, concept in enumerate(self._concepts):
            for word in dict.fromkeys(concept.keywords.get("en", ())):
                found.setdefault(word, []).append(place)
        return found

    def fold(self, name: str) -> NDArray[np.intp]:
        """Concepts of a fold, in order."""
        low, high = FOLDS[name]
        order = np.random.default_rng(FOLD_SEED).permutation(len(self._concepts))
        return np.sort(order[int(low * len(order)) : int(high * len(order))])

    def present(self) -> NDArray[np.bool_]:
        """Which item has text, picture and sound, shape (3, n) in the order of ``PRESENT``; each has one at least."""
        rng = np.random.default_rng(PRESENT_SEED)
        shares = np.array(list(PRESENT.values()))[:, None]
        present = rng.random((len(PRESENT), len(self._concepts))) < shares
        bare = np.flatnonzero(~present.any(axis=0))
        present[rng.integers(len(PRESENT), size=len(bare)), bare] = True
        return np.asarray(present, np.bool_)

    def draw(self, fold: str, each: int, seed: int) -> list[EmojiQuery]:
        """Draw so many queries of each group, with targets of one fold."""
        rng = np.random.default_rng(seed)
        targets, found = self.fold(fold), []
        for group in GROUPS:
            count = 0
            while count < each:
                query = self._query(group, int(rng.choice(targets)), rng)
                if query is not None:
                    found.append(query)
                    count += 1
        return found

    def _query(self, group: str, target: int, rng: np.random.Generator) -> EmojiQuery | None:
        """One query, or None when the target has no fitting keyword, neighbour or picture."""
        parts = GROUPS[group]
        words = [word for word in self._concepts[target].keywords.get("en", ()) if word.casefold() not in self._names]
        if not words:
            return None
        word = str(rng.choice(words))
        away = self._neighbour(word, target, rng) if any(sign < 0 for _, sign in parts) else target
        if away is None:
            return None
        named = group == "text" and rng.random() < NAME_SHARE
        shown: list[tuple[Modality, float, Vectors]] = []
        for modality, sign in parts:
            weight = 1.0 if sign > 0 else -float(rng.choice(AWAY_WEIGHTS))
            vector = self._show(modality, target if sign > 0 else away, word if sign > 0 else None, named, rng)
            if vector is None:
                return None
            shown.append((modality, weight, vector))
        single = [modality for modality, sign in parts if sign > 0] == [TEXT]
        gains = np.zeros(len(self._concepts), np.float32)
        gains[self._wanted(word, away, target) if single and not named else [target]] = 1.0
        return EmojiQuery(group=group, parts=tuple(shown), gains=gains)

    def _neighbour(self, word: str, target: int, rng: np.random.Generator) -> int | None:
        """A concept that shares the keyword and is of another kind."""
        kind = self._concepts[target].subgroup
        others = [place for place in self.members[word] if self._concepts[place].subgroup != kind]
        return int(rng.choice(others)) if others else None

    def _wanted(self, word: str, away: int, target: int) -> list[int]:
        if away == target:
            return list(self.members[word])
        kind = self._concepts[away].subgroup
        return [place for place in self.members[word] if self._concepts[place].subgroup != kind]

    def _show(
        self, modality: Modality, concept: int, word: str | None, named: bool, rng: np.random.Generator
    ) -> Vectors | None:
        """How the concept is asked for: by the word, by a name, by a picture of someone else's; None if none is."""
        vectors = self._vectors
        if modality is TEXT and word and not named:
            return vectors.keywords[word]
        if modality is TEXT:
            return _row(vectors.names[str(rng.choice(LANGUAGES)) if named else "en"], concept)
        if modality is AUDIO:
            return _row(vectors.voices[str(rng.choice(sorted(vectors.voices)))], concept)
        drawn = [
            artist
            for artist, pictures in vectors.pictures.items()
            if artist != vectors.artists[concept] and np.isfinite(pictures[concept, 0])
        ]
        return _row(vectors.pictures[str(rng.choice(drawn))], concept) if drawn else None


def _row(rows: Vectors, place: int) -> Vectors:
    return np.asarray(rows[place], np.float32)
