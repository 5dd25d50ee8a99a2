"""Measure words of every kind against pictures: names by language and group, keywords, and words never trained on.

A query has found what it asks for when any right answer is among the first k; vendors count the same in every mean. A
query whose right answers a vendor does not draw is left out for that vendor.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from config.errors import Misconfigured
from encoders.alignment.relevance import RelevanceScores, mean_relevance, score_relevance
from encoders.builtin.artifacts import load_manifest
from encoders.builtin.training.embeddings import embed_texts, embed_vendors
from encoders.builtin.training.emoji import LANGUAGES, Concept, load_concepts
from encoders.builtin.training.packages import DEFAULT_CACHE
from encoders.builtin.training.unseen_words import UNSEEN_WORDS
from encoders.builtin.training.vendors import colour_sets

Vectors = NDArray[np.float32]
Gains = NDArray[np.float32]
Asked = tuple[Vectors, Gains]
"""Query vectors (queries, dims) and each one's gain a concept (queries, concepts)."""


def evaluate_words(
    cache: Path = DEFAULT_CACHE, vendors: Sequence[str] | None = None, *, folder: Path | None = None
) -> dict[str, Any]:
    """Measure a weights folder on vendors' pictures; needs no espeak-ng.

    Args:
        cache: Packages, renderings and embeddings; filled where something is missing.
        vendors: Whose pictures; all sets in colour by the artists held out from training if None.
        folder: Weights; those that ship with the package if None.

    Returns:
        A report ready for JSON: ``model``, ``vendors`` and ``words``: by section (``name``, ``group``, ``keyword``,
        ``unseen``) and row, the mean over vendors as ``RelevanceScores``' fields.

    Raises:
        Misconfigured: a package or a tower is missing, or no vendor is named.
    """
    manifest = load_manifest(folder)
    chosen = list(vendors or colour_sets(manifest.facts.get("held_out_vendors", ())))
    if not chosen:
        raise Misconfigured("the manifest names no held_out_vendors: say which vendors to measure on")
    concepts = load_concepts(cache)
    drawn = list(embed_vendors(chosen, concepts, folder, cache))
    words: dict[str, dict[str, Any]] = {}
    for section, row, texts, gains in _questions(concepts):
        asked = embed_texts(texts, folder, cache)
        if (score := _mean_over((asked, gains), drawn)) is not None:
            words.setdefault(section, {})[row] = asdict(score)
    return {"model": str(manifest.model), "vendors": chosen, "words": words}


def words_table(report: Mapping[str, Any]) -> Table:
    """Return the report as a table: a row a language, group or list."""
    title = f"{report['model']}: words → pictures, mean over {', '.join(report['vendors'])}"
    table = Table(title=title, title_justify="left")
    for name in ("words", "of"):
        table.add_column(name)
    for name in ("queries", "R@1", "R@5", "R@10", "median rank", "mAP", "nDCG@10"):
        table.add_column(name, justify="right")
    for section, rows in report["words"].items():
        for row, score in rows.items():
            table.add_row(section, row, *_cells(score))
        table.add_section()
    return table


def _cells(score: Mapping[str, Any]) -> list[str]:
    recalls = [f"{score[f'recall_at_{k}']:.3f}" for k in (1, 5, 10)]
    means = [f"{score[key]:.3f}" for key in ("mean_average_precision", "ndcg_at_10")]
    return [f"{score['queries']:,}", *recalls, f"{score['median_rank']:.1f}", *means]


def _mean_over(asked: Asked, drawn: Sequence[tuple[NDArray[np.int64], Vectors]]) -> RelevanceScores | None:
    """Mean over the vendors that draw a right answer to any of the queries; None when none does."""
    queries, gains = asked
    scores = [
        score_relevance(queries @ pictures.T, gains[:, rows]) for rows, pictures in drawn if (gains[:, rows] > 0).any()
    ]
    return mean_relevance(scores) if scores else None


def _questions(concepts: Sequence[Concept]) -> Iterator[tuple[str, str, list[str], Gains]]:
    """Yield section, row, texts and gains (texts, concepts)."""
    for language in LANGUAGES:
        rows = [place for place, concept in enumerate(concepts) if language in concept.names]
        yield "name", language, [concepts[row].names[language] for row in rows], _own(rows, len(concepts))
    for group in dict.fromkeys(concept.group for concept in concepts):
        rows = [place for place, concept in enumerate(concepts) if concept.group == group]
        yield "group", group, [concepts[row].names["en"] for row in rows], _own(rows, len(concepts))
    keywords = keyword_answers(concepts)
    yield "keyword", "en", list(keywords), _listed(keywords.values(), len(concepts))
    by_code = {concept.hexcode: place for place, concept in enumerate(concepts)}
    for language in ("all", *dict.fromkeys(word.language for word in UNSEEN_WORDS)):
        words = [word for word in UNSEEN_WORDS if language in ("all", word.language)]
        answers = [[by_code[code] for code in word.hexcodes if code in by_code] for word in words]
        yield "unseen", language, [word.word for word in words], _listed(answers, len(concepts))


def keyword_answers(concepts: Sequence[Concept]) -> dict[str, list[int]]:
    """Return every English keyword that is no concept's name, with the concepts that have it."""
    names = {concept.names["en"].casefold() for concept in concepts}
    found: dict[str, list[int]] = {}
    for place, concept in enumerate(concepts):
        for keyword in dict.fromkeys(word.casefold() for word in concept.keywords.get("en", ())):
            if keyword not in names:
                found.setdefault(keyword, []).append(place)
    return found


def _own(rows: Sequence[int], concepts: int) -> Gains:
    return np.eye(concepts, dtype=np.float32)[list(rows)]


def _listed(answers: Any, concepts: int) -> Gains:
    gains = np.zeros((len(answers), concepts), np.float32)
    for row, places in enumerate(answers):
        gains[row, places] = 1.0
    return gains
