"""A worker around a scripted handler, on a real broker: what ends, what is committed, what comes again."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from config.errors import Reason, RejectEvent, RetryLater
from config.settings import KafkaSettings
from config.vocabulary import Role
from tests.chaos.proxy import Proxy
from tests.integration.delivery_kit import Ground
from workers.contracts.dead_letter import DEAD_LETTERS
from workers.contracts.topics import Topic
from workers.streams.delivery import Delivery, Trouble
from workers.streams.health import Readiness
from workers.streams.memory import MemoryPublisher
from workers.streams.metrics import Metrics
from workers.streams.publisher import KafkaPublisher, send_timeout_s
from workers.streams.records import Done, Outcome, Record, Refused
from workers.streams.watchdog import Watchdog
from workers.streams.worker import Worker

pytestmark = pytest.mark.slow

REFUSED = {"reason": "invalid_event"}


@pytest.fixture
def ground(kafka_bootstrap: str, prefix: str, tmp_path: Path) -> Ground:
    """Topics of this test; no Redis is asked."""
    return Ground(kafka=kafka_bootstrap, redis="redis://127.0.0.1:1/0", prefix=prefix, folder=tmp_path)


@dataclass
class Numbers:
    """Handles events that are numbers: some crash it, some are never served, some are refused."""

    crashes_on: frozenset[int] = frozenset()
    waits_at: frozenset[int] = frozenset()
    refuses: frozenset[int] = frozenset()
    done: list[int] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Follow the sets."""
        numbers = [json.loads(record.value or b"-1") for record in records]
        self.seen |= set(numbers)
        await asyncio.sleep(0.002)
        if self.crashes_on & set(numbers):
            msg = "a defect"
            raise ZeroDivisionError(msg)
        if self.waits_at & set(numbers):
            raise RetryLater("something is away", retry_after_s=0.05)
        self.done += [number for number in numbers if number not in self.refuses]
        return [self._outcome(number) for number in numbers]

    def _outcome(self, number: int) -> Outcome:
        if number in self.refuses:
            return Refused(reason=Reason.INVALID_EVENT, stage="parse", message="refused by script")
        return Done()


@dataclass
class _Script:
    """Handles by a function."""

    handle: Callable[[Sequence[Record]], Awaitable[Sequence[Outcome]]]


@asynccontextmanager
async def working(
    ground: Ground, handler: Numbers, publisher: KafkaPublisher, **delivery: float
) -> AsyncIterator[Metrics]:
    """A worker in this process, stopped in good order at the end; the last words are settings of delivery."""
    stop, metrics = asyncio.Event(), Metrics(Role.CONTENT)
    worker = Worker(
        Role.CONTENT,
        ground.settings.model_copy(update={"delivery": ground.settings.delivery.model_copy(update=delivery)}),
        handler=handler,
        publisher=publisher,
        metrics=metrics,
        readiness=Readiness("group"),
        watchdog=Watchdog(stall_after_s=60.0),
    )
    running = asyncio.create_task(worker.run(stop))
    try:
        yield metrics
    finally:
        stop.set()
        await running


async def until(condition: object, timeout_s: float = 120.0) -> None:
    """Wait for a plain condition."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def publish(ground: Ground, publisher: KafkaPublisher, numbers: range, *, size: int = 0) -> None:
    """Publish numbers in order, spread over the partitions by key; spaces fill an event up to ``size`` bytes."""
    for number in numbers:
        digits = str(number).encode()
        await publisher.send(ground.topic(Topic.CONTENT), key=digits, value=digits.ljust(size))


async def test_bad_events_among_good_ones_cost_only_themselves(ground: Ground) -> None:
    """A refused event and one that crashes the handler become letters with their bytes; every other one is done.

    Nothing of it comes again at the next start. One of the good events is of nearly the largest size admitted.
    """
    handler = Numbers(crashes_on=frozenset({13}), refuses=frozenset({40, 41}))
    async with ground.publisher() as publisher:
        await publish(ground, publisher, range(100))
        async with working(ground, handler, publisher) as metrics:
            await until(lambda: len(set(handler.done)) == 97)
            await until(lambda: metrics.registry.get_sample_value("crosscurrent_consumer_lag_seconds") == 0)
        again = Numbers()
        async with working(ground, again, publisher):
            await publish(ground, publisher, range(100, 103))
            await publish(ground, publisher, range(103, 104), size=ground.settings.kafka.max_event_bytes - 1024)
            await until(lambda: len(again.done) >= 4)

    letters = [DEAD_LETTERS.validate_json(value or b"") for _, value in await ground.read(Topic.DEAD_LETTERS)]
    told = {int(letter.original_value() or b"-1"): letter.reason for letter in letters}
    assert told == {13: Reason.INTERNAL, 40: Reason.INVALID_EVENT, 41: Reason.INVALID_EVENT}
    assert len(letters) == 3
    assert set(handler.done) == set(range(100)) - set(told)
    assert sorted(again.seen) == list(range(100, 104))


async def test_an_unfinished_event_comes_again_whatever_finished_behind_it(ground: Ground) -> None:
    """The measurement that Faust's own acks fail: nothing behind the first unfinished event is committed."""
    stuck = Numbers(waits_at=frozenset({18}))
    async with ground.publisher() as publisher:
        await publish(ground, publisher, range(100))
        async with working(ground, stuck, publisher):
            await until(lambda: 18 in stuck.seen)
            await asyncio.sleep(2.5)  # two commits
        assert 18 not in stuck.done

        second = Numbers()
        async with working(ground, second, publisher):
            await until(lambda: set(stuck.done) | set(second.done) == set(range(100)))

    assert 18 in second.done
    assert await ground.read(Topic.DEAD_LETTERS) == []


class _Denied(KafkaPublisher):
    """A producer without the right to write dead letters."""

    async def send(self, topic: str, **record: Any) -> None:
        """Refuse these alone."""
        if topic.endswith(Topic.DEAD_LETTERS):
            raise RetryLater("no right to write there", retry_after_s=0.05)
        await super().send(topic, **record)


async def test_dead_letters_that_cannot_be_sent_hold_up_no_partition(ground: Ground) -> None:
    """The broker answers and takes no letter: good events among forty bad ones are done, and all are committed."""
    handler = Numbers(refuses=frozenset(range(0, 80, 2)))
    async with _Denied(ground.settings.kafka, client_id="test") as publisher:
        await publish(ground, publisher, range(80))
        async with working(ground, handler, publisher, letter_patience_s=0.2) as metrics:
            await until(lambda: len(set(handler.done)) == 40, timeout_s=30.0)
            read = metrics.registry.get_sample_value
            await until(lambda: read("crosscurrent_dead_letters_unsent_total", REFUSED) == 40, timeout_s=30.0)
            await until(lambda: read("crosscurrent_consumer_lag_seconds") == 0)
        again = Numbers()
        async with working(ground, again, publisher):
            await publish(ground, publisher, range(100, 101))
            await until(lambda: bool(again.done))

    assert again.seen == {100}


async def test_a_broker_that_is_away_when_the_consumer_starts_is_waited_for(ground: Ground) -> None:
    """The worker neither ends nor gives up: once the broker is back it joins the group and serves."""
    proxy = Proxy(int(ground.kafka.rpartition(":")[2]))
    await proxy.start()
    behind = await asyncio.to_thread(replace, ground, kafka=f"127.0.0.1:{proxy.port}")
    proxy.cut()
    handler = Numbers()
    async with ground.publisher() as publisher:
        await publish(ground, publisher, range(10))
        async with working(behind, handler, publisher):
            await asyncio.sleep(2.5)
            assert not handler.seen
            proxy.mend()
            await until(lambda: handler.seen == set(range(10)))
    await proxy.stop()


async def test_a_broker_that_goes_silent_is_no_dead_letter(ground: Ground) -> None:
    """A handler that sends gives up waiting before its event counts as one that hangs: the event is tried again."""
    patience = ground.settings.delivery.model_copy(update={"stall_after_s": 6.0})
    proxy = Proxy(int(ground.kafka.rpartition(":")[2]))
    await proxy.start()
    silent = KafkaPublisher(
        ground.settings.kafka.model_copy(update={"bootstrap_servers": f"127.0.0.1:{proxy.port}"}),
        client_id="silent",
        send_timeout_s=send_timeout_s(patience),
    )
    proxy.hang()
    told: list[Trouble | None] = []

    async def script(records: Sequence[Record]) -> Sequence[Outcome]:
        if not told:
            await silent.send(ground.topic(Topic.RESULTS), key=b"k", value=b"v")
        return [Done() for _ in records]

    letters = MemoryPublisher()
    delivery = Delivery(
        role=Role.QUERIES,
        handler=_Script(script),
        publisher=letters,
        dead_letters="dead",
        settings=patience,
        metrics=Metrics(Role.QUERIES),
        on_trouble=told.append,
    )
    record = Record(topic="t", partition=0, offset=0, key=b"k", value=b"{}", timestamp_ms=0, headers={})
    assert await delivery.deliver([record], asyncio.Event()) == [True]
    assert letters.sent == []
    assert told[0] is not None
    proxy.mend()
    await silent.stop()
    await proxy.stop()


async def test_the_publisher_says_what_can_never_be_sent(ground: Ground) -> None:
    """A record larger than any topic admits is refused at once; a missing topic is named and not made up."""
    async with ground.publisher() as publisher:
        limit = ground.settings.kafka.max_event_bytes
        with pytest.raises(RejectEvent, match=r"kafka\.max_event_bytes") as caught:
            await publisher.send(ground.topic(Topic.DEAD_LETTERS), key=b"k", value=b"x" * (2 * limit + 1))
        assert caught.value.reason is Reason.EVENT_TOO_LARGE

        there, absent = ground.topic(Topic.RESULTS), f"{ground.prefix}.absent"
        assert await publisher.missing([there, absent]) == [absent]
        assert await publisher.missing([there, absent]) == [absent]


async def test_a_broker_that_is_away_is_transient() -> None:
    """Nobody at the address: try again later, and the message says where nobody is."""
    publisher = KafkaPublisher(KafkaSettings(bootstrap_servers="127.0.0.1:1"), client_id="test")

    with pytest.raises(RetryLater, match=r"127\.0\.0\.1:1"):
        await publisher.send("results", key=b"k", value=b"v")
    await publisher.stop()
