"""A dead-letter topic that takes nothing never blocks the stream, and a broker that is away loses no letter."""

import asyncio
import logging

import pytest

from config.errors import Reason, RejectEvent, RetryLater
from config.settings import DeliverySettings
from config.vocabulary import Role
from tests.unit.workers.streams.kit import DEAD_LETTERS, ScriptedHandler, delivery_of, records
from workers.streams.delivery import Delivery
from workers.streams.memory import MemoryPublisher
from workers.streams.metrics import Metrics
from workers.streams.records import Done, Refused

BAD = Refused(reason=Reason.MEDIA_EMPTY, stage="decode", message="no samples")
HASTY = DeliverySettings(retry_initial_s=0.001, retry_max_s=0.002, letter_patience_s=0.05)
NO_TOPIC = RetryLater("no such topic", retry_after_s=0.0)


def refusing(publisher: MemoryPublisher, metrics: Metrics | None = None) -> Delivery:
    """A delivery that refuses every second record."""
    handler = ScriptedHandler(lambda records, call: [BAD if one.offset % 2 else Done() for one in records])
    return delivery_of(handler, publisher, metrics, settings=HASTY)


def unsent(metrics: Metrics) -> float | None:
    """How many letters only the log tells of."""
    return metrics.registry.get_sample_value("crosscurrent_dead_letters_unsent_total", {"reason": "media_empty"})


class _Silent(MemoryPublisher):
    """A broker that never confirms what is sent to it, and answers otherwise."""

    async def send(self, *_: object, **__: object) -> None:
        """Hang."""
        await asyncio.Event().wait()


class _Narrow(MemoryPublisher):
    """A topic that admits no record at all."""

    async def send(self, *_: object, **__: object) -> None:
        """Refuse."""
        raise RejectEvent(Reason.EVENT_TOO_LARGE, "too large")


def absent() -> MemoryPublisher:
    """A broker without the topic."""
    publisher = MemoryPublisher()
    publisher.fail(DEAD_LETTERS, NO_TOPIC)
    return publisher


@pytest.mark.parametrize("publisher", [absent(), _Silent(), _Narrow()], ids=["absent", "silent", "narrow"])
async def test_a_letter_that_cannot_be_sent_goes_to_the_log(
    publisher: MemoryPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    """The topic is missing, its broker confirms nothing, or nothing is small enough: the events end, and are told."""
    metrics = Metrics(Role.CONTENT)
    delivery = refusing(publisher, metrics)

    with caplog.at_level(logging.ERROR):
        async with asyncio.timeout(5):
            assert await delivery.deliver(records(4), asyncio.Event()) == [True] * 4

    told = [one.getMessage() for one in caplog.records if "dead letter not sent" in one.getMessage()]
    told.sort(key=lambda line: line[line.index('"offset"') :])
    assert [f'"offset":{offset},' in line for offset, line in zip((1, 3), told, strict=True)] == [True, True]
    assert all('"reason":"media_empty"' in line for line in told)
    assert unsent(metrics) == 2


async def test_after_the_first_the_others_are_not_waited_for() -> None:
    """Thousands of bad events must not wait each for itself; and the first that is confirmed ends the haste."""
    publisher = absent()
    delivery = delivery_of(
        ScriptedHandler(lambda records, call: [BAD for _ in records]),
        publisher,
        settings=DeliverySettings(retry_initial_s=0.001, retry_max_s=0.002, letter_patience_s=3.0),
    )
    burial = delivery._burial
    moment = 0.0
    burial.clock = lambda: moment
    waiting = asyncio.create_task(delivery.deliver(records(1), asyncio.Event()))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    moment = 4.0
    assert await waiting == [True]

    waiting = asyncio.create_task(delivery.deliver(records(1), asyncio.Event()))
    await asyncio.sleep(0.02)
    moment = 5.1
    assert await waiting == [True]

    publisher.recover()
    assert await delivery.deliver(records(1), asyncio.Event()) == [True]
    assert len(publisher.on(DEAD_LETTERS)) == 1
    publisher.fail(DEAD_LETTERS, NO_TOPIC)
    waiting = asyncio.create_task(delivery.deliver(records(1), asyncio.Event()))
    await asyncio.sleep(0.02)
    moment = 7.0
    await asyncio.sleep(0.02)
    assert not waiting.done()
    waiting.cancel()


async def test_a_broker_that_is_away_loses_no_letter() -> None:
    """The stream stands still anyway; when the broker is back the letter is sent, however long that took."""
    publisher, metrics = absent(), Metrics(Role.CONTENT)
    publisher.answering = False
    waiting = asyncio.create_task(refusing(publisher, metrics).deliver(records(2), asyncio.Event()))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    publisher.recover()

    assert await waiting == [True, True]
    assert len(publisher.on(DEAD_LETTERS)) == 1
    assert unsent(metrics) == 0
