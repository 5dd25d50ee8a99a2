"""From a query on the wire to what fusion is asked: settings fill what the query leaves open."""

from collections.abc import Collection, Sequence

from config.errors import Reason, RejectEvent
from config.settings import PeopleSettings, QuerySettings
from config.vocabulary import Calibration, Modality, ModelRef, QueryKind, RecommendSignal, Similarity
from encoders.base import DimensionWeights
from fusion.attention_weights import FusionWeights
from fusion.recommend import RecommendOptions
from fusion.recommend_sources import SequenceModel
from fusion.request import QueryPart, RankingRequest
from workers.contracts.query import MAX_SUMMARISED, Query, Recommend
from workers.streams.query_ordering import ordered

_CLIP = frozenset({Modality.IMAGE, Modality.AUDIO})


def check_page(query: Query, settings: QuerySettings) -> None:
    """See that the page asked for is one this worker serves.

    Raises:
        RejectEvent: Naming ``k`` and the limit.
    """
    k = page_size(query, settings)
    if query.offset + k > settings.max_k:
        message = f"offset + k is {query.offset + k}; this worker ranks at most {settings.max_k} (query.max_k)"
        raise RejectEvent(Reason.INVALID_EVENT, message, field="k")


def page_size(query: Query, settings: QuerySettings) -> int:
    """How many hits are wanted; what a summary is made of is bounded, whatever the setting."""
    k = query.k or settings.k
    return min(k, MAX_SUMMARISED) if query.kind is QueryKind.SUMMARIZE else k


def searched(query: Query, modalities: Collection[Modality], model: ModelRef) -> tuple[frozenset[Modality], list[str]]:
    """Which item modalities are looked at, and a warning for each that was asked for and has no vectors.

    A clip's vectors are its pictures' and its sound's, so ``video`` looks at both.

    Raises:
        RejectEvent: If nothing asked for can be looked at.
    """
    if not query.search_in:
        return frozenset(modalities), []
    wanted = {each for asked in query.search_in for each in (_CLIP if asked is Modality.VIDEO else {asked})}
    there = wanted & frozenset(modalities)
    if not there:
        message = f"{model} has no vectors of these; it has {', '.join(sorted(modalities))}"
        raise RejectEvent(Reason.UNSUPPORTED_MODALITY, message, field="search_in")
    return frozenset(there), [
        f"{each} was not searched: {model} has no vectors of it" for each in sorted(wanted - there)
    ]


def recommend_options(query: Query, people: PeopleSettings) -> RecommendOptions:
    """What a query says of its recommendation, and the settings where it says nothing.

    Raises:
        RejectEvent: If no signal is left with a share.
    """
    asked = query.recommend or Recommend()
    return RecommendOptions(
        shares={**people.shares, **(asked.shares or {})},
        explore=people.explore if asked.explore is None else asked.explore,
        explore_window_s=people.explore_window_s,
        allow_seen=asked.allow_seen,
    )


def unheard(query: Query, sequence: SequenceModel | None) -> tuple[str, ...]:
    """A warning where a query gives a share to a sequence model that is not there."""
    shares = query.recommend.shares if query.recommend is not None else None
    if sequence is not None or not (shares or {}).get(RecommendSignal.SEQUENCE):
        return ()
    return ("the signal 'sequence' has no say: this worker has no sequence model (people.sequence_model)",)


def backgrounds_known(request: RankingRequest, cosines: Calibration, learnt: DimensionWeights | None) -> Calibration:
    """Backgrounds by pair of modalities for the similarity that is asked for: weighted cosines have their own."""
    if request.similarity is not Similarity.WEIGHTED_COSINE or learnt is None:
        return cosines
    return {**cosines, **learnt.calibration}


def ranking_request(
    query: Query,
    parts: Sequence[QueryPart],
    search_in: frozenset[Modality],
    settings: QuerySettings,
    *,
    learnt: DimensionWeights | None = None,
    fusion_weights: FusionWeights | None = None,
) -> RankingRequest:
    """Put a query, its encoded parts, the worker's settings and the model's weights into one request.

    Raises:
        RejectEvent: If the weights leave nothing to look at.
    """
    weights = {**settings.weights, **(query.fusion.weights or {})}
    if not any(weights.get(modality, 1.0) for modality in search_in):
        message = "every modality that is searched has weight 0; give at least one another weight"
        raise RejectEvent(Reason.INVALID_EVENT, message, field="fusion.weights")
    return RankingRequest(
        parts=tuple(parts),
        k=page_size(query, settings),
        offset=query.offset,
        filter=query.filter,
        search_in=search_in,
        similarity=query.similarity or settings.similarity,
        strategy=query.fusion.strategy or settings.strategy,
        weights=weights,
        missing=query.fusion.missing or settings.missing,
        rrf_k=query.fusion.rrf_k or settings.rrf_k,
        rank_depth=query.fusion.rank_depth,
        dbsf_deviations=query.fusion.dbsf_deviations or settings.dbsf_deviations,
        chance_z=settings.chance_z if query.fusion.chance_z is None else query.fusion.chance_z,
        spread_z=query.fusion.spread_z or settings.spread_z,
        fusion_weights=fusion_weights,
        explain=query.explain,
        candidates=settings.candidates,
        dimension_weights=None if learnt is None else learnt.values,
        **ordered(query, settings),
    )
