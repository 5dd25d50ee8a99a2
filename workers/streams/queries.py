"""The query worker's work: every query with a readable ``query_id`` gets one result, also when it failed.

Queries of a batch run side by side and share nothing but device batches: a slow address, a poisonous part or an
unknown item costs its own query alone. At-least-once: a query that is tried again answers with the same key.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from config.errors import Reason, RejectEvent, RetryLater
from config.settings import MediaSettings, PeopleSettings, QuerySettings
from config.vocabulary import QueryId
from fusion.attention_weights import fusion_weights_of
from fusion.index.protocol import VectorIndex
from fusion.people.protocol import PeopleStore
from fusion.recommend_sources import SequenceModel
from workers.contracts.base import WireQueryId
from workers.contracts.parse import parse_event, salvage
from workers.contracts.query import QUERIES, Query
from workers.contracts.result import Result
from workers.streams.calibration import CalibrationSource
from workers.streams.encoding import Batcher
from workers.streams.fetch import MediaFetcher
from workers.streams.inputs import InputReader, StageError
from workers.streams.observer import Observer, Unobserved
from workers.streams.query_answer import Answerer
from workers.streams.query_ordering import told
from workers.streams.query_parts import PartEncoder
from workers.streams.query_request import check_page
from workers.streams.query_results import ResultSender, answered, failed, timings
from workers.streams.query_served import ServedKeeper
from workers.streams.records import Done, Outcome, Publisher, Record, Refused
from workers.streams.timing import now_ms
from workers.streams.together import together

log = logging.getLogger(__name__)

_QUERY_IDS: TypeAdapter[QueryId] = TypeAdapter(WireQueryId)

Place = tuple[str, int, int]


@dataclass(slots=True, kw_only=True)
class _Clock:
    """A query's time: when its record was written, and what each stage took."""

    written_ms: int
    seconds: dict[str, float] = field(default_factory=dict)
    deadline: float | None = None

    def since_written_s(self) -> float:
        return max(0.0, (now_ms() - self.written_ms) / 1000)


class QueryHandler:
    """Answers queries.

    Args:
        batcher: Encodes on the device.
        index: Holds the vectors of the batcher's model.
        calibration: Gives the background of each (query modality, item modality) pair.
        results_topic: Full name of the shared results topic.
        max_event_bytes: Largest query accepted.
        behaviour: How recommendations are made of behaviour.
        sequence: Foretells what a user does next; None without a trained model.
        layout: Name of the layout that the index is of; None for the first one.
    """

    def __init__(
        self,
        *,
        batcher: Batcher,
        index: VectorIndex,
        people: PeopleStore,
        fetcher: MediaFetcher,
        publisher: Publisher,
        calibration: CalibrationSource,
        settings: QuerySettings,
        media: MediaSettings,
        results_topic: str,
        max_event_bytes: int,
        observer: Observer | None = None,
        behaviour: PeopleSettings | None = None,
        sequence: SequenceModel | None = None,
        layout: str | None = None,
    ) -> None:
        self._model = batcher.encoders.model
        self._layout = layout
        self._settings = settings
        self._reader = InputReader(fetcher, media, batcher.encoders.modalities)
        self._answerer = Answerer(
            fusion_weights=fusion_weights_of(settings, self._model),
            parts=PartEncoder(batcher, self._reader),
            encoders=batcher.encoders,
            index=index,
            people=people,
            calibration=calibration,
            settings=settings,
            behaviour=behaviour or PeopleSettings(),
            sequence=sequence,
        )
        self._keeper = ServedKeeper(people.served, behaviour or PeopleSettings())
        self._results = ResultSender(publisher, results_topic)
        self._max_event_bytes = max_event_bytes
        self._observer = observer or Unobserved()
        self._sent: dict[Place, Outcome] = {}

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Answer queries; outcomes in order.

        Raises:
            RetryLater: The index, the broker or the device is away. Queries already answered are not answered again.
        """
        outcomes = await together(self._serve_once(record) for record in records)
        for record in records:
            self._sent.pop(_place(record), None)
        return outcomes

    def close(self) -> None:
        """Let the decoding threads go."""
        self._reader.close()

    async def _serve_once(self, record: Record) -> Outcome:
        """Serve a query, unless an earlier try of this batch already did."""
        if (known := self._sent.get(_place(record))) is not None:
            return known
        outcome = await self._serve(record)
        self._sent[_place(record)] = outcome
        return outcome

    async def _serve(self, record: Record) -> Outcome:
        clock = _Clock(written_ms=record.timestamp_ms if record.timestamp_ms > 0 else now_ms())
        clock.seconds["queue"] = clock.since_written_s()
        try:
            query = parse_event(record.value, QUERIES, max_bytes=self._max_event_bytes)
        except RejectEvent as exc:
            return await self._refuse_unread(record, exc, clock)
        result = await self._answer_or_error(query, clock)
        return await self._reply(result, query.reply_to, clock)

    async def _refuse_unread(self, record: Record, error: RejectEvent, clock: _Clock) -> Outcome:
        """Tell the sender, if it can be read who asked; a query without a readable id is a dead letter."""
        read = salvage(record.value, "query_id", "reply_to")
        try:
            query_id = _QUERY_IDS.validate_python(read.get("query_id"), strict=True)
        except ValidationError:
            return Refused.of(error, "parse")
        return await self._reply(failed(query_id, self._model, error), read.get("reply_to"), clock)

    async def _reply(self, result: Result, reply_to: str | None, clock: _Clock) -> Done:
        clock.seconds["total"] = clock.since_written_s()
        await self._results.send(result.model_copy(update={"timings_ms": timings(clock.seconds)}), reply_to)
        self._observer.answered(clock.seconds)
        return Done() if result.error is None else Done(label="error_result")

    async def _answer_or_error(self, query: Query, clock: _Clock) -> Result:
        try:
            self._results.check(query.reply_to)
            check_page(query, self._settings)
            return await self._answer_in_time(query, clock)
        except StageError as exc:
            return failed(query.query_id, self._model, exc.error)
        except RejectEvent as exc:
            return failed(query.query_id, self._model, exc)
        except RetryLater:
            raise
        except Exception as exc:
            log.exception("query %s failed", query.query_id)
            message = f"the worker failed on this query ({type(exc).__name__}); its log has more"
            return failed(query.query_id, self._model, RejectEvent(Reason.INTERNAL, message))

    async def _answer_in_time(self, query: Query, clock: _Clock) -> Result:
        """Answer before the deadline; the time a query waited in Kafka counts."""
        deadline_s = (query.deadline_ms or self._settings.deadline_ms) / 1000
        late = RejectEvent(
            Reason.DEADLINE_EXCEEDED,
            f"no answer within {deadline_s * 1000:.0f} ms of the query's record; "
            f"it had waited {clock.seconds['queue'] * 1000:.0f} ms when it was taken",
            field="deadline_ms",
        )
        left_s = deadline_s - clock.since_written_s()
        if left_s <= 0:
            raise late
        try:
            async with asyncio.timeout(left_s) as limit:
                clock.deadline = limit.when()
                return await self._answer(query, clock)
        except TimeoutError as exc:
            if not limit.expired():
                raise
            raise late from exc

    async def _answer(self, query: Query, clock: _Clock) -> Result:
        began = time.perf_counter()
        question = await self._answerer.prepare(query)
        clock.seconds["encode"] = time.perf_counter() - began
        question = question.at(query.occurred_at_ms(clock.written_ms), clock.deadline)
        ranking = await self._answerer.rank(query, question)
        took_s = time.perf_counter() - began - clock.seconds["encode"]
        # Whatever is not fusion's own work was waiting for a store.
        clock.seconds |= {"search": max(0.0, took_s - ranking.fuse_s), "fuse": ranking.fuse_s}
        self._keeper.keep(query, ranking)
        self._observe(len(ranking.failed_shards), degraded=bool(question.warnings or ranking.failed_shards))
        return answered(
            query.query_id,
            ranking,
            self._model,
            question.warnings,
            explain=query.explain,
            ordering=told(question.request),
            layout=self._layout,
        )

    def _observe(self, failed_shards: int, *, degraded: bool) -> None:
        if failed_shards:
            self._observer.shards_failed(failed_shards)
        if degraded:
            self._observer.degraded()


def _place(record: Record) -> Place:
    return record.topic, record.partition, record.offset
