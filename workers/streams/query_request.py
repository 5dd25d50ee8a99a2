"""From a query on the wire to what fusion is asked: settings fill what the query leaves open."""

from collections.abc import Collection, Sequence

from config.errors import Reason, RejectEvent
from config.settings import QuerySettings
from config.vocabulary import Modality, ModelRef
from encoders.base import DimensionWeights
from fusion.request import Near, QueryPart, RankingRequest
from workers.contracts.query import Query

_CLIP = frozenset({Modality.IMAGE, Modality.AUDIO})


def check_page(query: Query, settings: QuerySettings) -> None:
    """See that the page asked for is one this worker serves.

    Raises:
        RejectEvent: Naming ``k`` and the limit.
    """
    k = query.k or settings.k
    if query.offset + k > settings.max_k:
        message = f"offset + k is {query.offset + k}; this worker ranks at most {settings.max_k} (query.max_k)"
        raise RejectEvent(Reason.INVALID_EVENT, message, field="k")


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


def ranking_request(
    query: Query,
    parts: Sequence[QueryPart],
    search_in: frozenset[Modality],
    settings: QuerySettings,
    learnt: DimensionWeights | None = None,
) -> RankingRequest:
    """Put a query, its encoded parts, the worker's settings and the model's weights into one request.

    Raises:
        RejectEvent: If the weights leave nothing to look at.
    """
    weights = {**settings.weights, **(query.fusion.weights or {})}
    if not any(weights.get(modality, 1.0) for modality in search_in):
        message = "every modality that is searched has weight 0; give at least one another weight"
        raise RejectEvent(Reason.INVALID_EVENT, message, field="fusion.weights")
    near = query.near
    return RankingRequest(
        parts=tuple(parts),
        k=query.k or settings.k,
        offset=query.offset,
        filter=query.filter,
        search_in=search_in,
        similarity=query.similarity or settings.similarity,
        strategy=query.fusion.strategy or settings.strategy,
        weights=weights,
        missing=query.fusion.missing or settings.missing,
        ranking=query.ranking.method or settings.ranking,
        rrf_k=settings.rrf_k,
        diversity=query.ranking.diversity,
        beam_width=query.ranking.beam_width,
        near=None if near is None else Near(latitude=near.latitude, longitude=near.longitude, scale_km=near.scale_km),
        explain=query.explain,
        candidates=settings.candidates,
        dimension_weights=None if learnt is None else learnt.values,
    )
