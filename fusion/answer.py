"""A request in, an explained ranking out: the one way from vectors to an answer."""

from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter

from config.vocabulary import Background, FusionStrategy, ItemId, Modality, Similarity
from fusion.attention_weights import shipped_weights
from fusion.candidates import Candidates, assemble, found_ids, plan_searches, searched_modalities
from fusion.explanation import because, explanation_of, hit_explanation, modality_scores
from fusion.index.filters import parse_filter
from fusion.index.protocol import Item, SearchReport, VectorIndex
from fusion.ranking import rank
from fusion.request import RankedHit, Ranking, RankingRequest
from fusion.scoring import Scored, backgrounds_of, score


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
        index: Where items are; asked once for candidates (one round trip a shard) and once for their vectors.
        calibration: Background of each (query modality, item modality) pair; pairs without one are taken to be
            independent directions (see ``fusion.calibration``).

    Raises:
        RejectEvent: When the filter does not parse, or the request asks for what cannot be done.
        RetryLater: When the index cannot be reached.
    """
    started = perf_counter()
    request = _with_weights(request, index)
    modalities = searched_modalities(request, index)
    backgrounds = backgrounds_of(request, modalities, calibration, index.dims)
    report = await index.search(plan_searches(request, modalities, backgrounds))
    items = await index.fetch([*found_ids(report, request), *sorted(request.boosts.keys() - request.exclude)])
    fetched = perf_counter()
    candidates = assemble(_selected(items, request), modalities, index.dims)
    scored = score(request, candidates, backgrounds)
    hits = page_of(request, candidates, scored)
    return Ranking(
        hits=hits,
        candidates=len(candidates.ids),
        warnings=_warnings(request, report),
        failed_shards=report.failed_shards,
        search_s=fetched - started,
        fuse_s=perf_counter() - fetched,
        explanation=explanation_of(request, modalities) if request.explain else None,
    )


def _with_weights(request: RankingRequest, index: VectorIndex) -> RankingRequest:
    """Attention needs trained weights: those that ship, when the request brings none."""
    if request.strategy is not FusionStrategy.ATTENTION or request.fusion_weights is not None:
        return request
    return replace(request, fusion_weights=shipped_weights().for_model(index.model))


def _selected(items: Mapping[ItemId, Item], request: RankingRequest) -> dict[ItemId, Item]:
    """Items that still pass the filter: one may have changed since it was found, and boosts never met it."""
    if not request.filter.strip():
        return dict(items)
    wanted = parse_filter(request.filter)
    return {item_id: item for item_id, item in items.items() if wanted.matches(item.attributes)}


def page_of(request: RankingRequest, candidates: Candidates, scored: Scored) -> tuple[RankedHit, ...]:
    """Rank scored candidates, and show the page that is asked for."""
    order = rank(
        request.ranking,
        scored.total,
        candidates.fused,
        wanted=request.wanted,
        pool=request.candidates,
        diversity=request.diversity,
        beam_width=request.beam_width,
    )
    page = enumerate(order[request.offset :].tolist(), start=request.offset + 1)
    return tuple(_hit(request, candidates, scored, number, place) for number, place in page)


def _hit(request: RankingRequest, candidates: Candidates, scored: Scored, number: int, place: int) -> RankedHit:
    return RankedHit(
        rank=number,
        item_id=candidates.ids[place],
        score=float(scored.total[place]),
        modality_scores=modality_scores(request, candidates, scored, place),
        attributes=candidates.attributes[place],
        because=because(request, candidates, scored, place) if request.explain else (),
        explanation=hit_explanation(request, candidates, scored, place),
    )


def _warnings(request: RankingRequest, report: SearchReport) -> tuple[str, ...]:
    warnings = []
    if report.failed_shards:
        shards = ", ".join(str(shard) for shard in report.failed_shards)
        warnings.append(f"shards {shards} did not answer: their items are missing")
    if request.similarity is Similarity.WEIGHTED_COSINE and request.dimension_weights is None:
        warnings.append("no dimension weights are known for this model: weighted_cosine is cosine here")
    return tuple(warnings)
