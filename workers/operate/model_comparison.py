"""Whether two models answer alike: queries that people asked, answered by both as a query worker does it."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import numpy as np

from config.errors import Misconfigured, RejectEvent
from config.settings import KafkaSettings, Settings
from config.vocabulary import ItemId, Modality, QueryId, QueryKind
from fusion.index.layouts import Layout, LayoutRecord
from fusion.index.protocol import VectorIndex
from fusion.index.redis_calibration import RedisCalibrationStore
from fusion.index.redis_index import RedisVectorIndex
from fusion.recalibration import in_effect
from workers.contracts.parse import parse_event
from workers.contracts.query import QUERIES, Query
from workers.contracts.result import RESULTS
from workers.contracts.topics import Topic
from workers.operate.jsonl import BadLine, read_events
from workers.operate.layout_comparison import COMPARED, Answers, Comparison
from workers.operate.layout_desk import LayoutDesk
from workers.operate.past_records import past_records
from workers.operate.rebuild import Tell
from workers.streams.calibration import FixedCalibration
from workers.streams.compose_queries import model_settings
from workers.streams.memory import MemoryPublisher
from workers.streams.records import Handler, Record
from workers.streams.timing import now_ms

_TOGETHER: Final = 16
_PATIENCE_MS: Final = 600_000
_COMPARABLE: Final = (QueryKind.SEARCH, QueryKind.SIMILAR)

Scored = list[tuple[ItemId, float]]


async def asked_lately(settings: KafkaSettings, count: int, tell: Tell) -> list[Query]:
    """A sample of the searches that the queries topic holds, which keeps a day of them.

    Raises:
        Misconfigured: The broker cannot be reached, or nobody asked anything.
    """
    found: list[Query] = []
    async for record in past_records(settings, Topic.QUERIES, lambda done, total: tell("queries", done, total)):
        try:
            found.append(parse_event(record.value, QUERIES))
        except RejectEvent:
            continue
    return _sample(found, count, "the queries topic holds no search: name a file with --queries")


def from_file(file: Path, settings: KafkaSettings, count: int) -> list[Query]:
    """A sample of a file's query events.

    Raises:
        Misconfigured: A line is no query, or none is a search.
    """
    bad: list[BadLine] = []
    try:
        with file.open("rb") as lines:
            read = list(read_events(lines, Topic.QUERIES, settings, on_bad_line=bad.append))
    except OSError as exc:
        raise Misconfigured(f"{file}: cannot be read ({exc.strerror})") from exc
    if bad:
        raise Misconfigured(*(f"{file} {each}" for each in bad))
    return _sample((each for each in read if isinstance(each, Query)), count, f"{file} holds no search")


def _sample(queries: Iterable[Query], count: int, nothing: str) -> list[Query]:
    """Of searches and likenesses, without who asked and how to answer: taste is of one model, and no comparison."""
    fit = [each for each in queries if each.kind in _COMPARABLE]
    if not fit:
        raise Misconfigured(nothing)
    chosen = np.random.default_rng().permutation(len(fit))[:count]
    plain = {"user_id": None, "personalise": 0.0, "reply_to": None, "deadline_ms": None, "offset": 0, "k": COMPARED}
    return [
        fit[place].model_copy(update={**plain, "query_id": QueryId(f"compared-{number}")})
        for number, place in enumerate(chosen)
    ]


async def compare_models(desk: LayoutDesk, record: LayoutRecord, queries: Sequence[Query], tell: Tell) -> Comparison:
    """Ask both layouts of a record, one model after the other.

    Raises:
        Misconfigured: A model cannot be loaded.
        RetryLater: Redis is away.
    """
    answers, items = [], []
    for layout in (record.live, record.second or record.live):
        found, counts = await _ask(desk.settings, layout, queries, tell)
        answers.append(found)
        items.append(counts)
    paired = zip(queries, *answers, strict=True)
    return Comparison(
        answers=[Answers(label=_label(query), live=live, other=other) for query, live, other in paired],
        live_items=items[0],
        other_items=items[1],
    )


async def _ask(
    settings: Settings, layout: Layout, queries: Sequence[Query], tell: Tell
) -> tuple[list[Scored], dict[Modality, int]]:
    """What a layout says to each query, and how many items it holds."""
    publisher, scored = MemoryPublisher(), list[Scored]()
    async with AsyncExitStack() as stack:
        handler, index = await _answering(settings, layout, publisher, stack)
        for start in range(0, len(queries), _TOGETHER):
            some = queries[start : start + _TOGETHER]
            await handler.handle([_record(query, place) for place, query in enumerate(some)])
            results = [RESULTS.validate_json(sent.value or b"") for sent in publisher.sent]
            publisher.sent.clear()
            hits = {each.query_id: [(hit.item_id, hit.score) for hit in each.hits] for each in results}
            scored += [hits[query.query_id] for query in some]
            tell(str(layout.model), start + len(some), len(queries))
        return scored, await index.counts()


async def _answering(
    settings: Settings, layout: Layout, publisher: MemoryPublisher, stack: AsyncExitStack
) -> tuple[Handler, VectorIndex]:
    """The handler of a query worker that answers from one layout, by the backgrounds measured for its model."""
    from encoders.batching import DeviceBatcher
    from encoders.registry import load_encoders
    from fusion.people.redis_store import RedisPeopleStore
    from workers.streams.fetch import MediaFetcher
    from workers.streams.queries import QueryHandler

    model = model_settings(settings.model, layout) if layout.profile else settings.model
    encoders = await asyncio.to_thread(load_encoders, model)
    batcher = DeviceBatcher(encoders, model)
    stack.push_async_callback(batcher.close)
    index = RedisVectorIndex(settings.redis, encoders.model, encoders.dims, layout=layout)
    stack.push_async_callback(index.close)
    people = RedisPeopleStore(settings.redis, settings.people, encoders.model, encoders.dims)
    stack.push_async_callback(people.close)
    store = RedisCalibrationStore(settings.redis, encoders.model, encoders.dims)
    stack.push_async_callback(store.close)
    table = in_effect(await store.read(), now_ms())
    handler = QueryHandler(
        batcher=batcher,
        index=index,
        people=people,
        fetcher=await stack.enter_async_context(MediaFetcher(settings.media)),
        publisher=publisher,
        calibration=FixedCalibration(encoders.calibration if table is None else table.backgrounds),
        settings=settings.query.model_copy(update={"deadline_ms": _PATIENCE_MS}),
        media=settings.media,
        results_topic=Topic.RESULTS.named("compared"),
        max_event_bytes=settings.kafka.max_event_bytes,
        behaviour=settings.people,
    )
    stack.callback(handler.close)
    return handler, index


def _record(query: Query, place: int) -> Record:
    value = query.model_dump_json(exclude_none=True).encode()
    topic = Topic.QUERIES.named("compared")
    return Record(topic=topic, partition=0, offset=place, key=None, value=value, timestamp_ms=now_ms())


def _label(query: Query) -> str:
    """What was asked, in a few words."""
    if query.kind is QueryKind.SIMILAR:
        return f"like {query.item_id}"
    words = [getattr(part, "text", None) or str(part.modality) for part in query.parts]
    return " + ".join(words)[:60]
