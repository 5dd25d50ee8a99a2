"""The built-in corpus as a collection that fusion can search: items that lack modalities, and a calibration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Background, FusionStrategy, ItemId, Modality, ModelRef
from fusion.attention_weights import FusionWeights
from fusion.background import estimate_background
from fusion.candidates import Candidates
from fusion.learning.examples import Example
from fusion.request import QueryPart, RankingRequest
from fusion.scoring_batch import Question, recipe_of, scores_of
from fusion.similarity import unit_rows
from workers.relevance.emoji_queries import PRESENT, EmojiQueries, EmojiQuery
from workers.relevance.emoji_vectors import EmojiVectors, Vectors

CHUNK: Final = 16
MODALITIES: Final = tuple(sorted(PRESENT))


@dataclass(frozen=True, slots=True, kw_only=True)
class EmojiCollection:
    """Items and queries of one aligned space.

    Args:
        model: Whose space it is.
        vectors: What items and questions look like.
        queries: Draws questions.
        calibration: Background of each pair.
        candidates: All items, in the order of the concepts, with what they have.
    """

    model: ModelRef
    vectors: EmojiVectors
    queries: EmojiQueries
    calibration: Mapping[tuple[Modality, Modality], Background]
    candidates: Candidates

    @classmethod
    def of(
        cls,
        vectors: EmojiVectors,
        model: ModelRef,
        calibration: Mapping[tuple[Modality, Modality], Background] | None = None,
    ) -> "EmojiCollection":
        """Make a collection; backgrounds are estimated from the concepts that train, if none are given."""
        queries = EmojiQueries(vectors)
        present = queries.present()[[list(PRESENT).index(modality) for modality in MODALITIES]]
        return cls(
            model=model,
            vectors=vectors,
            queries=queries,
            calibration=calibration or estimated(vectors, queries.fold("train")),
            candidates=_candidates(vectors, present),
        )

    def questions(
        self, queries: Sequence[EmojiQuery], strategy: FusionStrategy, weights: FusionWeights | None = None
    ) -> list[Question]:
        """Queries as fusion is asked them, every item a candidate."""
        asked = [
            RankingRequest(
                parts=tuple(
                    QueryPart(modality=modality, vector=vector, weight=weight)
                    for modality, weight, vector in query.parts
                ),
                strategy=strategy,
                fusion_weights=weights,
            )
            for query in queries
        ]
        return [Question(request, self.candidates, self.calibration) for request in asked]

    def examples(self, fold: str, each: int, seed: int) -> list[Example]:
        """Queries to learn from. Those that train see the items of their own fold alone, and all that these have."""
        queries = self.queries.draw(fold, each, seed)
        places = self.queries.fold(fold) if fold == "train" else np.arange(len(self.vectors.concepts))
        whole = EmojiCollection(
            model=self.model,
            vectors=self.vectors,
            queries=self.queries,
            calibration=self.calibration,
            candidates=_candidates(self.vectors, np.ones_like(self.candidates.present)),
        )
        found = []
        for start in range(0, len(queries), CHUNK):
            some = queries[start : start + CHUNK]
            asked = whole.questions(some, FusionStrategy.WEIGHTED_MEAN)
            block = scores_of(asked, recipe_of(asked[0].request, MODALITIES))
            found += [
                self._example(query, block.deviations[row], places, whole=fold == "train")
                for row, query in enumerate(some)
            ]
        return found

    def _example(
        self, query: EmojiQuery, deviations: NDArray[np.float64], places: NDArray[np.intp], *, whole: bool
    ) -> Example:
        present = self.candidates.present[:, places]
        return Example(
            group=query.group,
            modalities=MODALITIES,
            part_modalities=tuple(modality for modality, _, _ in query.parts),
            part_weights=np.array([weight for _, weight, _ in query.parts], np.float32),
            deviations=deviations[: len(query.parts), :, places].astype(np.float32),
            present=np.ones_like(present) if whole else present,
            gains=query.gains[places] / max(float(query.gains[places].sum()), 1.0),
        )


def estimated(vectors: EmojiVectors, places: NDArray[np.intp]) -> dict[tuple[Modality, Modality], Background]:
    """Backgrounds from some of the concepts: the first way to ask for each, against every item but its own."""
    pictures = np.stack(list(vectors.pictures.values()))
    drawn = np.isfinite(pictures[:, :, 0]).argmax(axis=0)
    asked = {
        Modality.TEXT: vectors.names["en"],
        Modality.IMAGE: np.nan_to_num(pictures[drawn, np.arange(pictures.shape[1])]),
        Modality.AUDIO: next(iter(vectors.voices.values())),
    }
    own = np.eye(len(places), dtype=np.bool_)
    found = {
        (query, item): estimate_background(asked[query][places], vectors.items[item][places], own=own)
        for query in PRESENT
        for item in PRESENT
    }
    return {pair: background for pair, background in found.items() if background is not None}


def _candidates(vectors: EmojiVectors, present: NDArray[np.bool_]) -> Candidates:
    rows = np.stack([vectors.items[modality] for modality in MODALITIES]) * present[..., None]
    return Candidates(
        ids=[ItemId(concept.item_id) for concept in vectors.concepts],
        attributes=[{} for _ in vectors.concepts],
        modalities=list(MODALITIES),
        vectors=np.asarray(rows, np.float32),
        present=present,
        fused=unit_rows(rows.sum(axis=0)),
        occurred_ms=[0] * len(vectors.concepts),
    )


def projected(vectors: EmojiVectors, dims: int, seed: int) -> EmojiVectors:
    """The same collection by a weaker model: everything thrown onto a few random directions."""
    width = next(iter(vectors.items.values())).shape[1]
    onto = np.random.default_rng(seed).standard_normal((width, dims))

    def change(rows: Vectors) -> Vectors:
        return np.asarray(unit_rows(rows @ onto), np.float32)

    return vectors.mapped(change)
