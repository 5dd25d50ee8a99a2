"""What a topic holds at this moment, for commands: record by record, from a moment or a place on, or one alone."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from config.errors import Misconfigured
from config.settings import KafkaSettings
from workers.contracts.topics import Topic
from workers.operate.connections import broker_errors
from workers.streams.open_topic import NoSuchTopic, OpenTopic, PastRecord, ignore, open_topic

__all__ = ["NoSuchTopic", "PastRecord", "ends_of", "past_batches", "past_record", "past_records", "stretches_before"]


async def past_records(
    settings: KafkaSettings,
    topic: Topic,
    tell: Callable[[int, int], object] = ignore,
    *,
    since_ms: int | None = None,
    starts: Mapping[int, int] | None = None,
) -> AsyncIterator[PastRecord]:
    """Read up to where the topic ends now, and some of what comes meanwhile; each partition in order, mixed.

    Args:
        settings: Where the broker is.
        topic: Which one.
        tell: Called with offsets done and offsets in all.
        since_ms: Begin each partition at its first record that is not older; at its beginning when None.
        starts: Read these partitions alone, each from this offset.

    Raises:
        Misconfigured: The broker cannot be reached, or has no such topic.
    """
    async for batch in past_batches(settings, topic, tell, since_ms=since_ms, starts=starts):
        for record in batch:
            yield record


async def past_batches(
    settings: KafkaSettings,
    topic: Topic | str,
    tell: Callable[[int, int], object],
    *,
    since_ms: int | None = None,
    starts: Mapping[int, int] | None = None,
    catch_up: bool = False,
) -> AsyncGenerator[list[PastRecord]]:
    """The same, as many records at once as have arrived, up to 512; ``tell`` hears of a batch once it is done with.

    With ``catch_up`` what has come while it read follows, up to where the topic ends then. A topic that not every
    installation has is given by its full name.
    """
    async with _opened(settings, topic) as opened:
        begins, ends = await opened.begins(), await opened.ends()
        if since_ms is not None:
            begins = await opened.first_since(since_ms)
        if starts is not None:
            begins = {each: max(begin, starts[each]) for each, begin in begins.items() if each in starts}
        async for batch in opened.batches(begins, ends, tell):
            yield batch
        if catch_up:
            reached = await opened.reached()
            read = sum(reached[each] - begin for each, begin in begins.items())
            async for batch in opened.batches(
                reached, await opened.ends(), lambda done, total: tell(read + done, read + total)
            ):
                yield batch


async def past_record(settings: KafkaSettings, topic: Topic, *, partition: int, offset: int) -> PastRecord:
    """Read one record.

    Raises:
        Misconfigured: There is none at this place, any more or yet.
    """
    name = topic.named(settings.topic_prefix)
    async with _opened(settings, topic) as opened:
        if partition not in opened.partitions:
            raise Misconfigured(f"{name} has no partition {partition}: it has {len(opened.partitions)}, from 0 on")
        begin, end = (await opened.begins())[partition], (await opened.ends())[partition]
        if begin <= offset < end:
            async for batch in opened.batches({partition: offset}, {partition: end}):
                for record in batch:
                    if record.offset == offset:
                        return record
        holds = f"its offsets there are {begin} to {end - 1}" if end > begin else "it holds nothing there"
        raise Misconfigured(f"{name} has no record at {partition}:{offset}: {holds}")


async def ends_of(settings: KafkaSettings, topics: Sequence[Topic]) -> dict[tuple[Topic, int], int]:
    """The offset that the next record of each partition of these topics will get.

    Raises:
        Misconfigured: The broker cannot be reached, or a topic is missing.
    """
    ends: dict[tuple[Topic, int], int] = {}
    for topic in topics:
        async with _opened(settings, topic) as opened:
            ends |= {(topic, partition): end for partition, end in (await opened.ends()).items()}
    return ends


async def stretches_before(
    settings: KafkaSettings, topic: Topic, until_ms: int | None
) -> dict[int, tuple[int, int, int]]:
    """Where each partition begins, where its first record that is as new as ``until_ms`` lies, and where it ends.

    Raises:
        Misconfigured: The broker cannot be reached, or has no such topic.
    """
    async with _opened(settings, topic) as opened:
        begins, ends = await opened.begins(), await opened.ends()
        befores = ends if until_ms is None else await opened.first_since(until_ms)
        return {each: (begins[each], befores[each], ends[each]) for each in opened.partitions}


@asynccontextmanager
async def _opened(settings: KafkaSettings, topic: Topic | str) -> AsyncIterator[OpenTopic]:
    name = topic.named(settings.topic_prefix) if isinstance(topic, Topic) else topic
    async with broker_errors(settings), open_topic(settings, name) as opened:
        yield opened
