"""Counts of tags: windows of event time, and exactly once through crashes, redelivery and changes of owner."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import RetryLater
from config.vocabulary import Attributes
from tests.unit.workers.streams.kit import record
from workers.contracts.tag_counts import TAG_COUNTS, TagCounts
from workers.streams.memory import MemoryPublisher
from workers.streams.observer import Unobserved
from workers.streams.records import Record
from workers.streams.tag_books import Book, Counted, Windows, go_on
from workers.streams.tag_counter import TagCounter

TOPIC = "cc.tag-counts"
MINUTE_MS = 60_000
WINDOWS = Windows(sets={"mood": ("good", "bad"), "topics": ("cat", "sun")}, window_ms=MINUTE_MS, grace_ms=MINUTE_MS)


@dataclass
class Sent:
    """The history as a reader of the topic sees it, whatever was sent last or first."""

    publisher: MemoryPublisher

    async def read(self, partition: int) -> Sequence[TagCounts]:
        """Every record, those of other partitions too."""
        return [TAG_COUNTS.validate_json(one.value or b"") for one in self.publisher.on(TOPIC)]


class Seen(Unobserved):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.tags: Counter[tuple[str, str]] = Counter()
        self.late = 0

    def tagged(self, label_set: str, label: str) -> None:
        """Keep it."""
        self.tags[label_set, label] += 1

    def tagged_too_late(self) -> None:
        """Keep it."""
        self.late += 1


def counter(publisher: MemoryPublisher, seen: Seen | None = None) -> TagCounter:
    """A worker's counter that goes on from what was sent."""
    history = Sent(publisher)
    return TagCounter(WINDOWS, history=history, publisher=publisher, topic=TOPIC, observer=seen or Seen())


def compacted(publisher: MemoryPublisher) -> dict[str, TagCounts]:
    """The last record of each key."""
    kept = publisher.compacted(TOPIC)
    return {(key or b"").decode(): TAG_COUNTS.validate_json(value) for key, value in kept.items()}


def totals(publisher: MemoryPublisher) -> Counter[str]:
    """Items and labels over all partitions and windows, as a consumer adds them up."""
    found: Counter[str] = Counter()
    for one in compacted(publisher).values():
        found[one.label_set] += one.items
        found.update({f"{one.label_set}.{label}": count for label, count in one.counts.items()})
    return found


async def handle(one: TagCounter, records: Sequence[Record], attributes: Attributes, time_ms: int = 1000) -> None:
    """What the content worker does with a batch."""
    books = await one.open(records)
    for each in records:
        one.count(books[each.partition], each, time_ms, attributes)


def at(offset: int, *, partition: int = 0, record_ms: int = 10**9) -> Record:
    """A record whose own time lets event time decide."""
    return record(offset, partition=partition, timestamp_ms=record_ms)


class TestBook:
    """The arithmetic of one partition."""

    def test_an_item_counts_under_each_label_it_has(self) -> None:
        """Lists and single labels; what the sender wrote beside the set's labels is left out, and the item counts."""
        book = Book(partition=3, windows=WINDOWS)
        book.count(7, 61_000, 61_000, {"mood": "good", "topics": ["sun", "cat", "sun", "moon"]})
        book.count(9, 119_999, 119_999, {"mood": "splendid", "topics_confidence": 0.9})
        mood, topics = book.snapshot(("mood", 60_000), 5), book.snapshot(("topics", 60_000), 5)
        assert mood.counts == {"good": 1, "bad": 0}
        assert topics.counts == {"cat": 1, "sun": 1}
        assert (mood.items, mood.through_offset, mood.partition) == (2, 9, 3)
        assert (mood.window_start_ms, mood.window_end_ms) == (60_000, 120_000)
        assert mood.key() == b"mood:1970-01-01T00:01:00Z:60:3"

    def test_windows_before_1970_have_their_place(self) -> None:
        """An old photograph's time is as good as any."""
        book = Book(partition=0, windows=WINDOWS)
        book.count(0, -1, 10, {})
        assert set(book.open) == {("mood", -60_000), ("topics", -60_000)}

    def test_late_items_are_counted_within_the_grace_and_no_later(self) -> None:
        """The window ends, the grace passes by the partition's own times, and it is closed."""
        book = Book(partition=0, windows=WINDOWS)
        for offset, time_ms in enumerate((30_000, 119_000, 10_000, 120_000, 20_000)):
            assert set(book.count(offset, time_ms, 10**9, {}).values()) == {Counted.NOW}, time_ms
        assert set(book.count(5, 120_001, 10**9, {}).values()) == {Counted.NOW}
        assert set(book.count(6, 59_999, 10**9, {}).values()) == {Counted.LATE}
        assert book.open["mood", 0].items == 3

    def test_a_clock_ahead_closes_no_window(self) -> None:
        """The watermark follows the record's own time where the event's lies ahead of it."""
        book = Book(partition=0, windows=WINDOWS)
        book.count(0, 86_400_000, 30_000, {})
        assert set(book.count(1, 25_000, 31_000, {}).values()) == {Counted.NOW}

    def test_an_offset_counts_once(self) -> None:
        """What comes again is told from what is new by its offset, window by window."""
        book = Book(partition=0, windows=WINDOWS)
        book.count(4, 1000, 1000, {"mood": "bad"})
        assert set(book.count(4, 1000, 1000, {"mood": "bad"}).values()) == {Counted.BEFORE}
        assert book.open["mood", 0].counts == {"good": 0, "bad": 1}

    def test_closed_windows_are_let_go_once_they_were_sent(self) -> None:
        """Memory holds open windows and what is not sent yet."""
        book = Book(partition=0, windows=WINDOWS)
        book.count(0, 1000, 1000, {})
        book.count(1, 500_000, 500_000, {})
        book.drop_closed()
        assert len(book.open) == 4
        book.changed.clear()
        book.drop_closed()
        assert set(book.open) == {("mood", 480_000), ("topics", 480_000)}

    def test_going_on_passes_over_what_is_not_its_own(self) -> None:
        """Other partitions, sets that are gone, windows of another length; of two records the later offset holds."""
        book = Book(partition=1, windows=WINDOWS)
        book.count(5, 1000, 1000, {"mood": "good"})
        early = book.snapshot(("mood", 0), 0)
        book.count(6, 1000, 1000, {"mood": "bad"})
        late = book.snapshot(("mood", 0), 0)
        others = [
            late.model_copy(update={"partition": 2, "through_offset": 99}),
            late.model_copy(update={"label_set": "gone"}),
            late.model_copy(update={"window_end": early.window_end.replace(hour=1), "through_offset": 99}),
        ]
        again = go_on(1, WINDOWS, [late, *others, early], 6)
        assert set(again.open) == {("mood", 0)}
        assert again.open["mood", 0].counts == {"good": 1, "bad": 1}
        assert again.open["mood", 0].through_offset == 6


async def test_only_what_changed_is_sent() -> None:
    """A flush with nothing new sends nothing; a window that changed again replaces its record."""
    publisher, seen = MemoryPublisher(), Seen()
    one = counter(publisher, seen)
    await handle(one, [at(0), at(1)], {"mood": "good"})
    await one.flush()
    await one.flush()
    assert [sent.partition for sent in publisher.on(TOPIC)] == [0, 0]
    await handle(one, [at(2)], {"mood": "bad", "topics": ["cat"]})
    await one.flush()
    assert len(publisher.on(TOPIC)) == 4
    assert totals(publisher) == {
        "mood": 3,
        "mood.good": 2,
        "mood.bad": 1,
        "topics": 3,
        "topics.cat": 1,
        "topics.sun": 0,
    }
    assert seen.tags == {("mood", "good"): 2, ("mood", "bad"): 1, ("topics", "cat"): 1}


async def test_what_is_late_is_told() -> None:
    """Not counted in silence."""
    publisher, seen = MemoryPublisher(), Seen()
    one = counter(publisher, seen)
    await handle(one, [at(0)], {}, time_ms=10 * MINUTE_MS)
    await handle(one, [at(1)], {"mood": "good"}, time_ms=MINUTE_MS)
    assert (seen.late, seen.tags) == (2, Counter())


async def test_what_was_not_confirmed_is_sent_again() -> None:
    """The broker is away for one flush: nothing is forgotten, nothing counts twice."""
    publisher = MemoryPublisher()
    one = counter(publisher)
    await handle(one, [at(0)], {"mood": "good"})
    publisher.fail(TOPIC, RetryLater("away"))
    with pytest.raises(RetryLater):
        await one.flush()
    publisher.recover()
    await one.flush()
    assert totals(publisher)["mood.good"] == 1


async def test_the_next_owner_goes_on_where_the_last_one_sent() -> None:
    """What was sent stays counted and is not counted again; what was not sent comes again and counts."""
    publisher = MemoryPublisher()
    first = counter(publisher)
    await handle(first, [at(0), at(1)], {"mood": "good"})
    await first.flush()
    await handle(first, [at(2)], {"mood": "bad"})  # killed before its next flush

    second = counter(publisher)
    await handle(second, [at(1)], {"mood": "good"})
    await handle(second, [at(2), at(3)], {"mood": "bad"})
    await second.flush()
    assert totals(publisher) == {
        "mood": 4,
        "mood.good": 2,
        "mood.bad": 2,
        "topics": 4,
        "topics.cat": 0,
        "topics.sun": 0,
    }


async def test_partitions_are_counted_apart() -> None:
    """One record a partition, in the partition of the same number; consumers add them up."""
    publisher = MemoryPublisher()
    one = counter(publisher)
    await handle(one, [at(0), at(0, partition=2)], {"mood": "good"})
    await one.flush()
    keys = {"mood:1970-01-01T00:00:00Z:60:0": 0, "mood:1970-01-01T00:00:00Z:60:2": 2}
    found = {(sent.key or b"").decode(): sent.partition for sent in publisher.on(TOPIC)}
    assert {key: found[key] for key in keys} == keys
    assert totals(publisher)["mood.good"] == 2


async def test_partitions_that_came_back_are_read_anew() -> None:
    """Between giving a partition away and getting it back, another worker counted."""
    publisher = MemoryPublisher()
    first, second = counter(publisher), counter(publisher)
    await handle(first, [at(0)], {"mood": "good"})
    await first.flush()
    first.forget()
    await handle(second, [at(1)], {"mood": "good"})
    await second.flush()
    await handle(first, [at(2)], {"mood": "good"})
    await first.flush()
    assert totals(publisher)["mood.good"] == 3


async def test_a_batch_that_outlives_its_partitions_is_not_sent() -> None:
    """It was handed its books before they were forgotten: its items are the next owner's to count."""
    publisher = MemoryPublisher()
    one = counter(publisher)
    books = await one.open([at(0)])
    one.forget()
    one.count(books[0], at(0), 1000, {"mood": "good"})
    await one.flush()
    assert publisher.on(TOPIC) == []


async def test_a_history_read_while_partitions_go_is_not_kept() -> None:
    """Forgetting happens while the broker answers: what it answers is of no use any more."""
    publisher = MemoryPublisher()
    asked, answering = asyncio.Event(), asyncio.Event()

    class Slow(Sent):
        async def read(self, partition: int) -> Sequence[TagCounts]:
            asked.set()
            await answering.wait()
            return await super().read(partition)

    one = TagCounter(WINDOWS, history=Slow(publisher), publisher=publisher, topic=TOPIC, observer=Seen())
    opening = asyncio.create_task(one.open([at(0)]))
    await asked.wait()
    one.forget()
    answering.set()
    one.count((await opening)[0], at(0), 1000, {"mood": "good"})
    await one.flush()
    assert publisher.on(TOPIC) == []


class Flaky(MemoryPublisher):
    """Confirms some sends and dies on others, by a seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.dies_with = 0.0

    async def send(self, topic: str, **words: object) -> None:
        """Send or die."""
        if self.random.random() < self.dies_with:
            raise RetryLater("died here")
        await super().send(topic, **words)  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_every_item_counts_exactly_once_through_any_crashes(seed: int) -> None:
    """The oracle: a plain count of the log. Workers die between any two steps, some in the middle of a flush.

    Times jump back and forth within the grace, so that nothing may be late.
    """
    asyncio.run(_crash_and_count(seed))


async def _crash_and_count(seed: int) -> None:
    publisher, chance = Flaky(seed), random.Random(seed + 1)
    times = [position * 4_000 + chance.randrange(50_000) for position in range(60)]
    labels = [chance.choice(["good", "bad", "none"]) for _ in times]
    committed = 0
    while committed < len(times):
        worker, position = counter(publisher), committed  # a new owner, from the committed offset
        publisher.dies_with = chance.choice([0.0, 0.5])
        while position < len(times) and chance.random() > 0.15:
            batch = range(position, min(len(times), position + chance.randrange(1, 6)))
            books = await worker.open([at(batch[0])])
            for offset in batch:
                worker.count(books[0], at(offset), times[offset], {"mood": labels[offset]})
            position = batch[-1] + 1
            if chance.random() < 0.5:
                try:
                    await worker.flush()
                except RetryLater:
                    break
                if chance.random() < 0.7:
                    committed = position
    expected = Counter((time_ms // MINUTE_MS * MINUTE_MS, label) for time_ms, label in zip(times, labels, strict=True))
    found = Counter(
        {
            (one.window_start_ms, label): one.counts.get(label, one.items - sum(one.counts.values()))
            for one in compacted(publisher).values()
            if one.label_set == "mood"
            for label in ("good", "bad", "none")
        }
    )
    assert found == expected
