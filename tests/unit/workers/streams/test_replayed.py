"""A replayed event is as old as it was: it never beats what came between its refusal and its replay."""

from dataclasses import replace
from typing import Any

import pytest

from config.errors import RejectEvent
from config.vocabulary import ItemId, Modality, UserId, Version
from tests.unit.workers.streams.support import record
from tests.unit.workers.streams.test_content_handler import delete, house, upsert
from workers.contracts.content import CONTENT_EVENTS
from workers.contracts.interaction import INTERACTION_EVENTS, Interaction
from workers.contracts.parse import parse_event
from workers.contracts.replays import REPLAY_HEADER, LetterPlace, Origin, Replayed
from workers.streams.records import Done, Record, Refused
from workers.streams.timing import event_time_ms, version_of

NOON = "2026-05-01T12:00:00Z"
PLACE = LetterPlace(partition=0, offset=7)


def replay(event: dict[str, Any], *, of: Record, offset: int) -> Record:
    """An event at a new place that was first read as ``of``."""
    origin = Origin(topic=of.topic, partition=of.partition, offset=of.offset, timestamp_ms=of.timestamp_ms)
    header = Replayed(letter=PLACE, first=PLACE, origin=origin, attempts=1).to_header()
    return replace(record(event, offset=offset), headers={REPLAY_HEADER: header})


@pytest.mark.parametrize("occurred", [{}, {"occurred_at": NOON}])
async def test_a_replayed_upsert_does_not_beat_a_later_one(occurred: dict[str, str]) -> None:
    """Whether the sender named a time or not, and also where both name the same: the offset was the smaller one."""
    old, new = upsert(text="old", **occurred), upsert(text="new", **occurred)
    first = record(old, offset=3, age_ms=60_000)
    async with house() as made:
        await made.handler.handle([record(new, offset=5, age_ms=30_000)])

        outcomes = await made.handler.handle([replay(old, of=first, offset=9)])

        assert outcomes == [Done(label="stale")]
        held = (await made.index.fetch([ItemId("a")]))[ItemId("a")]
        assert held.version.offset == 5


@pytest.mark.parametrize("occurred", [{}, {"occurred_at": NOON}])
async def test_a_replayed_upsert_does_not_bring_back_what_was_deleted(occurred: dict[str, str]) -> None:
    """The tombstone is newer, and the vectors topic ends with it again."""
    first = record(upsert(**occurred), offset=3, age_ms=60_000)
    async with house() as made:
        await made.handler.handle([record(delete(**occurred), offset=5, age_ms=30_000)])

        outcomes = await made.handler.handle([replay(upsert(**occurred), of=first, offset=9)])

        assert outcomes == [Done(label="stale")]
        assert (await made.index.counts())[Modality.TEXT] == 0
        assert made.publisher.sent[-1].value is None


async def test_a_replayed_deletion_leaves_a_later_item() -> None:
    """The item that came after the deletion stays, and the vectors topic ends with it again."""
    first = record(delete(), offset=3, age_ms=60_000)
    async with house() as made:
        await made.handler.handle([record(upsert(), offset=5, age_ms=30_000)])

        outcomes = await made.handler.handle([replay(delete(), of=first, offset=9)])

        assert outcomes == [Done(label="stale")]
        assert (await made.index.counts())[Modality.TEXT] == 1
        assert made.publisher.sent[-1].value is not None


async def test_a_replayed_event_that_nothing_followed_takes_effect() -> None:
    """What a replay is for, for an item nobody touched since; a second time it changes nothing."""
    first = record(upsert(), offset=3, age_ms=60_000)
    async with house() as made:
        once = await made.handler.handle([replay(upsert(), of=first, offset=9)])
        again = await made.handler.handle([replay(upsert(), of=first, offset=10)])

        assert (once, again) == ([Done()], [Done(label="stale")])
        assert (await made.index.fetch([ItemId("a")]))[ItemId("a")].version == Version(first.timestamp_ms, 3)


def test_a_made_up_header_can_only_make_an_event_older() -> None:
    """Neither the time nor the offset of a header counts where it is later than the record's own."""
    event = parse_event(b'{"type": "content.delete", "item_id": "a"}', CONTENT_EVENTS)
    later = record(None, offset=2**40)
    now = record(None, offset=9, age_ms=1000)
    forged = replace(replay({}, of=later, offset=9), timestamp_ms=now.timestamp_ms)

    assert version_of(event, forged) == Version(now.timestamp_ms, 9)


def test_a_replayed_wish_to_be_forgotten_is_as_old_as_it_was() -> None:
    """Otherwise it would take what the user did since, and a replayed click would come after the wish."""
    first = record(None, offset=3, age_ms=60_000)
    for event in ({"type": "user.forget", "user_id": "u"}, interaction().model_dump(exclude_none=True, mode="json")):
        read = replay(event, of=first, offset=9)
        parsed = parse_event(read.value, INTERACTION_EVENTS)
        assert event_time_ms(parsed, read) == first.timestamp_ms


def interaction() -> Interaction:
    """A click."""
    return INTERACTION_EVENTS.validate_python(  # type: ignore[return-value]
        {"type": "interaction", "event_id": "e", "user_id": UserId("u"), "item_id": ItemId("a"), "action": "click"},
        strict=False,
    )


@pytest.mark.parametrize("header", [b"", b"{}", b"\xff", b'{"letter": 3}'])
async def test_a_header_that_is_none_refuses_the_event(header: bytes) -> None:
    """Guessing its age would let it beat newer ones; the message names the header."""
    async with house() as made:
        [outcome] = await made.handler.handle([replace(record(upsert()), headers={REPLAY_HEADER: header})])

    assert isinstance(outcome, Refused)
    assert outcome.field == f"headers.{REPLAY_HEADER}"
    with pytest.raises(RejectEvent, match=REPLAY_HEADER):
        version_of(interaction(), replace(record(None), headers={REPLAY_HEADER: header}))
