"""What a ranking is asked for and what it says: frozen values between the query worker and ``fusion.answer``."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from config.errors import Reason, RejectEvent
from config.vocabulary import (
    Attributes,
    FusionStrategy,
    ItemId,
    MissingRule,
    Modality,
    RankingMethod,
    RecommendSignal,
    Similarity,
)
from fusion.arrangement import Collapse, Coverage, GroupBy, check_arrangement
from fusion.attention_weights import FusionWeights
from fusion.boosts import Boost, Boosted, check_boosts
from fusion.calibration import CHANCE_Z, SPREAD_Z
from fusion.explained import Explanation, HitExplanation
from fusion.recommend_explore import Explore
from fusion.signals import Signal

NEAR_SHARE: Final = 1.0 / 3.0
"""Share of the score that ``near`` decides unless it says: a place settles what the content leaves close."""

FEWEST_PLACES: Final = 10
"""Places that are chosen together, at the least: see ``fusion.listing``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPart:
    """One thing a query shows, aligned.

    Args:
        modality: What the part is made of; names its rows of the calibration.
        vector: float32 of shape (dims,); any non-zero norm.
        weight: How much it counts against the other parts; negative steers away from it.
    """

    modality: Modality
    vector: NDArray[np.float32]
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """A place that near items are preferred to: the preference halves every ``scale_km``.

    Items carry their place as the numeric attributes ``latitude`` and ``longitude``, in degrees.

    Args:
        share: Share of the score in [0, 1] that nearness decides.
    """

    latitude: float
    longitude: float
    scale_km: float
    share: float = NEAR_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingRequest:
    """A whole question. ``answer`` needs at least one part, a profile, or boosts; ``recommend`` needs none.

    Args:
        parts: What the query shows; may be empty for a recommendation.
        k: Hits returned, after ``offset`` of them are skipped.
        filter: Expression in the vector sets' language (see ``fusion.index.filters``); empty for none.
        search_in: Item modalities that count; all of the index's when None.
        weights: Weight of each item modality, not negative; 1 when not named.
        missing: Whether a lacking modality is left out of a score or counts as no match.
        rrf_k: The constant of reciprocal rank fusion.
        rank_depth: How many of each list count in ``rrf`` and ``dbsf``; half the candidates when None.
        dbsf_deviations: A list's mean less and plus this many standard deviations become 0 and 1; read by ``dbsf``.
        chance_z: Standard deviations from the background at which a calibrated value is 0.5.
        spread_z: How slowly it leaves 0.5 from there.
        fusion_weights: The trained weights of ``attention``; those that ship when None.
        diversity: 0 ranks by score alone, 1 by difference alone; read by ``mmr`` and ``beam``.
        beam_width: Slates kept at each step; read by ``beam``.
        coverage: Categories that the list should cover; read by ``mmr`` and ``beam``.
        group_by: At most so many hits with one value of an attribute.
        collapse: Near-duplicates of which one is shown.
        boost_by: What else speaks for an item: its age, popularity, numbers.
        exclude: Items never returned.
        near: A place to prefer.
        explain: Fill what explains: ``because``, scores by pair, ranks, constants.
        candidates: Taken from each vector set for each quarter of as many hits (see ``fusion.listing``).
        dimension_weights: float of shape (dims,), not negative; read by ``weighted_cosine`` alone.
        profile: float32 of shape (dims,), what the user likes; None when not personalised or cold.
        personalise: Share of the score in [0, 1] that the profile decides; with no parts it decides all of it.
        boosts: Items that something outside the vectors speaks for, in [0, 1], such as co-visitation.
        boost_share: Share of the score in [0, 1] that the boosts decide.
        boost_because: Sentence shown on boosted hits when explaining.
        asked_at_ms: When it was asked, in milliseconds since 1970: what recency is measured from.
        deadline: When an answer is worth nothing any more, on the event loop's clock; None for never.
        signals: What a recommendation is made of; they decide all of the score but for the place.
        explore: Places given to what the signals do not speak for; None for none.

    Raises:
        RejectEvent: ``INVALID_EVENT`` with the path of the field in the query event and what it may be.
    """

    parts: tuple[QueryPart, ...] = ()
    k: int = 10
    offset: int = 0
    filter: str = ""
    search_in: frozenset[Modality] | None = None
    similarity: Similarity = Similarity.COSINE
    strategy: FusionStrategy = FusionStrategy.WEIGHTED_MEAN
    weights: Mapping[Modality, float] = field(default_factory=dict)
    missing: MissingRule = MissingRule.RENORMALISE
    ranking: RankingMethod = RankingMethod.TOP_K
    rrf_k: float = 60.0
    rank_depth: int | None = None
    dbsf_deviations: float = 3.0
    chance_z: float = CHANCE_Z
    spread_z: float = SPREAD_Z
    fusion_weights: FusionWeights | None = None
    diversity: float = 0.3
    beam_width: int = 8
    exclude: frozenset[ItemId] = frozenset()
    near: Near | None = None
    explain: bool = False
    candidates: int = 100
    dimension_weights: NDArray[np.float64] | None = None
    profile: NDArray[np.float32] | None = None
    personalise: float = 0.0
    boosts: Mapping[ItemId, float] = field(default_factory=dict)
    boost_share: float = 0.0
    boost_because: str = ""
    coverage: Coverage | None = None
    group_by: GroupBy | None = None
    collapse: Collapse | None = None
    boost_by: tuple[Boost, ...] = ()
    asked_at_ms: int = 0
    deadline: float | None = None
    signals: tuple[Signal, ...] = ()
    explore: Explore | None = None

    def __post_init__(self) -> None:
        """Refuse what no ranking can be made of."""
        _check_page(self)
        _check_parts(self)
        _check_shares(self)
        _check_constants(self)
        check_arrangement(self.ranking, self.diversity, self.coverage, self.group_by, self.collapse)
        check_boosts(self.boost_by)
        if self.near is not None:
            _check_near(self.near)

    @property
    def wanted(self) -> int:
        """Hits that must be ranked to fill the page."""
        return self.offset + self.k

    @property
    def stretch(self) -> int:
        """Places that are chosen together."""
        return max(FEWEST_PLACES, -(-self.candidates // 4))

    @property
    def stretches(self) -> int:
        """Stretches that must be chosen to fill the page."""
        return -(-self.wanted // self.stretch)

    @property
    def pool(self) -> int:
        """The best that are still open, from which a stretch is chosen; and what each adds to the depth of searches."""
        return 4 * self.stretch

    @property
    def depth(self) -> int:
        """Candidates taken from each vector set.

        Reciprocal rank fusion lets the better half vote: a quantised search misses some near its end, and ranks that
        shift by what it missed would make the ranking depend on the search.
        """
        return self.stretches * self.pool

    def reaching(self, stretches: int) -> "RankingRequest":
        """The same question, asked for so many stretches of the list."""
        return replace(self, offset=0, k=stretches * self.stretch)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalityScore:
    """How one of an item's modalities answered the query.

    Args:
        similarity: In [0, 1], as the request compares vectors; the parts' mean by weight.
        calibrated: The same after calibration against the background, in [0, 1]: comparable between modalities.
        weight: Its share of the fused score's weights, in [0, 1].
        rank: Its place in the modality's list, from 1, under the part it answers best; None where nothing was listed.
    """

    similarity: float
    calibrated: float
    weight: float
    rank: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedHit:
    """One place of the ranking; ``score`` is in [0, 1], ``rank`` counts from 1 over all pages.

    ``boosts`` is what each boost said, by its name; ``collapsed`` are the near-duplicates that the hit stands for.
    ``signals`` is what each signal of a recommendation gave to the score, before the place took its share.
    """

    rank: int
    item_id: ItemId
    score: float
    modality_scores: Mapping[Modality, ModalityScore]
    attributes: Attributes
    because: tuple[str, ...] = ()
    explanation: HitExplanation | None = None
    boosts: Mapping[str, Boosted] = field(default_factory=dict)
    collapsed: tuple[ItemId, ...] = ()
    signals: Mapping[RecommendSignal, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommended:
    """Every constant that a recommendation was made with.

    Args:
        shares: Of the signals that had something to say; they sum to 1.
        explore: Share of the places that were explored.
        explore_window_s: How long these stay the same.
        allow_seen: Whether what the user acted on may be shown again.
    """

    shares: Mapping[RecommendSignal, float]
    explore: float
    explore_window_s: float
    allow_seen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The answer.

    Args:
        candidates: How many items were scored exactly.
        warnings: What the reader should know, in sentences.
        failed_shards: Shards that did not answer; the ranking is partial when there are any.
        search_s: Seconds spent asking the index.
        fuse_s: Seconds spent scoring, fusing and ranking.
        explanation: How the ranking was made; None unless the request explains.
        recommended: How it was made, when it is a recommendation.
    """

    hits: tuple[RankedHit, ...]
    candidates: int
    warnings: tuple[str, ...] = ()
    failed_shards: tuple[int, ...] = ()
    search_s: float = 0.0
    fuse_s: float = 0.0
    explanation: Explanation | None = None
    recommended: Recommended | None = None


def _refuse(path: str, message: str) -> NoReturn:
    raise RejectEvent(Reason.INVALID_EVENT, message, field=path)


def _check_page(request: RankingRequest) -> None:
    if request.k < 1:
        _refuse("k", f"must be at least 1, not {request.k}")
    if request.offset < 0:
        _refuse("offset", f"must be at least 0, not {request.offset}")
    if request.search_in is not None and not request.search_in:
        _refuse("search_in", "names no modality: leave it out to search all of them")
    if request.beam_width < 1:
        _refuse("ranking.beam_width", f"must be at least 1, not {request.beam_width}")
    if request.rank_depth is not None and request.rank_depth < 1:
        _refuse("fusion.rank_depth", f"must be at least 1, not {request.rank_depth}")


def _check_constants(request: RankingRequest) -> None:
    for name in ("rrf_k", "dbsf_deviations", "spread_z"):
        value = getattr(request, name)
        if not (math.isfinite(value) and value > 0):
            _refuse(f"fusion.{name}", f"must be above 0, not {value}")
    if not math.isfinite(request.chance_z):
        _refuse("fusion.chance_z", f"must be a number, not {request.chance_z}")


def _check_parts(request: RankingRequest) -> None:
    for place, part in enumerate(request.parts):
        if not math.isfinite(part.weight) or part.weight == 0:
            _refuse(f"parts.{place}.weight", f"must be a number other than 0, not {part.weight}")
        if not np.isfinite(part.vector).all() or not part.vector.any():
            _refuse(f"parts.{place}", "its vector is zero or not finite: the encoder found nothing in it")


def _check_shares(request: RankingRequest) -> None:
    for path, share in (
        ("personalise", request.personalise),
        ("ranking.diversity", request.diversity),
        ("boost_share", request.boost_share),
    ):
        if not 0 <= share <= 1:
            _refuse(path, f"must be from 0 to 1, not {share}")
    for modality, weight in request.weights.items():
        if not (math.isfinite(weight) and weight >= 0):
            _refuse(f"fusion.weights.{modality}", f"must be at least 0, not {weight}; steer away with a part's weight")


def _check_near(near: Near) -> None:
    if not -90 <= near.latitude <= 90:
        _refuse("near.latitude", f"must be from -90 to 90, not {near.latitude}")
    if not -180 <= near.longitude <= 180:
        _refuse("near.longitude", f"must be from -180 to 180, not {near.longitude}")
    if not (math.isfinite(near.scale_km) and near.scale_km > 0):
        _refuse("near.scale_km", f"must be above 0, not {near.scale_km}")
    if not 0 <= near.share <= 1:
        _refuse("near.share", f"must be from 0 to 1, not {near.share}")
