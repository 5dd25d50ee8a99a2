"""Summaries: of items that a query names, or of what its search found."""

import asyncio
from collections.abc import Sequence
from dataclasses import fields
from time import perf_counter
from typing import Any, Final

from config.errors import Reason, RejectEvent
from config.vocabulary import ItemId, Modality, QueryKind
from fusion.index.protocol import Item, VectorIndex
from fusion.request import RankedHit, Ranking, RankingRequest
from fusion.summary import SummarisedRanking, Summary, SummaryRequest, summarise
from workers.contracts.query import Query
from workers.contracts.summary import Summary as WireSummary
from workers.contracts.summary import SummaryFrame, SummaryOptions, SummaryPassage, SummarySound
from workers.streams.calibration import CalibrationSource

_MOST_TOLD: Final = 5  # ids repeated in a warning
_SCORE_DIGITS: Final = 6
_NAMED_SCORE: Final = 1.0  # nothing was searched: what is asked for by name is all there is


class Summariser:
    """Summarises; one for a process.

    Args:
        index: Where items and their segments are.
        calibration: Background of each (query modality, item modality) pair.
    """

    def __init__(self, index: VectorIndex, calibration: CalibrationSource) -> None:
        self._index = index
        self._calibration = calibration

    @staticmethod
    def named(query: Query) -> tuple[ItemId, ...]:
        """The items that a query wants a summary of by name."""
        if query.kind is not QueryKind.SUMMARIZE:
            return ()
        return query.item_ids or (() if query.item_id is None else (query.item_id,))

    async def of_named(self, item_ids: Sequence[ItemId], query: Query, request: RankingRequest) -> SummarisedRanking:
        """Summarise items; those that are unknown are told in a warning.

        Raises:
            RejectEvent: None of them is known.
            RetryLater: The index cannot be reached.
        """
        started = perf_counter()
        items = await self._index.fetch_whole(item_ids)
        known = [items[item_id] for item_id in item_ids if item_id in items]
        if not known:
            message = "no such item: it was never published, was deleted, or is not indexed yet"
            raise RejectEvent(Reason.UNKNOWN_ITEM, message, field="item_ids" if query.item_ids else "item_id")
        unknown = [item_id for item_id in item_ids if item_id not in items]
        hits = tuple(
            RankedHit(
                rank=rank,
                item_id=item.item_id,
                score=_NAMED_SCORE,
                modality_scores={},
                attributes=item.attributes,
            )
            for rank, item in enumerate(known, start=1)
        )
        warnings = (f"not summarised, no such item: {_told(unknown)}",) if unknown else ()
        found = Ranking(hits=hits, candidates=len(hits), warnings=warnings, search_s=perf_counter() - started)
        return await self._summarised(found, known, query, request)

    async def of_found(self, ranking: Ranking, query: Query, request: RankingRequest) -> SummarisedRanking:
        """Summarise what a search found.

        Raises:
            RetryLater: The index cannot be reached.
        """
        items = await self._index.fetch_whole([hit.item_id for hit in ranking.hits])
        found = [items[hit.item_id] for hit in ranking.hits if hit.item_id in items]
        return await self._summarised(ranking, found, query, request)

    async def _summarised(
        self, ranking: Ranking, items: Sequence[Item], query: Query, request: RankingRequest
    ) -> SummarisedRanking:
        started = perf_counter()
        options = query.summary or SummaryOptions()
        wanted = SummaryRequest(parts=request.parts, **options.model_dump())
        # In a thread: hundreds of segments take tens of milliseconds, in which other queries go on.
        summary = await asyncio.to_thread(summarise, items, wanted, self._calibration.table())
        bare = [item.item_id for item in items if not item.segments]
        warnings = (*ranking.warnings, *([_about_bare(bare)] if bare else []))
        told: dict[str, Any] = {each.name: getattr(ranking, each.name) for each in fields(Ranking)}
        fuse_s = ranking.fuse_s + perf_counter() - started
        return SummarisedRanking(**(told | {"warnings": warnings, "fuse_s": fuse_s}), summary=summary)


def on_wire(summary: Summary) -> WireSummary:
    """Write a summary into a result."""
    return WireSummary(
        text=summary.text,
        passages=tuple(
            SummaryPassage(
                item_id=each.item_id,
                text=each.segment.text,
                start=int(each.segment.start or 0),
                end=int(each.segment.end or 0),
                score=round(each.score, _SCORE_DIGITS),
            )
            for each in summary.of(Modality.TEXT)
        ),
        frames=tuple(
            SummaryFrame(
                item_id=each.item_id,
                source=each.segment.source,
                time_s=each.segment.start,
                score=round(each.score, _SCORE_DIGITS),
            )
            for each in summary.of(Modality.IMAGE)
        ),
        sounds=tuple(
            SummarySound(
                item_id=each.item_id,
                source=each.segment.source,
                start_s=each.segment.start or 0.0,
                end_s=each.segment.end or 0.0,
                score=round(each.score, _SCORE_DIGITS),
            )
            for each in summary.of(Modality.AUDIO)
        ),
        coverage=round(summary.coverage, _SCORE_DIGITS),
        segments=summary.segments,
    )


def _about_bare(bare: Sequence[ItemId]) -> str:
    return (
        f"nothing to show of {_told(bare)}: no text, picture, sound or clip, or indexed without segments"
        " (content.segments); publish again what should be summarised"
    )


def _told(item_ids: Sequence[ItemId]) -> str:
    more = len(item_ids) - _MOST_TOLD
    return ", ".join(item_ids[:_MOST_TOLD]) + (f" and {more} more" if more > 0 else "")
