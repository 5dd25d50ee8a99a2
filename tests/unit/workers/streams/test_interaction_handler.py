"""The interaction worker's work without Kafka: taste, counting once, forgetting, and the snapshots on the topic."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import Reason, RejectEvent, RetryLater
from config.settings import PeopleSettings
from config.vocabulary import Action, ItemId, Modality, QueryId, UserId, Version
from fusion.index.memory_index import MemoryVectorIndex
from fusion.index.protocol import Item
from fusion.people.memory_store import MemoryPeopleStore
from fusion.people.served import Joined, Served, ServedHit
from tests.unit.workers.streams.support import DIMS, MAX_EVENT_BYTES, index_of, record
from workers.contracts.interaction import Interaction
from workers.contracts.profiles import USER_PROFILES, UserProfile
from workers.streams.interactions import InteractionHandler, weight_of
from workers.streams.memory import MemoryPublisher
from workers.streams.records import Done, Outcome, Refused
from workers.streams.timing import now_ms

PROFILES = "cc.profiles"


def axis(place: int) -> NDArray[np.float32]:
    """The unit vector along one axis."""
    vector = np.zeros(DIMS, np.float32)
    vector[place] = 1
    return vector


class ListReader:
    """Reads every comment as the axis of its length, and refuses those that say so."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def read(self, texts: Sequence[str]) -> list[NDArray[np.float32] | RejectEvent]:
        """Note the texts."""
        self.texts += texts
        refusal = RejectEvent(Reason.ENCODER_FAILED, "no words in it", field="text")
        return [refusal if text == "refuse" else axis(len(text)) for text in texts]


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Joined] = []

    def joined(self, joined: Joined) -> None:
        """Keep it."""
        self.told.append(joined)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """An interaction worker without Kafka, over the items ``a`` (two modalities) and ``b``."""

    handler: InteractionHandler
    people: MemoryPeopleStore
    publisher: MemoryPublisher
    reader: ListReader
    feedback: Told

    async def handle(self, *events: Any) -> Sequence[Outcome]:
        """Handle events at offsets from 0 on."""
        return await self.handler.handle([record(event, offset=place) for place, event in enumerate(events)])

    def snapshots(self) -> dict[str, UserProfile]:
        """What compaction would leave on the profiles topic."""
        left = self.publisher.compacted(PROFILES).values()
        return {snapshot.user_id: snapshot for snapshot in map(USER_PROFILES.validate_json, left)}

    async def taste(self, user_id: str) -> NDArray[np.float32]:
        """A user's vector, which must be there."""
        profile = await self.people.profile(UserId(user_id), now_ms=now_ms())
        assert profile is not None
        assert profile.vector is not None
        return profile.vector


@pytest.fixture
async def here() -> House:
    """An interaction worker whose users are all new."""
    index: MemoryVectorIndex = index_of()
    await index.write(
        [
            Item(
                item_id=ItemId("a"),
                version=Version(1, 0),
                vectors={Modality.TEXT: axis(0), Modality.IMAGE: axis(1)},
            ),
            Item(item_id=ItemId("b"), version=Version(1, 1), vectors={Modality.TEXT: axis(2)}),
        ]
    )
    people, publisher, reader = MemoryPeopleStore(PeopleSettings(), DIMS), MemoryPublisher(), ListReader()
    feedback = Told()
    handler = InteractionHandler(
        index=index,
        people=people,
        publisher=publisher,
        settings=PeopleSettings(),
        profiles_topic=PROFILES,
        max_event_bytes=MAX_EVENT_BYTES,
        comments=reader,
        feedback=feedback,
    )
    return House(handler=handler, people=people, publisher=publisher, reader=reader, feedback=feedback)


def acted(event_id: str = "e", user_id: str = "mika", **fields: Any) -> dict[str, Any]:
    """A like of item ``a`` with some fields replaced."""
    liked = {"type": "interaction", "event_id": event_id, "user_id": user_id, "item_id": "a", "action": "like"}
    return liked | fields


def forget(user_id: str = "mika", **fields: Any) -> dict[str, Any]:
    """The wish to be forgotten."""
    return {"type": "user.forget", "user_id": user_id} | fields


async def test_a_like_turns_the_taste_towards_the_item(here: House):
    """The profile is the mean of the item's modalities, as the fused vector set has it."""
    assert await here.handle(acted()) == [Done()]
    assert await here.taste("mika") == pytest.approx((axis(0) + axis(1)) / np.sqrt(2), abs=1e-4)


async def test_the_snapshot_on_the_topic_is_the_profile(here: House):
    """Whoever rebuilds profiles from the topic gets the same taste and history."""
    await here.handle(acted(occurred_at="2026-05-01T00:00:00Z"), acted("e2", item_id="b"))
    snapshot = here.snapshots()["mika"]
    vector = snapshot.unpacked()
    assert vector is not None
    assert vector == pytest.approx(await here.taste("mika"), abs=1e-6)
    assert snapshot.recent == ("b", "a")
    assert snapshot.strength > 0
    assert snapshot.occurred_at is not None


async def test_a_users_batch_makes_one_snapshot(here: House):
    """Compaction would drop all but the last anyway."""
    await here.handle(*(acted(f"e{number}") for number in range(20)), acted("other", "juno"))
    assert [sent.key for sent in here.publisher.sent] == [b"mika", b"juno"]


async def test_an_event_counts_once(here: House):
    """In one batch and over batches; the second is a duplicate and changes nothing."""
    assert await here.handle(acted(), acted()) == [Done(), Done(label="duplicate")]
    strength = here.snapshots()["mika"].strength
    assert await here.handle(acted()) == [Done(label="duplicate")]
    assert here.snapshots()["mika"].strength == pytest.approx(strength, rel=1e-3)


async def test_an_unknown_item_is_remembered_without_a_taste(here: House):
    """Content may arrive after the click; nothing is refused for it."""
    assert await here.handle(acted(item_id="unicorn")) == [Done()]
    snapshot = here.snapshots()["mika"]
    assert snapshot.unpacked() is None
    assert snapshot.recent == ("unicorn",)


async def test_a_forgotten_user_leaves_nothing(here: House):
    """Neither in the store nor, after compaction, on the topic."""
    await here.handle(acted())
    assert await here.handle(forget()) == [Done()]
    assert await here.people.profile(UserId("mika"), now_ms=now_ms()) is None
    assert here.snapshots() == {}


async def test_forgetting_keeps_its_place_among_the_events(here: House):
    """What comes before it in the batch is erased, what comes after it counts."""
    await here.handle(
        acted("e1", occurred_at="2026-05-01T00:00:00Z"),
        forget(occurred_at="2026-05-02T00:00:00Z"),
        acted("e2", item_id="b", occurred_at="2026-05-03T00:00:00Z"),
    )
    assert here.snapshots()["mika"].recent == ("b",)


async def test_a_replay_does_not_bring_a_forgotten_user_back(here: House):
    """Interactions older than the wish are passed over, whenever they come."""
    await here.handle(forget(occurred_at="2026-05-02T00:00:00Z"))
    assert await here.handle(acted(occurred_at="2026-05-01T00:00:00Z")) == [Done(label="duplicate")]
    assert here.snapshots() == {}


async def test_a_snapshot_that_was_not_confirmed_is_sent_by_the_next_try(here: House):
    """The store counted already; the replay counts nothing twice and still publishes."""
    here.publisher.fail(PROFILES, RetryLater("the broker is away"))
    with pytest.raises(RetryLater):
        await here.handle(acted())
    here.publisher.recover()
    assert await here.handle(acted()) == [Done(label="duplicate")]
    assert "mika" in here.snapshots()


@pytest.mark.parametrize(("value", "expected"), [(1.0, -2.0), (2.0, -1.0), (3.0, 0.0), (4.5, 1.5), (5.0, 2.0)])
def test_a_rating_counts_by_its_distance_from_the_middle(value: float, expected: float):
    """One star pushes away as much as five pull."""
    event = Interaction(event_id="e", user_id=UserId("u"), item_id=ItemId("a"), action=Action.RATE, value=value)
    assert weight_of(event, PeopleSettings()) == pytest.approx(expected)


async def test_a_dislike_steers_the_taste_away(here: House):
    """The taste points away from what was disliked."""
    await here.handle(acted(action="dislike", item_id="b"))
    assert float(await here.taste("mika") @ axis(2)) < -0.99


async def test_a_comment_turns_the_taste_also_towards_what_it_says(here: House):
    """Halfway between the item and the text; of an item that is not indexed, towards the text alone."""
    await here.handle(
        acted(action="comment", item_id="b", text="so red"),
        acted("e2", "juno", action="comment", item_id="unicorn", text="so red"),
    )
    assert await here.taste("mika") == pytest.approx((axis(2) + axis(6)) / np.sqrt(2), abs=1e-4)
    assert await here.taste("juno") == pytest.approx(axis(6), abs=1e-4)


async def test_only_comments_are_read_and_a_text_without_words_is_refused(here: House):
    """A like may carry a text too: it is no comment. The other events of the batch count."""
    outcomes = await here.handle(
        acted("e1", text="no comment"), acted("e2", action="comment", text="refuse"), acted("e3", item_id="b")
    )
    assert here.reader.texts == ["refuse"]
    assert outcomes[0] == outcomes[2] == Done()
    assert isinstance(outcomes[1], Refused)
    assert (outcomes[1].reason, outcomes[1].stage, outcomes[1].field) == (Reason.ENCODER_FAILED, "encode", "text")
    assert sorted(here.snapshots()["mika"].recent) == ["a", "b"]


async def test_the_session_is_kept_with_the_step(here: House):
    """In the store and in the snapshot, so that a rebuilt profile knows the visit."""
    await here.handle(acted(session_id="s-3"))
    [step] = here.snapshots()["mika"].steps
    assert (step.item_id, step.weight, step.session_id) == ("a", 3.0, "s-3")


async def test_impressions_and_clicks_are_joined_to_what_was_shown(here: House):
    """By user and query, once; a view, a click without a query and one on something not shown are joined to nothing."""
    hits = tuple(ServedHit(item_id=ItemId(name), rank=rank) for rank, name in enumerate("ab", start=1))
    served = Served(query_id=QueryId("q"), user_id=UserId("mika"), at_ms=now_ms(), hits=hits)
    await here.people.served.remember(served)
    clicked = acted("e3", action="click", item_id="b", query_id="q")
    await here.handle(
        acted("e1", action="impression", query_id="q"),
        acted("e2", action="view", item_id="b", query_id="q"),
        acted("e4", action="click", item_id="b"),
        acted("e5", "juno", action="click", item_id="b", query_id="q"),
        clicked,
    )
    await here.handle(clicked)
    assert here.feedback.told == [
        Joined(rank=1, newly_seen=True, newly_clicked=False, first_click=False),
        Joined(rank=2, newly_seen=True, newly_clicked=True, first_click=True),
        Joined(rank=2, newly_seen=False, newly_clicked=False, first_click=False),
    ]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (b"\xff", Reason.NOT_UTF8),
        (b"[]", Reason.INVALID_EVENT),
        (acted(action="stare"), Reason.INVALID_EVENT),
        (acted(user_id=""), Reason.INVALID_EVENT),
        (acted(occurred_at="2999-01-01T00:00:00Z"), Reason.INVALID_EVENT),
        (forget(occurred_at="2999-01-01T00:00:00Z"), Reason.INVALID_EVENT),
    ],
)
async def test_wrong_events_are_refused_and_their_neighbours_count(here: House, wrong: Any, reason: Reason):
    """One bad interaction costs nobody else's."""
    before, refused, after = await here.handle(acted("e1"), wrong, acted("e2", "juno"))
    assert before == after == Done()
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.stage) == (reason, "parse")
    assert set(here.snapshots()) == {"mika", "juno"}


async def test_the_records_key_is_the_user_id_or_absent(here: House):
    """Another key would break the order of the user's events."""
    fits, other = await here.handler.handle([record(acted("e1"), key="mika"), record(acted("e2"), key="juno")])
    assert fits == Done()
    assert isinstance(other, Refused)
    assert other.field == "user_id"
