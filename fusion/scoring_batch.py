"""What the parts of many queries say of their candidates, in one block of numbers.

Cosines are a matrix product a query, for every query has candidates of its own; all that follows works on the padded
block (queries, parts, modalities, candidates): calibration, strategy, attention. Queries that are fused alike share a
block.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Background, FusionStrategy, Modality, Similarity
from fusion.calibration import calibrated
from fusion.candidates import Candidates
from fusion.request import RankingRequest
from fusion.scores import Constants, Scores
from fusion.similarity import Matrix, cosines_of, shown
from fusion.strategies import fuse

Backgrounds = Mapping[tuple[Modality, Modality], Background]
MOST_TOGETHER: Final = 8
"""Queries in one block: more share the cost of a call among more, and fall out of the processor's cache."""

_ORDER: Final = {modality: place for place, modality in enumerate(Modality)}


class Recipe(NamedTuple):
    """What queries of one block have in common."""

    modalities: tuple[Modality, ...]
    strategy: FusionStrategy
    similarity: Similarity
    chance_z: float
    spread_z: float
    constants: Constants


@dataclass(frozen=True, slots=True)
class Fused:
    """What the parts of one query gave: fused scores of shape (candidates,), and what they were fused from."""

    total: Matrix
    scores: Scores


class Question(NamedTuple):
    """A request, the candidates found for it, and the background of each of its pairs."""

    request: RankingRequest
    candidates: Candidates
    backgrounds: Backgrounds


def recipe_of(request: RankingRequest, modalities: Sequence[Modality]) -> Recipe:
    """How a request wants to be fused."""
    constants = Constants(
        missing=request.missing,
        rrf_k=request.rrf_k,
        rank_depth=request.rank_depth or request.depth // 2,
        dbsf_deviations=request.dbsf_deviations,
        network=request.fusion_weights if request.strategy is FusionStrategy.ATTENTION else None,
    )
    searched = tuple(modalities)
    return Recipe(searched, request.strategy, request.similarity, request.chance_z, request.spread_z, constants)


def fuse_parts(questions: Sequence[Question]) -> list[Fused | None]:
    """Fuse each question's parts; None for one without any."""
    found: list[Fused | None] = [None] * len(questions)
    alike: dict[Recipe, list[int]] = {}
    for place, question in enumerate(questions):
        if question.request.parts:
            alike.setdefault(recipe_of(question.request, question.candidates.modalities), []).append(place)
    blocks = [
        (recipe, all_places[start : start + MOST_TOGETHER])
        for recipe, all_places in alike.items()
        for start in range(0, len(all_places), MOST_TOGETHER)
    ]
    for recipe, places in blocks:
        block = scores_of([questions[place] for place in places], recipe)
        totals = fuse_block(recipe, block)
        for row, place in enumerate(places):
            own = _own(block, row, questions[place])
            found[place] = Fused(totals[row, : own.present.shape[-1]], own)
    return found


def fuse_block(recipe: Recipe, block: Scores) -> Matrix:
    """Fused scores of a block, shape (questions, candidates)."""
    return fuse(recipe.strategy, block)


def cosines_block(questions: Sequence[Question], recipe: Recipe) -> Matrix:
    """Every part against everything that the candidates have, shape (questions, parts, modalities, candidates)."""
    return padded([_cosines(question, recipe.similarity) for question in questions])


def scores_of(questions: Sequence[Question], recipe: Recipe, cosines: Matrix | None = None) -> Scores:
    """Lay questions out as one block; ``cosines`` are theirs, where they are known already."""
    requests = [question.request for question in questions]
    cosines = cosines_block(questions, recipe) if cosines is None else cosines
    means = padded([_backgrounds(question, "mean") for question in questions])
    stds = padded([_backgrounds(question, "std") for question in questions], fill=1.0)
    present = padded([question.candidates.present for question in questions])
    there = present[:, None]
    distances = (cosines - means[..., None]) / stds[..., None]
    weights = [[request.weights.get(modality, 1.0) for modality in recipe.modalities] for request in requests]
    codes = [np.array([_ORDER[part.modality] for part in request.parts], np.intp) for request in requests]
    return Scores(
        similarities=shown(cosines, recipe.similarity) * there,
        deviations=distances * there,
        calibrated=calibrated(distances, chance_z=recipe.chance_z, spread_z=recipe.spread_z) * there,
        present=present,
        part_weights=padded([np.array([part.weight for part in request.parts], np.float64) for request in requests]),
        modality_weights=np.array(weights, np.float64),
        part_modalities=padded(codes),
        modalities=recipe.modalities,
        constants=recipe.constants,
    )


def padded(blocks: Sequence[NDArray[Any]], fill: float = 0.0) -> NDArray[Any]:
    """Stack arrays of one rank, each filled up to the largest; shape (blocks, …)."""
    if len(blocks) == 1:
        return blocks[0][None]
    out = np.full((len(blocks), *np.max([block.shape for block in blocks], axis=0)), fill, blocks[0].dtype)
    for row, block in zip(out, blocks, strict=True):
        row[tuple(map(slice, block.shape))] = block
    return out


def _cosines(question: Question, similarity: Similarity) -> Matrix:
    """Shape (parts, modalities, candidates)."""
    weights = question.request.dimension_weights if similarity is Similarity.WEIGHTED_COSINE else None
    vectors = np.stack([part.vector for part in question.request.parts])
    return np.swapaxes(cosines_of(vectors, question.candidates.vectors, weights), 0, 1)


def _backgrounds(question: Question, which: str) -> Matrix:
    """Shape (parts, modalities)."""
    pairs, modalities = question.backgrounds, question.candidates.modalities
    return np.array(
        [[getattr(pairs[part.modality, each], which) for each in modalities] for part in question.request.parts],
        np.float64,
    )


def _own(block: Scores, row: int, question: Question) -> Scores:
    """One question's part of a block, without its padding."""
    parts, items = len(question.request.parts), len(question.candidates.ids)
    return replace(
        block,
        similarities=block.similarities[row, :parts, :, :items],
        deviations=block.deviations[row, :parts, :, :items],
        calibrated=block.calibrated[row, :parts, :, :items],
        present=block.present[row, :, :items],
        part_weights=block.part_weights[row, :parts],
        modality_weights=block.modality_weights[row],
        part_modalities=block.part_modalities[row, :parts],
    )
