"""Builders and scripted parts for the tests of delivery."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from config.settings import DeliverySettings
from config.vocabulary import Role
from workers.streams.delivery import Delivery
from workers.streams.memory import MemoryPublisher
from workers.streams.metrics import Metrics
from workers.streams.offsets import TopicPartition
from workers.streams.records import Done, Outcome, Record

TOPIC = "test.content"
DEAD_LETTERS = "test.dead-letters"
QUICK = DeliverySettings(retry_initial_s=0.001, retry_max_s=0.002)


def record(offset: int = 0, *, partition: int = 0, value: bytes | None = b"{}", timestamp_ms: int = 1000) -> Record:
    """One record of the test topic."""
    key = f"key-{offset}".encode()
    return Record(topic=TOPIC, partition=partition, offset=offset, key=key, value=value, timestamp_ms=timestamp_ms)


def records(count: int, *, partition: int = 0) -> list[Record]:
    """Records of one partition from offset 0 on."""
    return [record(offset, partition=partition) for offset in range(count)]


Script = Callable[[Sequence[Record], int], Sequence[Outcome]]


@dataclass
class ScriptedHandler:
    """Does what the script says with each call; the script gets the records and the number of the call, from 1."""

    script: Script = lambda records, call: [Done() for _ in records]
    calls: list[list[int]] = field(default_factory=list)

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Note the offsets and follow the script."""
        self.calls.append([one.offset for one in records])
        await asyncio.sleep(0)
        return self.script(records, len(self.calls))


def delivery_of(
    handler: object, publisher: MemoryPublisher, metrics: Metrics | None = None, **arguments: object
) -> Delivery:
    """A delivery of the content role with quick retries."""
    words = {
        "role": Role.CONTENT,
        "handler": handler,
        "publisher": publisher,
        "dead_letters": DEAD_LETTERS,
        "settings": QUICK,
        "metrics": metrics or Metrics(Role.CONTENT),
    }
    return Delivery(**(words | arguments))  # type: ignore[arg-type]


@dataclass
class ScriptedSource:
    """A consumer whose answers are set by hand; commits are noted."""

    ours: list[TopicPartition] = field(default_factory=list)
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    fetch_positions: dict[TopicPartition, int] = field(default_factory=dict)
    accepts: bool = True
    commits: list[dict[TopicPartition, int]] = field(default_factory=list)

    def assignment(self) -> Collection[TopicPartition]:
        """What was set."""
        return self.ours

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> bool:
        """Note the offsets."""
        self.commits.append(dict(offsets))
        return self.accepts

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """What was set."""
        return {one: self.ends[one] for one in partitions}

    async def positions(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """What was set."""
        return {one: self.fetch_positions[one] for one in partitions}
