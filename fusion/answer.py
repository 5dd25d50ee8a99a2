"""A request in, an explained ranking out: the one way from vectors to an answer."""

from collections.abc import Mapping
from time import perf_counter

from config.vocabulary import Background, ItemId, Modality, Similarity
from fusion.candidates import Candidates, assemble, found_ids, named_ids, plan_searches, searched_modalities
from fusion.explanation import because, modality_scores
from fusion.index.filters import parse_filter
from fusion.index.protocol import Item, SearchReport, VectorIndex
from fusion.ranking import rank
from fusion.recommend_explore import with_explored
from fusion.request import RankedHit, Ranking, RankingRequest
from fusion.scoring import Scored, backgrounds_of, score
from fusion.signals import contributions


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
    modalities = searched_modalities(request, index)
    backgrounds = backgrounds_of(request, modalities, calibration, index.dims)
    report = await index.search(plan_searches(request, modalities, backgrounds))
    items = await index.fetch([*found_ids(report, request), *named_ids(request)])
    fetched = perf_counter()
    candidates = assemble(_selected(items, request), modalities, index.dims)
    scored = score(request, candidates, backgrounds)
    hits = _hits(request, candidates, scored)
    return Ranking(
        hits=hits,
        candidates=len(candidates.ids),
        warnings=_warnings(request, report),
        failed_shards=report.failed_shards,
        search_s=fetched - started,
        fuse_s=perf_counter() - fetched,
    )


def _selected(items: Mapping[ItemId, Item], request: RankingRequest) -> dict[ItemId, Item]:
    """Items that still pass the filter: one may have changed since it was found, and boosts never met it."""
    if not request.filter.strip():
        return dict(items)
    wanted = parse_filter(request.filter)
    return {item_id: item for item_id, item in items.items() if wanted.matches(item.attributes)}


def _hits(request: RankingRequest, candidates: Candidates, scored: Scored) -> tuple[RankedHit, ...]:
    order = rank(
        request.ranking,
        scored.total,
        candidates.fused,
        wanted=request.wanted,
        pool=request.candidates,
        diversity=request.diversity,
        beam_width=request.beam_width,
    )
    explored: frozenset[int] = frozenset()
    if request.explore is not None:
        order, explored = with_explored(order, request.explore, candidates.fused)
    page = enumerate(order[request.offset :].tolist(), start=request.offset + 1)
    return tuple(_hit(request, candidates, scored, number, place, aside=place in explored) for number, place in page)


def _hit(
    request: RankingRequest, candidates: Candidates, scored: Scored, number: int, place: int, *, aside: bool
) -> RankedHit:
    explored = (request.explore.because,) if request.explore is not None and aside else ()
    return RankedHit(
        rank=number,
        item_id=candidates.ids[place],
        score=float(scored.total[place]),
        modality_scores=modality_scores(request, candidates, scored, place),
        attributes=candidates.attributes[place],
        because=(*explored, *because(request, candidates, scored, place)) if request.explain else (),
        signals={} if scored.blended is None else contributions(request.signals, scored.blended, place),
    )


def _warnings(request: RankingRequest, report: SearchReport) -> tuple[str, ...]:
    warnings = []
    if report.failed_shards:
        shards = ", ".join(str(shard) for shard in report.failed_shards)
        warnings.append(f"shards {shards} did not answer: their items are missing")
    if request.similarity is Similarity.WEIGHTED_COSINE and request.dimension_weights is None:
        warnings.append("no dimension weights are known for this model: weighted_cosine is cosine here")
    return tuple(warnings)
