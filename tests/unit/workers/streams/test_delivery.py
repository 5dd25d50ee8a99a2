"""Every event ends in exactly one of three ways."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from config.errors import Reason, RejectEvent, RetryLater
from config.vocabulary import Role
from tests.unit.workers.streams.kit import DEAD_LETTERS, ScriptedHandler, delivery_of, record, records
from workers.contracts.dead_letter import DEAD_LETTERS as READER
from workers.contracts.dead_letter import DeadLetter
from workers.contracts.replays import REPLAY_HEADER, LetterPlace, Origin, Replayed
from workers.streams.delivery import Trouble
from workers.streams.memory import MemoryPublisher
from workers.streams.metrics import Metrics
from workers.streams.records import Done, Outcome, Record, Refused

BAD = Refused(reason=Reason.MEDIA_EMPTY, stage="decode", message="no samples", field="modalities.audio")


def letters(publisher: MemoryPublisher) -> list[DeadLetter]:
    """The dead letters sent."""
    return [READER.validate_json(sent.value or b"") for sent in publisher.on(DEAD_LETTERS)]


async def test_what_the_handler_did_is_done() -> None:
    """A batch that works ends at once, counted by its label, with no dead letter."""
    publisher, metrics = MemoryPublisher(), Metrics(Role.CONTENT)
    handler = ScriptedHandler(lambda records, call: [Done(), Done(label="stale")])

    assert await delivery_of(handler, publisher, metrics).deliver(records(2), asyncio.Event()) == [True, True]

    assert publisher.sent == []
    assert metrics.registry.get_sample_value("crosscurrent_events_total", {"role": "content", "outcome": "stale"}) == 1


async def test_a_refusal_becomes_a_dead_letter_with_reason_and_origin() -> None:
    """The letter says why, at which stage, which field, where it came from, and holds the bytes."""
    publisher, metrics = MemoryPublisher(), Metrics(Role.CONTENT)
    handler = ScriptedHandler(lambda records, call: [Done(), BAD, Done()])

    ended = await delivery_of(handler, publisher, metrics).deliver(records(3), asyncio.Event())

    assert ended == [True, True, True]
    [letter] = letters(publisher)
    assert (letter.reason, letter.stage, letter.field) == (Reason.MEDIA_EMPTY, "decode", "modalities.audio")
    assert (letter.origin.partition, letter.origin.offset) == (0, 1)
    assert (letter.original_key(), letter.original_value()) == (b"key-1", b"{}")
    assert publisher.sent[0].key == b"key-1"
    assert metrics.registry.get_sample_value("crosscurrent_dead_letters_total", {"reason": "media_empty"}) == 1


async def test_transient_trouble_is_waited_out_and_is_no_dead_letter() -> None:
    """Redis is away for three tries: the batch is tried again whole, trouble is told, and in the end it is done."""
    publisher, told = MemoryPublisher(), list[Trouble | None]()

    def script(records: Sequence[Record], call: int) -> Sequence[Outcome]:
        if call <= 3:
            raise RetryLater("redis is away", retry_after_s=0.0)
        return [Done() for _ in records]

    handler = ScriptedHandler(script)
    ended = await delivery_of(handler, publisher, on_trouble=told.append).deliver(records(2), asyncio.Event())

    assert ended == [True, True]
    assert handler.calls == [[0, 1]] * 4
    assert publisher.sent == []
    assert [trouble.message if trouble else None for trouble in told] == ["redis is away"] * 3 + [None]


async def test_a_stopping_worker_leaves_what_waits() -> None:
    """Told to let go while Redis is away, nothing ends: the next worker reads it again."""
    publisher, halt = MemoryPublisher(), asyncio.Event()

    def script(records: Sequence[Record], call: int) -> Sequence[Outcome]:
        halt.set()
        raise RetryLater("redis is away", retry_after_s=0.0)

    ended = await delivery_of(ScriptedHandler(script), publisher).deliver(records(3), halt)

    assert ended == [False, False, False]
    assert publisher.sent == []


async def test_one_event_that_crashes_the_handler_costs_only_itself() -> None:
    """The fault of ``take``: a batch whose handler raises must not lose, nor condemn, its other events."""
    publisher = MemoryPublisher()

    def script(records: Sequence[Record], call: int) -> Sequence[Outcome]:
        if any(one.offset == 2 for one in records):
            msg = "secret detail"
            raise ZeroDivisionError(msg)
        return [Done() for _ in records]

    handler = ScriptedHandler(script)
    ended = await delivery_of(handler, publisher).deliver(records(5), asyncio.Event())

    assert ended == [True] * 5
    assert handler.calls == [[0, 1, 2, 3, 4], [0], [1], [2], [3], [4]]
    [letter] = letters(publisher)
    assert (letter.reason, letter.origin.offset) == (Reason.INTERNAL, 2)
    assert "ZeroDivisionError" in letter.message
    assert "secret detail" not in letter.message


async def test_trouble_ends_with_the_partitions_it_was_met_on() -> None:
    """A rebalance takes away what was waiting: the worker is in no trouble until it meets it again."""
    told, halt = list[Trouble | None](), asyncio.Event()

    def script(records: Sequence[Record], call: int) -> Sequence[Outcome]:
        halt.set()
        raise RetryLater("redis is away", retry_after_s=0.0)

    await delivery_of(ScriptedHandler(script), MemoryPublisher(), on_trouble=told.append).deliver(records(1), halt)

    assert [trouble.message if trouble else None for trouble in told] == ["redis is away", None]


async def test_trouble_during_isolation_keeps_the_order() -> None:
    """While one event of a failing batch waits and the worker lets go, the later ones are left too."""
    publisher, halt = MemoryPublisher(), asyncio.Event()

    def script(records: Sequence[Record], call: int) -> Sequence[Outcome]:
        if len(records) > 1:
            raise ValueError
        if records[0].offset == 1:
            halt.set()
            raise RetryLater("redis is away", retry_after_s=0.0)
        return [Done()]

    handler = ScriptedHandler(script)

    assert await delivery_of(handler, publisher).deliver(records(4), halt) == [True, False, False, False]
    assert handler.calls[-1] == [1]


async def test_a_handler_that_miscounts_is_a_defect() -> None:
    """Outcomes that do not fit the records are trusted for none of them."""
    publisher = MemoryPublisher()
    handler = ScriptedHandler(lambda records, call: [Done()] if len(records) == 1 else [])

    assert await delivery_of(handler, publisher).deliver(records(2), asyncio.Event()) == [True, True]
    assert handler.calls == [[0, 1], [0], [1]]


class _Hanging:
    """Never returns for offset 1."""

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Hang or be done."""
        if any(one.offset == 1 for one in records):
            await asyncio.Event().wait()
        return [Done() for _ in records]


async def test_an_event_that_hangs_for_ever_ends_as_a_dead_letter() -> None:
    """Otherwise the watchdog would restart the worker at the same event again and again."""
    publisher = MemoryPublisher()

    ended = await delivery_of(_Hanging(), publisher, deadline_s=0.05).deliver(records(3), asyncio.Event())

    assert ended == [True, True, True]
    assert [letter.origin.offset for letter in letters(publisher)] == [1]


async def test_an_unconfirmed_dead_letter_keeps_its_event() -> None:
    """Broker away: the letter is sent again until confirmed; let go before that, the event is left."""
    publisher, halt = MemoryPublisher(), asyncio.Event()
    publisher.fail(DEAD_LETTERS, RetryLater("broker away", retry_after_s=0.0))
    delivery = delivery_of(ScriptedHandler(lambda records, call: [BAD, Done()]), publisher)

    waiting = asyncio.create_task(delivery.deliver(records(2), halt))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    halt.set()

    assert await waiting == [False, True]


async def test_a_dead_letter_arrives_once_the_broker_is_back() -> None:
    """The same, and the broker comes back."""
    publisher = MemoryPublisher()
    publisher.fail(DEAD_LETTERS, RetryLater("broker away", retry_after_s=0.0))
    delivery = delivery_of(ScriptedHandler(lambda records, call: [BAD]), publisher)

    waiting = asyncio.create_task(delivery.deliver(records(1), asyncio.Event()))
    await asyncio.sleep(0.02)
    publisher.recover()

    assert await waiting == [True]
    assert len(letters(publisher)) == 1


class _Small(MemoryPublisher):
    """A topic that admits records up to a size, key included."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__()
        self.most_bytes = most_bytes

    async def send(self, topic: str, *, key: bytes | None, value: bytes | None, headers: object = None) -> None:
        """Refuse what is larger."""
        if len(value or b"") + len(key or b"") > self.most_bytes:
            raise RejectEvent(Reason.EVENT_TOO_LARGE, "too large")
        await super().send(topic, key=key, value=value)


async def test_a_letter_that_is_too_large_goes_without_the_bytes() -> None:
    """A partition must not stand still for a letter that can never be sent; the origin says where the bytes are."""
    publisher = _Small(700)
    delivery = delivery_of(ScriptedHandler(lambda records, call: [BAD]), publisher)

    assert await delivery.deliver([record(7, value=b"x" * 1000)], asyncio.Event()) == [True]

    [letter] = letters(publisher)
    assert (letter.cut, letter.value, letter.original_key()) == (True, None, b"key-7")
    assert letter.origin.offset == 7


async def test_a_letter_whose_key_is_too_large_goes_without_it() -> None:
    """Nobody made a rule of how long a key is, and a worker that cannot bury it would restart at it for ever."""
    publisher = _Small(700)
    delivery = delivery_of(ScriptedHandler(lambda records, call: [BAD]), publisher)

    assert await delivery.deliver([replace(record(7), key=b"k" * 1000)], asyncio.Event()) == [True]

    [letter] = letters(publisher)
    assert (letter.cut, letter.key, publisher.sent[0].key) == (True, None, None)


async def test_a_topic_that_admits_no_letter_is_waited_for_and_named() -> None:
    """Nothing is thrown away: the event waits, an operator is told what to raise, and then it goes on by itself."""
    publisher, told = _Small(10), list[Trouble | None]()
    delivery = delivery_of(ScriptedHandler(lambda records, call: [BAD]), publisher, on_trouble=told.append)

    waiting = asyncio.create_task(delivery.deliver([record(7)], asyncio.Event()))
    await asyncio.sleep(0.02)
    publisher.most_bytes = 2000

    assert await waiting == [True]
    assert told[0] is not None
    assert "max.message.bytes" in told[0].message
    assert told[-1] is None


async def test_a_letter_keeps_the_headers_and_whose_replay_it_was() -> None:
    """The sender's headers are kept; the header of a replay becomes the chain back to the first letter."""
    publisher = MemoryPublisher()
    delivery = delivery_of(ScriptedHandler(lambda records, call: [BAD]), publisher)
    first, last = LetterPlace(partition=1, offset=2), LetterPlace(partition=1, offset=5)
    origin = Origin(topic="test.content", partition=0, offset=3, timestamp_ms=5)
    header = Replayed(letter=last, first=first, origin=origin, attempts=2).to_header()
    read = replace(record(7), headers={"trace": b"\xff", REPLAY_HEADER: header})

    assert await delivery.deliver([read], asyncio.Event()) == [True]

    [letter] = letters(publisher)
    assert letter.original_headers() == {"trace": b"\xff"}
    assert letter.attempts == 3
    assert letter.replayed is not None
    assert (letter.replayed.first, letter.replayed.letter, letter.replayed.origin.offset) == (first, last, 3)
    assert letter.origin.offset == 7


async def test_a_header_that_is_none_still_gets_its_letter() -> None:
    """It is what the event is refused for, so it must not stop the letter."""
    publisher = MemoryPublisher()
    delivery = delivery_of(ScriptedHandler(lambda records, call: [BAD]), publisher)

    assert await delivery.deliver([replace(record(7), headers={REPLAY_HEADER: b"{"})], asyncio.Event()) == [True]

    assert letters(publisher)[0].replayed is None


async def test_cancelling_is_not_a_defect() -> None:
    """A task cancelled at the drain deadline ends nothing and buries nothing."""
    publisher = MemoryPublisher()
    task = asyncio.create_task(delivery_of(_Hanging(), publisher).deliver(records(2), asyncio.Event()))
    await asyncio.sleep(0.01)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert publisher.sent == []
