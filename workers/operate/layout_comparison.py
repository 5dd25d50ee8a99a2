"""Whether two layouts answer alike: the same questions to both, and how far the lists agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from config.errors import RetryLater
from config.vocabulary import Calibration, ItemId, Modality
from fusion.answer import answer
from fusion.index.protocol import VectorIndex
from fusion.request import QueryPart, RankingRequest

COMPARED: Final = 10
"""Places of a list that are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of both, with the words to show it by."""

    label: str
    request: RankingRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What two layouts say to one question: items with their scores, best first, at most ``COMPARED``."""

    label: str
    live: Sequence[tuple[ItemId, float]]
    other: Sequence[tuple[ItemId, float]]

    @property
    def identical(self) -> bool:
        """Whether items, order and scores are the same."""
        return list(self.live) == list(self.other)

    @property
    def overlap(self) -> float:
        """Share of the longer list's items that both have; 1 for two empty lists."""
        longest = max(len(self.live), len(self.other))
        return 1.0 if not longest else len(dict(self.live).keys() & dict(self.other).keys()) / longest

    @property
    def correlation(self) -> float | None:
        """Spearman's rank correlation of the items in both lists; None for fewer than two."""
        places = {item_id: place for place, (item_id, _) in enumerate(self.other)}
        shared = [places[item_id] for item_id, _ in self.live if item_id in places]
        count = len(shared)
        if count < 2:
            return None
        ranks = np.argsort(np.argsort(shared))
        return float(1 - 6 * np.sum((ranks - np.arange(count)) ** 2) / (count * (count**2 - 1)))

    @property
    def score_difference(self) -> float:
        """Largest difference of an item's two scores."""
        other = dict(self.other)
        return max((abs(score - other[item_id]) for item_id, score in self.live if item_id in other), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All answers of both, and how many items each holds."""

    answers: Sequence[Answers]
    live_items: dict[Modality, int]
    other_items: dict[Modality, int]

    @property
    def identical(self) -> int:
        """How many answers are identical."""
        return sum(each.identical for each in self.answers)

    @property
    def overlap(self) -> float:
        """Mean overlap."""
        return float(np.mean([each.overlap for each in self.answers])) if self.answers else 1.0

    @property
    def correlation(self) -> float | None:
        """Mean rank correlation of the answers that have one."""
        found = [each.correlation for each in self.answers if each.correlation is not None]
        return float(np.mean(found)) if found else None

    @property
    def score_difference(self) -> float:
        """Largest difference of a score."""
        return max((each.score_difference for each in self.answers), default=0.0)

    @property
    def differing(self) -> list[Answers]:
        """Answers that are not identical, the least alike first."""
        return sorted((each for each in self.answers if not each.identical), key=lambda each: each.overlap)


async def compare(
    live: VectorIndex, other: VectorIndex, questions: Sequence[Question], calibration: Calibration
) -> Comparison:
    """Ask both layouts of one model the same.

    Raises:
        RetryLater: A shard did not answer.
    """
    answers = [
        Answers(
            label=question.label,
            live=await _ask(live, question.request, calibration),
            other=await _ask(other, question.request, calibration),
        )
        for question in questions
    ]
    return Comparison(answers=answers, live_items=await live.counts(), other_items=await other.counts())


async def _ask(index: VectorIndex, request: RankingRequest, calibration: Calibration) -> list[tuple[ItemId, float]]:
    ranking = await answer(request, index, calibration)
    if ranking.failed_shards:
        raise RetryLater(f"shards {ranking.failed_shards} do not answer: nothing can be compared")
    return [(hit.item_id, hit.score) for hit in ranking.hits]


def questions_of(asked: dict[Modality, np.ndarray], count: int, rng: np.random.Generator) -> list[Question]:
    """A sample of vectors that people asked with: arrays (q, dims) by modality."""
    every = [(modality, row) for modality, rows in asked.items() for row in rows]
    chosen = rng.permutation(len(every))[:count]
    return [
        Question(label=f"{modality} query {place + 1}", request=_like(modality, vector))
        for place, (modality, vector) in enumerate(every[number] for number in chosen)
    ]


async def questions_from_items(index: VectorIndex, count: int) -> list[Question]:
    """What is like some items, of every modality that there is."""
    counts = {modality: number for modality, number in (await index.counts()).items() if number}
    made: list[Question] = []
    for modality in counts:
        sample = await index.sample_vectors(modality, -(-count // len(counts)))
        made += [
            Question(label=f"like the {modality} of {item_id}", request=_like(modality, vector))
            for item_id, vector in zip(sample.item_ids, sample.vectors, strict=True)
        ]
    return made[:count]


def _like(modality: Modality, vector: np.ndarray) -> RankingRequest:
    return RankingRequest(parts=(QueryPart(modality=modality, vector=vector),), k=COMPARED)
