"""Every modality against every other, through the similarity that serves."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured
from config.settings import Settings
from config.vocabulary import Similarity
from encoders.alignment.features import PairedFeatures
from encoders.alignment.sightings import Compare, pairs_report
from encoders.base import EncoderSet
from fusion.similarity import compare
from workers.contracts.content import ContentUpsert
from workers.operate.bar import Bar
from workers.operate.collection import Collection, sighted
from workers.operate.item_vectors import Encoding
from workers.operate.pairs import Pairs, encode_once

FEATURES: Final = "features"
"""Folder in the cache."""

Weights = NDArray[np.float64]


def measure_pairs(
    collection: Collection, encoders: EncoderSet, settings: Settings, *, similarity: Similarity, cache: Path
) -> dict[str, Any]:
    """Score every ordered pair of modalities of a collection.

    Args:
        collection: What is measured on.
        encoders: One aligned space.
        settings: Limits of media, and how the device is used.
        similarity: How vectors are compared.
        cache: Keeps the vectors.

    Returns:
        A report ready for JSON: ``model``, ``title``, ``similarity``, ``note``, ``problems``, and what
        ``pairs_report`` returns.

    Raises:
        Misconfigured: Nothing can be read, or the model has no weights for ``weighted_cosine``.
    """
    learnt = encoders.dimension_weights
    compared = comparison(similarity, None if learnt is None else learnt.values, str(encoders.model))
    items = encode(collection, encoders, settings, cache, whole_clips=True)
    both = sighted(collection, items.features, encode_questions(collection, encoders, settings, cache))
    return {
        "model": str(encoders.model),
        "title": collection.title,
        "similarity": similarity.value,
        "note": collection.note,
        "problems": list(items.problems),
        **pairs_report(both, compared),
    }


def encode(
    collection: Collection, encoders: EncoderSet, settings: Settings, cache: Path, *, whole_clips: bool
) -> Pairs:
    """Return a collection's vectors, from the cache where it has them."""
    encoding = Encoding(encoders=encoders, settings=settings, folder=collection.folder, whole_clips=whole_clips)
    return _encode(collection.items, encoding, cache, collection.title, collection.problems)


def encode_questions(
    collection: Collection, encoders: EncoderSet, settings: Settings, cache: Path
) -> PairedFeatures | None:
    """Return the vectors of a collection's questions; None where its items ask for themselves."""
    if not (questions := collection.questions()):
        return None
    return _encode(questions, Encoding(encoders=encoders, settings=settings), cache, "questions").features


def comparison(similarity: Similarity, weights: Weights | None, model: str) -> Compare:
    """Return the similarity as search computes it.

    Raises:
        Misconfigured: It is the weighted cosine and there are no weights.
    """
    if similarity is Similarity.WEIGHTED_COSINE and weights is None:
        raise Misconfigured(
            f"{model} has no weights per dimension: learn some with `crosscurrent train weights`, and name their file "
            "as model.dimension_weights; heads bring their own"
        )
    return lambda queries, items: compare(queries, items, similarity, weights).similarities


def _encode(
    items: Sequence[ContentUpsert], encoding: Encoding, cache: Path, what: str, problems: Sequence[str] = ()
) -> Pairs:
    store = cache / FEATURES / f"{_name(items, encoding)}.npz"
    with Bar(f"encode {what}") as bar:
        return encode_once(items, replace(encoding, advance=bar), store, problems)


def _name(items: Sequence[ContentUpsert], encoding: Encoding) -> str:
    """A file for each collection and space: which items exactly is checked by what the file says of itself."""
    told = f"{encoding.encoders.model} {encoding.whole_clips} {[item.item_id for item in items]}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]
