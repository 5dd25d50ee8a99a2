"""A request in, an explained ranking out: the one way from vectors to an answer."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter
from typing import Final

import numpy as np

from config.vocabulary import Background, FusionStrategy, Modality, Similarity
from fusion.attention_weights import shipped_weights
from fusion.candidates import Candidates, searched_modalities
from fusion.explanation import because, explanation_of, hit_explanation, modality_scores
from fusion.explanation_list import list_reasons
from fusion.gathering import Gathered, gather
from fusion.index.protocol import VectorIndex
from fusion.listing import Listing, ListMaker, stages_of
from fusion.recommend_explore import with_explored
from fusion.request import RankedHit, Ranking, RankingRequest
from fusion.scoring import Scored, backgrounds_of, score
from fusion.signals import contributions

DEEPER: Final = 4
"""How much deeper is searched when groups, near-duplicates or exclusions leave a page short."""

DEEPEST: Final = 5_000
"""Neighbours of each vector set beyond which no page is filled; pages that ask for more get more."""


async def answer(
    request: RankingRequest,
    index: VectorIndex,
    calibration: Mapping[tuple[Modality, Modality], Background],
) -> Ranking:
    """Find candidates, score them exactly, fuse, rank and explain.

    A search only proposes: every item that any of them found is scored on its full-precision vectors under every part
    and modality, so its place does not depend on which search found it, on quantisation, or on the number of shards.

    Args:
        request: The question.
        index: Where items are; asked once for candidates (one round trip a shard) and once for their vectors, and
            again, deeper, when groups or near-duplicates leave the page short.
        calibration: Background of each (query modality, item modality) pair; pairs without one are taken to be
            independent directions (see ``fusion.calibration``).

    Raises:
        RejectEvent: When the filter does not parse, or the request asks for what cannot be done.
        RetryLater: When the index cannot be reached.
    """
    request = _with_weights(request, index)
    modalities = searched_modalities(request, index)
    backgrounds = backgrounds_of(request, modalities, calibration, index.dims)
    search_s = fuse_s = 0.0
    stretches = request.stretches
    while True:
        gathered = await gather(request, index, modalities, backgrounds, stretches)
        started = perf_counter()
        listing = _listed(request, gathered, backgrounds)
        search_s, fuse_s = search_s + gathered.took_s, fuse_s + perf_counter() - started
        if _is_done(request, gathered, listing, search_s + fuse_s):
            break
        stretches *= DEEPER
    started = perf_counter()
    hits = _hits(request, gathered.candidates, listing)
    return Ranking(
        hits=hits,
        candidates=len(gathered.candidates.ids),
        warnings=_warnings(request, gathered, listing),
        failed_shards=gathered.failed_shards,
        search_s=search_s,
        fuse_s=fuse_s + perf_counter() - started,
        explanation=explanation_of(request, modalities) if request.explain else None,
    )


def page_of(request: RankingRequest, candidates: Candidates, scored: Scored) -> tuple[RankedHit, ...]:
    """Rank scored candidates that were found all at once, and show the page that is asked for."""
    stage_at = stages_of(request, candidates, np.ones(len(candidates.ids), np.intp), lambda *_: scored)
    return _hits(request, candidates, ListMaker(request, candidates).make(stage_at, request.stretches))


def _with_weights(request: RankingRequest, index: VectorIndex) -> RankingRequest:
    """Attention needs trained weights: those that ship, when the request brings none."""
    if request.strategy is not FusionStrategy.ATTENTION or request.fusion_weights is not None:
        return request
    return replace(request, fusion_weights=shipped_weights().for_model(index.model))


def _listed(
    request: RankingRequest, gathered: Gathered, backgrounds: Mapping[tuple[Modality, Modality], Background]
) -> Listing:
    def scorer(asked: RankingRequest, candidates: Candidates) -> Scored:
        return score(asked, candidates, backgrounds)

    stage_at = stages_of(request, gathered.candidates, gathered.first, scorer)
    return ListMaker(request, gathered.candidates).make(stage_at, gathered.stretches)


def _is_done(request: RankingRequest, gathered: Gathered, listing: Listing, spent_s: float) -> bool:
    """Whether the page is full, or cannot or may not be filled from deeper searches."""
    if len(listing.order) >= request.wanted or gathered.everything:
        return True
    if gathered.stretches * DEEPER * request.pool > DEEPEST:
        return True
    if request.deadline is None:
        return False
    return asyncio.get_running_loop().time() + DEEPER * spent_s > request.deadline


def _hits(request: RankingRequest, candidates: Candidates, listing: Listing) -> tuple[RankedHit, ...]:
    order, explored = listing.order, frozenset[int]()
    if request.explore is not None:
        order, explored = with_explored(order, request.explore, candidates.fused)
    page = enumerate(order[: request.wanted][request.offset :].tolist(), start=request.offset)
    return tuple(_hit(request, candidates, listing, number, place, aside=place in explored) for number, place in page)


def _hit(
    request: RankingRequest, candidates: Candidates, listing: Listing, number: int, place: int, *, aside: bool
) -> RankedHit:
    seen, scored, own = listing.seen(place)
    collapsed = tuple(candidates.ids[each] for each in listing.collapsed.get(place, ()))
    explored = (request.explore.because,) if request.explore is not None and aside else ()
    reasons = (
        (*explored, *because(request, seen, scored, own), *list_reasons(request, candidates, listing, place))
        if request.explain
        else ()
    )
    return RankedHit(
        rank=number + 1,
        item_id=candidates.ids[place],
        score=float(scored.total[own]),
        modality_scores=modality_scores(request, seen, scored, own),
        attributes=candidates.attributes[place],
        because=reasons,
        explanation=hit_explanation(request, seen, scored, own),
        boosts={} if scored.boosted_by is None else scored.boosted_by.of(own),
        collapsed=collapsed,
        signals={} if scored.blended is None else contributions(request.signals, scored.blended, own),
    )


def _warnings(request: RankingRequest, gathered: Gathered, listing: Listing) -> tuple[str, ...]:
    warnings = []
    if gathered.failed_shards:
        shards = ", ".join(str(shard) for shard in gathered.failed_shards)
        warnings.append(f"shards {shards} did not answer: their items are missing")
    if gathered.unfilled:
        warnings.append(
            "there was no time to look at all items that the filter may select: some may be missing;"
            " raise deadline_ms to see them"
        )
    if len(listing.order) < request.wanted and not gathered.everything:
        warnings.append(
            f"only {len(listing.order)} hits could be listed from the nearest {gathered.stretches * request.pool}"
            " of each vector set: loosen group_by or collapse to see more"
        )
    if request.similarity is Similarity.WEIGHTED_COSINE and request.dimension_weights is None:
        warnings.append("no dimension weights are known for this model: weighted_cosine is cosine here")
    return tuple(warnings)
