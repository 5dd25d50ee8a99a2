"""Measure fusion on the built-in corpus: every strategy against the best that one modality alone can do.

One modality alone is any one part of the query (against all that items have), any one modality of the items (for all
parts), or any one pair of both; for each group of queries the best of them is taken, chosen on the very queries that
measure, which favours it. Parts of weight 0 and modalities of weight 0 do not count, so all of these are the same block
of scores under other weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import FusionStrategy, ModelRef
from encoders.builtin.artifacts import load_manifest
from encoders.builtin.image import DRAWING_DIMS
from encoders.builtin.training.packages import DEFAULT_CACHE
from encoders.progress import track
from fusion.attention_weights import FusionWeights, read_weights, shipped_weights
from fusion.learning.measures import ndcg, ranked_gains, recall, reciprocal_rank
from fusion.scores import Scores
from fusion.scoring_batch import recipe_of, scores_of
from fusion.similarity import unit_rows
from fusion.strategies import fuse
from workers.relevance.bootstrap import interval
from workers.relevance.emoji_collection import CHUNK, MODALITIES, EmojiCollection, projected
from workers.relevance.emoji_queries import GROUPS, EmojiQuery
from workers.relevance.emoji_vectors import load_emoji_vectors

QUERIES: Final = 200
SEED: Final = 9
ATTENTION: Final = FusionStrategy.ATTENTION.value
AGAINST: Final = ("weighted_mean", "rrf", "dbsf", "max", "none")
BEST_SINGLE: Final = "best single modality"
MEASURES: Final = ("ndcg_at_10", "reciprocal_rank", "recall_at_10")
PROJECTED_DIMS: Final = 64

Values = dict[str, dict[str, list[float]]]
"""By method and measure, a number a query."""


def evaluate_fusion(
    cache: Path = DEFAULT_CACHE, *, weights: Path | None = None, each: int = QUERIES, seed: int = SEED
) -> dict[str, Any]:
    """Measure the strategies on queries whose targets neither trained nor chose the shipped weights.

    Args:
        cache: Vectors and what they are computed from; filled where something is missing.
        weights: Folder of trained fusion weights; those that ship if None.
        each: Queries a group.
        seed: Draws the queries.

    Returns:
        A report ready for JSON: ``groups`` (by group, method and measure), ``gains`` of attention with intervals (by
        what it is compared with), ``groups_won`` and ``other_models``, where the weights are asked without names.

    Raises:
        Misconfigured: A package of the ``train`` extra or espeak-ng is missing, or the weights are.
    """
    trained = shipped_weights() if weights is None else read_weights(weights)
    vectors, manifest = load_emoji_vectors(cache), load_manifest()
    collection = EmojiCollection.of(vectors, manifest.model, manifest.calibration)
    queries = collection.queries.draw("test", each, seed)
    groups = measure_groups(collection, queries, trained.for_model(manifest.model))
    half = vectors.mapped(lambda rows: np.asarray(unit_rows(rows[:, :DRAWING_DIMS]), np.float32))
    others = {
        f"{manifest.model}, asked without names": collection,
        f"the first {DRAWING_DIMS} of its dimensions": EmojiCollection.of(half, ModelRef("half", "1")),
        f"{PROJECTED_DIMS} random directions": EmojiCollection.of(
            projected(vectors, PROJECTED_DIMS, seed), ModelRef("projected", "1")
        ),
    }
    return {
        "model": str(manifest.model),
        "fusion_weights": trained.name,
        "queries_a_group": each,
        "items": len(vectors.concepts),
        **summary(groups),
        "other_models": {name: _elsewhere(other, each, seed, trained) for name, other in others.items()},
    }


def summary(groups: Mapping[str, Values]) -> dict[str, Any]:
    """Means by group and method, and what attention gains, with intervals."""
    single = {group: best_single(values) for group, values in groups.items()}
    gains = {
        name: interval(
            [_difference(values, single[group] if name == BEST_SINGLE else name) for group, values in groups.items()]
        ).rounded()
        for name in (BEST_SINGLE, *AGAINST)
    }
    means = {group: _means(values) for group, values in groups.items()}
    return {
        "groups": {group: {**means[group], "best_single": single[group]} for group in groups},
        "group_gains": {
            group: interval([_difference(values, single[group])]).rounded() for group, values in groups.items()
        },
        "gains": gains,
        "mean": {
            name: round(float(np.mean([means[group][name]["ndcg_at_10"] for group in groups])), 4)
            for name in (ATTENTION, *AGAINST)
        }
        | {BEST_SINGLE: round(float(np.mean([means[group][single[group]]["ndcg_at_10"] for group in groups])), 4)},
        "groups_won": sum(
            means[group][ATTENTION]["ndcg_at_10"] >= means[group][single[group]]["ndcg_at_10"] for group in groups
        ),
    }


def measure_groups(
    collection: EmojiCollection, queries: Sequence[EmojiQuery], weights: FusionWeights
) -> dict[str, Values]:
    """Every method's measures, a number a query, by group."""
    found: dict[str, Values] = {}
    for group in track(GROUPS, "fuse"):
        own = [query for query in queries if query.group == group]
        values = found.setdefault(group, {})
        for start in range(0, len(own), CHUNK):
            some = own[start : start + CHUNK]
            for name, totals in _methods(collection, some, weights):
                for query, row in zip(some, totals, strict=True):
                    _note(values.setdefault(name, {}), ranked_gains(row, query.gains))
    return found


def best_single(values: Values) -> str:
    """The single modality that does best on these queries."""
    singles = [name for name in values if name not in {*AGAINST, ATTENTION}]
    return max(singles, key=lambda name: float(np.mean(values[name]["ndcg_at_10"])))


def _methods(
    collection: EmojiCollection, queries: Sequence[EmojiQuery], weights: FusionWeights
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Each method's scores of every item, shape (queries, items)."""
    asked = collection.questions(queries, FusionStrategy.ATTENTION, weights)
    block = scores_of(asked, recipe_of(asked[0].request, MODALITIES))
    for strategy in FusionStrategy:
        yield strategy.value, fuse(strategy, block)
    for name, single in _singles(block, queries[0]):
        yield name, fuse(FusionStrategy.WEIGHTED_MEAN, single)


def _singles(block: Scores, query: EmojiQuery) -> Iterator[tuple[str, Scores]]:
    columns = {modality: np.eye(len(MODALITIES))[column] for column, modality in enumerate(MODALITIES)}
    rows = {
        f"{modality} part": np.eye(len(query.parts))[row]
        for row, (modality, weight, _) in enumerate(query.parts)
        if weight > 0
    }
    for modality, column in columns.items():
        alone = replace(block, modality_weights=block.modality_weights * column)
        yield f"items' {modality}", alone
        for part, row in rows.items():
            yield f"{part} → {modality}", replace(alone, part_weights=block.part_weights * row)
    for part, row in rows.items():
        yield part, replace(block, part_weights=block.part_weights * row)


def _note(values: dict[str, list[float]], ranked: NDArray[np.floating]) -> None:
    relevant = int((ranked > 0).sum())
    for name, value in zip(MEASURES, (ndcg(ranked), reciprocal_rank(ranked), recall(ranked, relevant)), strict=True):
        values.setdefault(name, []).append(value)


def _difference(values: Values, other: str) -> NDArray[np.float64]:
    ours, theirs = (np.array(values[name]["ndcg_at_10"], np.float64) for name in (ATTENTION, other))
    return np.asarray(ours - theirs, np.float64)


def _means(values: Values) -> dict[str, dict[str, float]]:
    return {name: {each: round(float(np.mean(row)), 4) for each, row in one.items()} for name, one in values.items()}


def _elsewhere(collection: EmojiCollection, each: int, seed: int, weights: FusionWeights) -> dict[str, Any]:
    queries = collection.queries.draw("test", each, seed)
    told = summary(measure_groups(collection, queries, weights.unnamed()))
    return {"mean": told["mean"], "gains": told["gains"], "groups_won": told["groups_won"]}
