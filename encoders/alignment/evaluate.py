"""How well aligned heads are: every modality finds every other among items they were not trained on."""

from collections.abc import Mapping
from itertools import permutations

import numpy as np
import torch
from numpy.typing import NDArray

from config.vocabulary import Background, Modality
from encoders.alignment.evaluation import RetrievalScores, score_retrieval
from encoders.alignment.features import PairedFeatures
from encoders.alignment.heads import Head
from encoders.vectors import unit_rows, weighted_rows

MOST_BACKGROUND = 1000


@torch.inference_mode()
def carry(head: Head, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return unit vectors (n, dims) of source vectors (n, source); NaN stays NaN."""
    return unit_rows(head(torch.from_numpy(vectors)).numpy())


def align(
    heads: Mapping[Modality, Head], features: PairedFeatures, weights: NDArray[np.float64] | None = None
) -> dict[Modality, NDArray[np.float32]]:
    """Return aligned unit vectors (n, dims) by modality, NaN where an item lacks it.

    With ``weights`` (dims,) the cosine of what is returned is the weighted cosine of what is aligned.
    """
    carried = {modality: carry(heads[modality], features.vectors[modality]) for modality in features.modalities}
    return carried if weights is None else {m: weighted_rows(rows, weights) for m, rows in carried.items()}


def score_pairs(
    heads: Mapping[Modality, Head],
    features: PairedFeatures,
    weights: NDArray[np.float64] | None = None,
    *,
    codes: bool = False,
) -> dict[tuple[Modality, Modality], RetrievalScores]:
    """Return scores for every ordered pair of modalities that any items have together.

    Args:
        heads: What carries the vectors.
        features: The items.
        weights: Of the weighted cosine (dims,); the cosine without them.
        codes: Compare signs alone: their inner product is dims less twice the Hamming distance.
    """
    aligned = align(heads, features, weights)
    if codes:
        aligned = {m: np.sign(rows) for m, rows in aligned.items()}
    found = {}
    for query, item in permutations(features.modalities, 2):
        both = np.flatnonzero(features.together((query, item)))
        if len(both):
            items = np.flatnonzero(features.present(item))
            found[query, item] = score_retrieval(aligned[query][both], aligned[item][items], both, items)
    return found


def mean_recall(scores: Mapping[tuple[Modality, Modality], RetrievalScores]) -> float:
    """Return one number to choose heads by: the mean of recall at 1, 5 and 10 over all pairs; 0 without any."""
    each = [(s.recall_at_1 + s.recall_at_5 + s.recall_at_10) / 3 for s in scores.values()]
    return float(np.mean(each)) if each else 0.0


def backgrounds(aligned: Mapping[Modality, NDArray[np.float32]]) -> dict[tuple[Modality, Modality], Background]:
    """Return mean and deviation of the cosine between vectors of different items, for every ordered pair.

    Args:
        aligned: Unit vectors (n, dims) by modality, a row an item; the first 1,000 items count.
    """
    aligned = {modality: rows[:MOST_BACKGROUND] for modality, rows in aligned.items()}
    table = {}
    for query in aligned:
        for item in aligned:
            cosines = (aligned[query] @ aligned[item].T).astype(np.float64)
            others = cosines[~np.eye(len(cosines), dtype=bool)]
            known = others[np.isfinite(others)]
            if known.size > 1:
                table[query, item] = Background(mean=float(known.mean()), std=max(float(known.std()), 1e-6))
    return table
