"""The content worker's work: items from the content topic become searchable.

Guarantee: an item's vectors are confirmed on the ``vectors`` topic before the index is written, so what is searchable
can always be rebuilt; and after both the topic's last record of an item is what the index holds, also when events
arrive out of order or are replayed (``timing.version_of``).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config.errors import Reason, RejectEvent
from config.settings import ContentSettings, MediaSettings
from config.vocabulary import Attributes, Modality, Version
from encoders.base import AudioInput, Vector
from fusion.index.protocol import Item, Tombstone, VectorIndex, WriteOutcome
from workers.contracts.content import CONTENT_EVENTS, ContentDelete, ContentUpsert, Modalities
from workers.contracts.parse import parse_event
from workers.streams.encoding import Batcher, mean_direction
from workers.streams.fetch import MediaFetcher
from workers.streams.inputs import Input, InputReader, StageError
from workers.streams.observer import Observer, Unobserved
from workers.streams.records import Done, Outcome, Publisher, Record, Refused
from workers.streams.segments import Plan, plan
from workers.streams.tag_books import Book
from workers.streams.tag_counter import TagCounter
from workers.streams.tagging import Tagger
from workers.streams.timing import check_key, now_ms, version_of
from workers.streams.together import together
from workers.streams.vectors_topic import Change, VectorsTopic

_LABELS = {WriteOutcome.APPLIED: "done", WriteOutcome.STALE: "stale"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """An upsert whose media are decoded: what is to be encoded of it."""

    event: ContentUpsert
    version: Version
    plan: Plan


class ContentHandler:
    """Makes items searchable: parse, fetch and decode together, encode in batches, publish, write.

    Args:
        batcher: Encodes on the device.
        index: Holds the vectors of the batcher's model.
        vectors_topic: Full name of the compacted topic.
        max_event_bytes: Largest event accepted.
        content: What is kept for summaries.
        tagger: Adds tags to the items' attributes; None where no label set is named.
        counter: Counts tags; None like the tagger.
    """

    def __init__(
        self,
        *,
        batcher: Batcher,
        index: VectorIndex,
        fetcher: MediaFetcher,
        publisher: Publisher,
        media: MediaSettings,
        vectors_topic: str,
        max_event_bytes: int,
        content: ContentSettings | None = None,
        observer: Observer | None = None,
        tagger: Tagger | None = None,
        counter: TagCounter | None = None,
    ) -> None:
        self._batcher = batcher
        self._index = index
        self._reader = InputReader(fetcher, media, batcher.encoders.modalities)
        self._content = content or ContentSettings()
        self._topic = VectorsTopic(vectors_topic, publisher, index)
        self._max_event_bytes = max_event_bytes
        self._observer = observer or Unobserved()
        self._tagger = tagger
        self._counter = counter

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Take records to their outcomes, in order.

        Raises:
            RetryLater: The index, the broker or the device is away; everything done so far may be done again.
        """
        books = await self._counter.open(records) if self._counter else {}
        read = await together(self._read(record) for record in records)
        changes = self._tagged(await self._encode(read))
        refusals = await self._topic.publish([change for change in changes if not isinstance(change, Refused)])
        changes = [self._refused_or(change, refusals) for change in changes]
        outcomes = await self._write(records, changes)
        self._count(records, changes, books)
        return outcomes

    def close(self) -> None:
        """Let the decoding threads go."""
        self._reader.close()

    async def _read(self, record: Record) -> _Read | Tombstone | Refused:
        try:
            event = parse_event(record.value, CONTENT_EVENTS, max_bytes=self._max_event_bytes)
            check_key(record, event.item_id, "item_id")
            version = version_of(event, record)
        except RejectEvent as exc:
            return Refused.of(exc, "parse")
        if isinstance(event, ContentDelete):
            return Tombstone(item_id=event.item_id, version=version)
        try:
            return _Read(event=event, version=version, plan=await self._plan(event.modalities))
        except StageError as exc:
            return Refused.of(exc.error, exc.stage)

    async def _plan(self, modalities: Modalities) -> Plan:
        present = modalities.present()
        if not any(map(self._reader.can_read, present)):
            can = ", ".join(sorted(self._batcher.encoders.modalities))
            message = f"nothing here that {self._batcher.encoders.model} can encode; it encodes {can}"
            raise StageError("encode", RejectEvent(Reason.UNSUPPORTED_MODALITY, message, field="modalities"))
        found = await together(
            self._reader.read(modality, content, f"modalities.{modality}") for modality, content in present.items()
        )
        read = [made for each in found for made in each]
        inputs = _without_duplicates(read)
        if any(isinstance(made.value, AudioInput) for made in read):  # finding its pauses takes milliseconds
            return await asyncio.to_thread(plan, read, inputs, self._content)
        return plan(read, inputs, self._content)

    async def _encode(self, read: Sequence[_Read | Tombstone | Refused]) -> list[Change | Refused]:
        """Encode the inputs of the whole batch together."""
        plans = [one.plan for one in read if isinstance(one, _Read)]
        wanted = [[*((made.modality, made.value) for made in each.inputs), *each.further] for each in plans]
        vectors = iter(await self._batcher.encode_many([each for inputs in wanted for each in inputs]))
        encoded = iter([[next(vectors) for _ in inputs] for inputs in wanted])
        return [self._item(one, next(encoded)) if isinstance(one, _Read) else one for one in read]

    def _item(self, read: _Read, vectors: Sequence[Vector | RejectEvent]) -> Item | Refused:
        by_modality: dict[Modality, list[Vector]] = {}
        for made, vector in zip(read.plan.inputs, vectors, strict=False):  # those of segments alone come after them
            if isinstance(vector, RejectEvent):
                return Refused(
                    reason=vector.reason, stage="encode", message=vector.message, field=vector.field or made.field
                )
            by_modality.setdefault(made.modality, []).append(vector)
        return Item(
            item_id=read.event.item_id,
            version=read.version,
            vectors={modality: mean_direction(found) for modality, found in by_modality.items()},
            attributes=attributes_of(read.event),
            segments=read.plan.segments(vectors),
        )

    def _tagged(self, changes: Sequence[Change | Refused]) -> list[Change | Refused]:
        """Tag the items of the whole batch together."""
        if self._tagger is None:
            return list(changes)
        tagged = iter(self._tagger.tagged([change for change in changes if isinstance(change, Item)]))
        return [next(tagged) if isinstance(change, Item) else change for change in changes]

    @staticmethod
    def _refused_or(change: Change | Refused, refusals: dict[int, RejectEvent]) -> Change | Refused:
        error = refusals.get(id(change))
        return change if error is None else Refused.of(error, "write")

    async def _write(self, records: Sequence[Record], changes: Sequence[Change | Refused]) -> list[Outcome]:
        good = [change for change in changes if not isinstance(change, Refused)]
        written = await self._index.write(good)
        await self._topic.mend([change for change, is_ in zip(good, written, strict=True) if is_ is WriteOutcome.STALE])
        labels = iter(written)
        return [
            change if isinstance(change, Refused) else self._done(record, change, next(labels))
            for record, change in zip(records, changes, strict=True)
        ]

    def _count(self, records: Sequence[Record], changes: Sequence[Change | Refused], books: Mapping[int, Book]) -> None:
        """Count the tags of what was written; nothing here waits, so a batch is counted whole or not at all."""
        if self._counter is None:
            return
        for record, change in zip(records, changes, strict=True):
            if isinstance(change, Item):
                time_ms = change.version.occurred_at_ms
                self._counter.count(books[record.partition], record, time_ms, change.attributes)

    def _done(self, record: Record, change: Change, written: WriteOutcome) -> Done:
        if written is WriteOutcome.APPLIED and isinstance(change, Item):
            self._observer.searchable((now_ms() - record.timestamp_ms) / 1000)
        return Done(label=_LABELS[written])


def attributes_of(event: ContentUpsert) -> Attributes:
    """The sender's attributes, and ``latitude`` and ``longitude`` of the item's location where it has one."""
    place = event.modalities.location
    here: Attributes = {} if place is None else {"latitude": place.latitude, "longitude": place.longitude}
    return {**event.attributes, **here}


def _without_duplicates(inputs: list[Input]) -> list[Input]:
    """Leave out what a clip gives where the item has a picture or a sound of its own."""
    own = {made.modality for made in inputs if not made.field.startswith("modalities.video")}
    return [made for made in inputs if not (made.field.startswith("modalities.video") and made.modality in own)]
