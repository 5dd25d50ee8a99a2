"""Counts of tags on their way to the ``tag-counts`` topic.

Guarantee: every accepted upsert of the content topic counts exactly once in each set's window, through crashes,
redelivery and rebalances, unless it comes later than the grace. It follows from three rules:

1. Counts are sent before the offsets of what they count are committed (``Ledger``), so whatever a crash takes from
   memory comes again.
2. A record holds a window's counts from its beginning and the last offset counted (``through_offset``). A new owner of
   a partition reads what was sent of it, goes on from there, and passes over offsets that a window has counted already.
3. A partition has one owner, and its records come in order.

The offset decides and not whether the index write was applied: after a crash between the write and the sending, the
write is stale when the item comes again, and it must count nevertheless. An event that its sender published twice has
two offsets and counts twice, and so does an item that is edited. A worker that was frozen beyond its session and sends
a last time after its partitions went on may leave an older record last: readers keep the larger ``through_offset``.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from config.vocabulary import Attributes
from workers.contracts.tag_counts import TagCounts
from workers.streams.observer import Observer
from workers.streams.records import Publisher, Record
from workers.streams.tag_books import Book, Counted, WindowKey, Windows, go_on, labels_held
from workers.streams.timing import now_ms
from workers.streams.together import together

log = logging.getLogger(__name__)


class History(Protocol):
    """What was sent before."""

    async def read(self, partition: int) -> Sequence[TagCounts]:
        """Every record of a partition of the content topic; raises ``RetryLater`` when the broker is away."""
        ...


class TagCounter:
    """Counts the tags of what a content worker indexes; a ``Ledger``.

    Args:
        windows: What is counted and how time is cut.
        topic: Full name of the topic.
        observer: Told of every label counted, and of items that were late.
    """

    def __init__(
        self, windows: Windows, *, history: History, publisher: Publisher, topic: str, observer: Observer
    ) -> None:
        self._windows = windows
        self._history = history
        self._publisher = publisher
        self._topic = topic
        self._observer = observer
        self._books: dict[int, Book] = {}
        self._times_forgotten = 0

    async def open(self, records: Sequence[Record]) -> Mapping[int, Book]:
        """The books of these records' partitions; reads the history of those that are new to this worker.

        Raises:
            RetryLater: The broker is away.
        """
        first: dict[int, int] = {}
        for record in records:
            first.setdefault(record.partition, record.offset)
        opened = await together(self._open(partition, offset) for partition, offset in first.items())
        return dict(zip(first, opened, strict=True))

    async def _open(self, partition: int, first_offset: int) -> Book:
        if (known := self._books.get(partition)) is not None:
            return known
        times_forgotten = self._times_forgotten
        book = go_on(partition, self._windows, await self._history.read(partition), first_offset)
        log.info("partition %d: %d windows of tag counts are open", partition, len(book.open))
        if times_forgotten == self._times_forgotten:
            self._books[partition] = book
        return book  # of a partition given away meanwhile: counted into and never sent

    def count(self, book: Book, record: Record, occurred_at_ms: int, attributes: Attributes) -> None:
        """Count an item into the book of its record's partition."""
        became = book.count(record.offset, occurred_at_ms, record.timestamp_ms, attributes)
        for name, counted in became.items():
            if counted is Counted.NOW:
                for label in labels_held(attributes, name, self._windows.sets[name]):
                    self._observer.tagged(name, label)
            elif counted is Counted.LATE:
                self._observer.tagged_too_late()

    async def flush(self) -> None:
        """Send every window that changed, and wait for all confirmations.

        Raises:
            RetryLater: Something was not confirmed; it counts as changed still.
        """
        books = list(self._books.values())
        await together(self._send(book, key) for book in books for key in list(book.changed))
        for book in books:
            book.drop_closed()

    async def _send(self, book: Book, key: WindowKey) -> None:
        snapshot = book.snapshot(key, now_ms())
        book.changed.discard(key)  # before the wait: what is counted meanwhile is for the next time
        try:
            await self._publisher.send(
                self._topic, key=snapshot.key(), value=snapshot.to_bytes(), partition=book.partition
            )
        except BaseException:
            book.changed.add(key)
            raise

    def forget(self) -> None:
        """Drop the books: their partitions are given away."""
        self._books = {}
        self._times_forgotten += 1
