"""Results: written from a ranking or a refusal, and sent where the query wants them."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from config.errors import Reason, RejectEvent, RetryLater
from config.vocabulary import ModelRef, QueryId, ResultStatus
from fusion import request as fused
from fusion.request import RankedHit, Ranking
from fusion.summary import SummarisedRanking
from workers.contracts.ordering import Ordering
from workers.contracts.result import Hit, ModalityScore, QueryError, Recommended, Result, Timings
from workers.streams.query_explained import wire_explanation, wire_hit_explanation
from workers.streams.query_ordering import boost_scores
from workers.streams.records import Publisher
from workers.streams.summaries import on_wire
from workers.streams.timing import now_ms

log = logging.getLogger(__name__)

_SCORE_DIGITS: Final = 6
_TIME_DIGITS: Final = 3
_REPLY_TIMEOUT_S: Final = 5.0
"""A reply topic that does not exist would hold up everyone: past this the result goes to the shared topic."""


def timings(seconds: Mapping[str, float]) -> Timings:
    """Seconds by stage, as milliseconds on the wire."""
    return Timings(**{stage: round(spent * 1000, _TIME_DIGITS) for stage, spent in seconds.items()})


def answered(
    query_id: QueryId,
    ranking: Ranking,
    model: ModelRef,
    warnings: Sequence[str],
    *,
    explain: bool,
    ordering: Ordering | None = None,
    layout: str | None = None,
) -> Result:
    """Write the result of a query that was answered, without its timings."""
    return Result(
        query_id=query_id,
        occurred_at=datetime.now(UTC),
        status=ResultStatus.PARTIAL if ranking.failed_shards else ResultStatus.OK,
        hits=tuple(_hit(hit, explain=explain) for hit in ranking.hits),
        summary=on_wire(ranking.summary) if isinstance(ranking, SummarisedRanking) else None,
        candidates=ranking.candidates,
        ordering=ordering if explain else None,
        recommended=_told(ranking.recommended) if explain and ranking.recommended else None,
        model=str(model),
        warnings=tuple(dict.fromkeys([*warnings, *ranking.warnings])),
        explanation=wire_explanation(ranking.explanation, layout) if explain and ranking.explanation else None,
    )


def failed(query_id: QueryId, model: ModelRef, error: RejectEvent) -> Result:
    """Write the result of a query that cannot be answered."""
    return Result(
        query_id=query_id,
        occurred_at=datetime.now(UTC),
        status=ResultStatus.ERROR,
        model=str(model),
        error=QueryError(code=error.reason, message=error.message, field=error.field),
    )


def _told(made: fused.Recommended) -> Recommended:
    return Recommended(
        shares={name: round(share, _SCORE_DIGITS) for name, share in made.shares.items()},
        explore=made.explore,
        explore_window_s=made.explore_window_s,
        allow_seen=made.allow_seen,
    )


def _hit(hit: RankedHit, *, explain: bool) -> Hit:
    scores = {
        modality: ModalityScore(
            similarity=round(score.similarity, _SCORE_DIGITS),
            calibrated=round(score.calibrated, _SCORE_DIGITS),
            weight=round(score.weight, _SCORE_DIGITS),
            rank=score.rank,
        )
        for modality, score in hit.modality_scores.items()
    }
    # What the index holds was checked when it came in, and checking it again would cost more than ranking did.
    return Hit.model_construct(
        rank=hit.rank,
        item_id=hit.item_id,
        score=round(hit.score, _SCORE_DIGITS),
        modality_scores=scores if explain else {},
        attributes=hit.attributes,
        because=hit.because if explain else (),
        explanation=wire_hit_explanation(hit.explanation, now_ms()) if explain and hit.explanation else None,
        boosts=boost_scores(hit, _SCORE_DIGITS) if explain else {},
        collapsed=hit.collapsed,
        signals={name: round(part, _SCORE_DIGITS) for name, part in hit.signals.items()} if explain else {},
    )


class ResultSender:
    """Sends results, keyed by query id.

    Args:
        topic: Full name of the shared results topic; a ``reply_to`` is this or begins with it and a dot.
    """

    def __init__(self, publisher: Publisher, topic: str) -> None:
        self._publisher = publisher
        self._topic = topic

    def check(self, reply_to: str | None) -> None:
        """See that a reply topic is one that results may be sent to: nobody writes elsewhere through us.

        Raises:
            RejectEvent: Naming the rule.
        """
        if reply_to and reply_to != self._topic and not reply_to.startswith(f"{self._topic}."):
            message = f"results are sent to {self._topic} or to topics whose names begin with '{self._topic}.'"
            raise RejectEvent(Reason.INVALID_EVENT, message, field="reply_to")

    async def send(self, result: Result, reply_to: str | None) -> None:
        """Send a result and wait for its confirmation.

        A reply topic that cannot be reached, or is not allowed, is passed over with a warning in the result, which then
        goes to the shared topic. A result too large for the broker becomes an error result that says so.

        Raises:
            RetryLater: When the broker is away.
        """
        try:
            self.check(reply_to)
        except RejectEvent:
            reply_to = None  # the result in hand is the refusal of exactly this
        if reply_to and reply_to != self._topic:
            try:
                async with asyncio.timeout(_REPLY_TIMEOUT_S):
                    return await self._send(result, reply_to)
            except (RetryLater, TimeoutError) as exc:
                log.warning("query %s: no result could be sent to %s (%s)", result.query_id, reply_to, exc)
                warning = f"{reply_to} could not be written to; does it exist?"
                result = result.model_copy(update={"warnings": (*result.warnings, warning)})
        return await self._send(result, self._topic)

    async def _send(self, result: Result, topic: str) -> None:
        key = result.query_id.encode()
        try:
            await self._publisher.send(topic, key=key, value=result.to_bytes())
        except RejectEvent as exc:
            hint = RejectEvent(exc.reason, f"the result is too large: ask for a smaller k ({exc.message})", field="k")
            small = failed(result.query_id, ModelRef.parse(result.model), hint)
            await self._publisher.send(topic, key=key, value=small.to_bytes())
