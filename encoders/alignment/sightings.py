"""Every modality against every other: who asks, what is searched, and what each vector shows.

A modality may hold several vectors of one thing (twenty stations under one weather), and may ask with others than it
answers with (names ask, descriptions are found). Two vectors match when they show the same thing.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import permutations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Modality
from encoders.alignment.features import PairedFeatures
from encoders.alignment.relevance import Judged, RelevanceScores, judge, mean_relevance

MOST_QUERIES: Final = 2_000
"""More are thinned out evenly: the standard error of a recall is then at most 0.011."""

CHUNK: Final = 256

Vectors = NDArray[np.float32]
Compare = Callable[[Vectors, Vectors], NDArray[np.floating]]
"""Queries (q, dims) and items (n, dims) to similarities (q, n), higher is nearer."""

Pair = tuple[Modality, Modality]


def inner_product(queries: Vectors, items: Vectors) -> NDArray[np.floating]:
    """Return the cosine of unit vectors."""
    return queries @ items.T


@dataclass(frozen=True, slots=True, kw_only=True)
class Sightings:
    """Vectors of one modality.

    Attributes:
        labels: int64 of shape (n,); vectors with the same number show the same thing.
        vectors: Unit vectors of shape (n, dims).
    """

    labels: NDArray[np.int64]
    vectors: Vectors

    def take(self, rows: NDArray[np.int64]) -> "Sightings":
        """Return some of them."""
        return Sightings(labels=self.labels[rows], vectors=self.vectors[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighted:
    """All modalities of a collection, and how its things may be parted.

    Attributes:
        queries: Who asks.
        items: What is searched.
        languages: Texts that ask, by language.
        groups: Labels of the things in each group, such as a category.
    """

    queries: Mapping[Modality, Sightings]
    items: Mapping[Modality, Sightings]
    languages: Mapping[str, Sightings] = field(default_factory=dict)
    groups: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)


def sight(features: PairedFeatures) -> dict[Modality, Sightings]:
    """Return each modality's present vectors, labelled by their rows."""
    present = {modality: np.flatnonzero(features.present(modality)) for modality in features.modalities}
    return {m: Sightings(labels=rows, vectors=features.vectors[m][rows]) for m, rows in present.items()}


def judge_all(
    queries: Mapping[Modality, Sightings], items: Mapping[Modality, Sightings], compare: Compare = inner_product
) -> dict[Pair, Judged]:
    """Judge every ordered pair of different modalities, query by query, in the order of ``thin(queries)``."""
    found = {}
    for query, item in permutations(Modality, 2):
        if query in queries and item in items:
            found[query, item] = judge_sightings(thin(queries[query]), items[item], compare)
    return found


def score_all(
    queries: Mapping[Modality, Sightings], items: Mapping[Modality, Sightings], compare: Compare = inner_product
) -> dict[Pair, RelevanceScores | None]:
    """Return scores for every ordered pair; None where no query shows anything that an item shows."""
    return {pair: judged.summary() for pair, judged in judge_all(queries, items, compare).items()}


def mean_over_pairs(scores: Mapping[Pair, RelevanceScores | None]) -> RelevanceScores:
    """Return the mean over the pairs that have scores, each counting the same.

    Raises:
        ValueError: None has.
    """
    return mean_relevance([score for score in scores.values() if score is not None])


def judge_sightings(queries: Sightings, items: Sightings, compare: Compare = inner_product) -> Judged:
    """Judge one kind of query against one kind of item, a few hundred queries at a time."""
    parts = []
    for start in range(0, len(queries.labels), CHUNK):
        asked = queries.take(np.arange(start, min(start + CHUNK, len(queries.labels))))
        gains = (asked.labels[:, None] == items.labels).astype(np.float32)
        parts.append(judge(compare(asked.vectors, items.vectors), gains))
    return Judged(
        items=len(items.labels),
        ranks=np.concatenate([part.ranks for part in parts]),
        precisions=np.concatenate([part.precisions for part in parts]),
        ndcgs=np.concatenate([part.ndcgs for part in parts]),
    )


def thin(queries: Sightings) -> Sightings:
    """Return at most 2,000 of them, evenly spread."""
    count = len(queries.labels)
    return queries if count <= MOST_QUERIES else queries.take(np.linspace(0, count - 1, MOST_QUERIES).astype(np.int64))


def pairs_report(sighted: Sighted, compare: Compare = inner_product) -> dict[str, Any]:
    """Return scores ready for JSON.

    Returns:
        ``pairs``: by ``query>item``; ``groups``: by group and pair, the queries that show something of the group,
        against all items; ``languages``: by language and pair. Each a score as ``RelevanceScores``' fields, or None
        where the two share nothing.
    """
    judged = judge_all(sighted.queries, sighted.items, compare)
    asked = {modality: thin(queries).labels for modality, queries in sighted.queries.items()}
    groups = {
        name: {pair: each.summary(np.isin(asked[pair[0]], labels)) for pair, each in judged.items()}
        for name, labels in sighted.groups.items()
    }
    languages = {
        language: score_all({Modality.TEXT: texts}, sighted.items, compare)
        for language, texts in sighted.languages.items()
    }
    return {
        "pairs": _plain({pair: each.summary() for pair, each in judged.items()}),
        "groups": {name: _plain(scores) for name, scores in groups.items()},
        "languages": {language: _plain(scores) for language, scores in languages.items()},
    }


def _plain(scores: Mapping[Pair, RelevanceScores | None]) -> dict[str, dict[str, Any] | None]:
    return {f"{query}>{item}": None if each is None else asdict(each) for (query, item), each in scores.items()}
