"""The workers' own handlers on an index in memory: items from a file, and answers without any server."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.errors import Misconfigured
from config.settings import Settings
from encoders.base import EncoderSet
from encoders.batching import DeviceBatcher
from fusion.index.memory_index import MemoryVectorIndex
from fusion.people.memory_store import MemoryPeopleStore
from workers.contracts.query import Query
from workers.contracts.result import RESULTS, Result
from workers.contracts.topics import Topic
from workers.streams.calibration import FixedCalibration
from workers.streams.content import ContentHandler
from workers.streams.fetch import MediaFetcher
from workers.streams.memory import MemoryPublisher
from workers.streams.queries import QueryHandler
from workers.streams.records import Record, Refused

TOGETHER: Final = 64
PATIENCE_MS: Final = 600_000
"""Nobody waits for an offline answer, and a first one may wait for a whole batch to be encoded."""


@dataclass(slots=True, kw_only=True)
class OfflineSystem:
    """What answers.

    Args:
        settings: The file's own folder is among those that ``file://`` may read.
        encoders: Of one aligned space.
        batcher: Over the encoders.
        fetcher: Fetches media.
        index: Exact, in memory.
    """

    settings: Settings
    encoders: EncoderSet
    batcher: DeviceBatcher
    fetcher: MediaFetcher
    index: MemoryVectorIndex
    _asked: int = 0

    async def index_file(self, file: Path, advance: Callable[[int], object] = lambda _: None) -> int:
        """Index a file of content events, and return how many items there are then.

        Raises:
            Misconfigured: With the lines that were refused, or when the file cannot be read.
        """
        publisher = MemoryPublisher()
        handler = ContentHandler(
            batcher=self.batcher,
            index=self.index,
            fetcher=self.fetcher,
            publisher=publisher,
            media=self.settings.media,
            vectors_topic=Topic.VECTORS.named("offline"),
            max_event_bytes=self.settings.kafka.max_event_bytes,
        )
        try:
            for some in _chunks(_records(file)):
                outcomes = await handler.handle(some)
                refused = [
                    f"{file} line {record.offset}: {each.field}: {each.message}"
                    for record, each in zip(some, outcomes, strict=True)
                    if isinstance(each, Refused)
                ]
                if refused:
                    raise Misconfigured(*refused)
                advance(len(some))
        finally:
            handler.close()
        return len(await self.index.scan_ids(10**9))

    async def answer(self, queries: Sequence[Query], advance: Callable[[int], object] = lambda _: None) -> list[Result]:
        """Answer queries as a query worker does, in order."""
        found: list[Result] = []
        handler, publisher = self._query_handler()
        try:
            for start in range(0, len(queries), TOGETHER):
                some = queries[start : start + TOGETHER]
                await handler.handle([self._record(query) for query in some])
                answers = {each.query_id: each for each in map(_read, publisher.sent)}
                publisher.sent.clear()
                found += [answers[query.query_id] for query in some]
                advance(len(some))
        finally:
            handler.close()
        return found

    def _query_handler(self) -> tuple[QueryHandler, MemoryPublisher]:
        publisher = MemoryPublisher()
        handler = QueryHandler(
            batcher=self.batcher,
            index=self.index,
            people=MemoryPeopleStore(self.settings.people, self.encoders.dims),
            fetcher=self.fetcher,
            publisher=publisher,
            calibration=FixedCalibration(self.encoders.calibration),
            settings=self.settings.query.model_copy(update={"deadline_ms": PATIENCE_MS}),
            media=self.settings.media,
            results_topic=Topic.RESULTS.named("offline"),
            max_event_bytes=self.settings.kafka.max_event_bytes,
            behaviour=self.settings.people,
        )
        return handler, publisher

    def _record(self, query: Query) -> Record:
        self._asked += 1
        asked = query.model_copy(update={"reply_to": None, "deadline_ms": None})
        value = asked.model_dump_json(exclude_none=True).encode()
        now_ms = time.time_ns() // 1_000_000
        topic = Topic.QUERIES.named("offline")
        return Record(topic=topic, partition=0, offset=self._asked, key=None, value=value, timestamp_ms=now_ms)


@contextlib.asynccontextmanager
async def offline_system(settings: Settings, folders: Iterable[Path] = ()) -> AsyncIterator[OfflineSystem]:
    """Load the settings' encoders and open an empty system; ``file://`` may read ``folders`` too.

    Raises:
        Misconfigured: The profile cannot be loaded.
    """
    from encoders.registry import load_encoders

    allowed = (*settings.media.allowed_folders, *(folder.resolve() for folder in folders))
    media = settings.media.model_copy(update={"allowed_folders": allowed})
    encoders = load_encoders(settings.model)
    async with AsyncExitStack() as stack:
        batcher = DeviceBatcher(encoders, settings.model)
        stack.push_async_callback(batcher.close)
        yield OfflineSystem(
            settings=settings.model_copy(update={"media": media}),
            encoders=encoders,
            batcher=batcher,
            fetcher=await stack.enter_async_context(MediaFetcher(media)),
            index=MemoryVectorIndex(encoders.model, encoders.dims, encoders.modalities),
        )


def _records(file: Path) -> Iterable[Record]:
    try:
        lines = file.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    except OSError as exc:
        raise Misconfigured(f"{file} cannot be read: {exc.strerror}") from exc
    topic, now_ms = Topic.CONTENT.named("offline"), time.time_ns() // 1_000_000
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield Record(topic=topic, partition=0, offset=number, key=None, value=line, timestamp_ms=now_ms)


def _chunks(records: Iterable[Record]) -> Iterable[list[Record]]:
    some: list[Record] = []
    for record in records:
        some.append(record)
        if len(some) == TOGETHER:
            yield some
            some = []
    if some:
        yield some


def _read(sent: object) -> Result:
    value = getattr(sent, "value", None)
    return RESULTS.validate_json(value or b"")
