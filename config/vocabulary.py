"""The words every room uses: closed sets, identifiers and the model reference. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, Self

ItemId = NewType("ItemId", str)
UserId = NewType("UserId", str)
QueryId = NewType("QueryId", str)

Scalar = str | int | float | bool
"""An attribute's value; a list of strings is allowed beside it (see ``Attributes``)."""

Attributes = dict[str, Scalar | list[str]]


class Modality(StrEnum):
    """What an item or a query part is made of."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    LOCATION = "location"
    SENSOR = "sensor"


class Role(StrEnum):
    """The three kinds of worker; one process and one consumer group each."""

    CONTENT = "content"
    INTERACTIONS = "interactions"
    QUERIES = "queries"


class Action(StrEnum):
    """What a user did with an item."""

    IMPRESSION = "impression"
    VIEW = "view"
    CLICK = "click"
    LIKE = "like"
    DISLIKE = "dislike"
    SHARE = "share"
    PURCHASE = "purchase"
    RATE = "rate"
    COMMENT = "comment"


class QueryKind(StrEnum):
    """What a query asks for."""

    SEARCH = "search"
    RECOMMEND = "recommend"
    SIMILAR = "similar"
    SUMMARIZE = "summarize"


class Similarity(StrEnum):
    """How two vectors are compared; each is in [0, 1], higher is nearer."""

    COSINE = "cosine"
    EUCLIDEAN = "euclidean"
    WEIGHTED_COSINE = "weighted_cosine"


class FusionStrategy(StrEnum):
    """How an item's per-modality scores become one."""

    WEIGHTED_MEAN = "weighted_mean"
    MAX = "max"
    ATTENTION = "attention"
    RRF = "rrf"
    DBSF = "dbsf"
    NONE = "none"


class MissingRule(StrEnum):
    """What a modality that an item lacks does to its score."""

    RENORMALISE = "renormalise"
    PENALISE = "penalise"


class RankingMethod(StrEnum):
    """How fused candidates become the list that is returned."""

    TOP_K = "top_k"
    MMR = "mmr"
    BEAM = "beam"


class BoostKind(StrEnum):
    """What a boost looks at."""

    RECENCY = "recency"
    POPULARITY = "popularity"
    NUMBER = "number"


class BoostShape(StrEnum):
    """How a number becomes a preference in [0, 1]; each is 0.5 one ``scale`` from its ``origin``."""

    LINEAR = "linear"
    LOG = "log"
    GAUSS = "gauss"


class RecommendSignal(StrEnum):
    """What may speak for an item of a recommendation."""

    LONG = "long"
    """Likeness to what the user liked over time."""
    SHORT = "short"
    """Likeness to what the user is on to in this visit."""
    SEQUENCE = "sequence"
    """What a trained sequence model foretells."""
    COVISITED = "covisited"
    """Others acted on it together with what the user liked last."""
    TRENDS = "trends"
    """Many act on it lately."""
    CONTENT = "content"
    """Likeness to what many act on lately: for who is cold."""


class ResultStatus(StrEnum):
    """How a query ended."""

    OK = "ok"
    PARTIAL = "partial"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Which model made a vector; part of every vector's key, so vectors of two models never meet.

    Its text form is ``name@version``.
    """

    name: str
    version: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``name@version``.

        Raises:
            ValueError: If either half is missing.
        """
        name, _, version = text.partition("@")
        if not name or not version:
            msg = f"a model reference is written name@version, not {text!r}"
            raise ValueError(msg)
        return cls(name, version)

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """When an item was written: event time first, then the offset that breaks its ties (DESIGN.md section 4)."""

    occurred_at_ms: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """Cosine similarities in [-1, 1] of things that do not match, for one (query modality, item modality) pair.

    Raw similarities of different pairs are not comparable (the modality gap); their distances from their own
    background, in standard deviations, are.
    """

    mean: float
    std: float


Calibration = Mapping[tuple[Modality, Modality], Background]  # of (query modality, item modality)
