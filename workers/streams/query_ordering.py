"""How a list is made: from the query's words to fusion's, and back into the result that says what was done."""

from dataclasses import replace
from typing import Any, Final

from config.settings import QuerySettings
from config.vocabulary import BoostKind, RankingMethod
from fusion import boosts as fused
from fusion.arrangement import Collapse, Coverage, GroupBy
from fusion.people.protocol import PeopleStore
from fusion.request import NEAR_SHARE, Near, RankedHit, RankingRequest
from workers.contracts import ordering as wire
from workers.contracts import query as wire_query

TRENDING: Final = 1000
"""Items whose trend weight is known to a popularity boost; what trends less counts as not trending."""


def ordered(query: wire_query.Query, settings: QuerySettings) -> dict[str, Any]:
    """The fields of a ranking request that say how its list is made; settings fill what the query leaves open."""
    ranking, near = query.ranking, query.near
    covered, grouped, collapsed = ranking.coverage, query.group_by, query.collapse
    return {
        "ranking": ranking.method or settings.ranking,
        "diversity": settings.diversity if ranking.diversity is None else ranking.diversity,
        "beam_width": ranking.beam_width or settings.beam_width,
        "coverage": Coverage(attribute=covered.attribute, weight=covered.weight) if covered else None,
        "group_by": GroupBy(attribute=grouped.attribute, most=grouped.most) if grouped else None,
        "collapse": Collapse(similarity=collapsed.similarity, attribute=collapsed.attribute) if collapsed else None,
        "boost_by": tuple(_boost(boost) for boost in query.boosts),
        "near": _near(near) if near else None,
    }


def _near(near: wire_query.Near) -> Near:
    share = NEAR_SHARE if near.share is None else near.share
    return Near(latitude=near.latitude, longitude=near.longitude, scale_km=near.scale_km, share=share)


def _boost(boost: wire.Boost) -> fused.Boost:
    if isinstance(boost, wire.RecencyBoost):
        return fused.Recency(share=boost.share, half_life_s=boost.half_life_s, attribute=boost.attribute)
    if isinstance(boost, wire.PopularityBoost):
        return fused.Popularity(share=boost.share)
    return fused.Numeric(
        share=boost.share, attribute=boost.attribute, shape=boost.shape, origin=boost.origin, scale=boost.scale
    )


async def with_trends(request: RankingRequest, people: PeopleStore, now_ms: int) -> RankingRequest:
    """The request with the trend weights that a popularity boost needs; as it is without one.

    Raises:
        RetryLater: When the store cannot be reached.
    """
    if not any(isinstance(boost, fused.Popularity) for boost in request.boost_by):
        return request
    weights = dict(await people.trends(TRENDING, now_ms=now_ms))
    boosts = (
        replace(boost, weights=weights) if isinstance(boost, fused.Popularity) else boost for boost in request.boost_by
    )
    return replace(request, boost_by=tuple(boosts))


def told(request: RankingRequest) -> wire.Ordering:
    """Every constant a list was made with, for its result."""
    diverse = request.ranking is not RankingMethod.TOP_K
    covered, grouped, collapsed = request.coverage, request.group_by, request.collapse
    return wire.Ordering(
        method=request.ranking,
        diversity=request.diversity if diverse else 0.0,
        coverage=wire.Coverage(attribute=covered.attribute, weight=covered.weight) if covered else None,
        beam_width=request.beam_width if request.ranking is RankingMethod.BEAM else 1,
        group_by=wire.GroupBy(attribute=grouped.attribute, most=grouped.most) if grouped else None,
        collapse=wire.Collapse(similarity=collapsed.similarity, attribute=collapsed.attribute) if collapsed else None,
        boosts=tuple(_told_boost(boost) for boost in request.boost_by),
        near_share=0.0 if request.near is None else request.near.share,
        chosen_together=request.stretch if diverse else 1,
    )


def _told_boost(boost: fused.Boost) -> wire.Boost:
    if isinstance(boost, fused.Recency):
        return wire.RecencyBoost(
            kind=BoostKind.RECENCY, share=boost.share, half_life_s=boost.half_life_s, attribute=boost.attribute
        )
    if isinstance(boost, fused.Popularity):
        return wire.PopularityBoost(kind=BoostKind.POPULARITY, share=boost.share)
    return wire.NumberBoost(
        kind=BoostKind.NUMBER,
        share=boost.share,
        attribute=boost.attribute,
        shape=boost.shape,
        origin=boost.origin,
        scale=boost.scale,
    )


def boost_scores(hit: RankedHit, digits: int) -> dict[str, wire.BoostScore]:
    """What each boost said of a hit, as on the wire."""
    return {
        name: wire.BoostScore(value=round(said.value, digits), share=round(said.share, digits))
        for name, said in hit.boosts.items()
    }
