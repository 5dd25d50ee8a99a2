"""The content worker's work without Kafka: what becomes searchable, what is refused and why, and in which order."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from config.errors import Reason, RejectEvent, RetryLater
from config.settings import MediaSettings
from config.tagging import LabelSet
from config.vocabulary import ItemId, Modality
from encoders.base import TextInput
from encoders.batching import DeviceBatcher
from fusion.index.memory_index import MemoryVectorIndex
from fusion.index.protocol import VectorSearch
from tests.unit.workers.streams.support import (
    DIMS,
    MAX_EVENT_BYTES,
    MEDIA,
    PROFILE,
    batching,
    clip,
    index_of,
    inline,
    png,
    record,
    wav,
)
from workers.contracts.tag_counts import TAG_COUNTS, TagCounts
from workers.contracts.vectors import ITEM_VECTORS, deletion_version
from workers.streams.content import ContentHandler
from workers.streams.fetch import MediaFetcher
from workers.streams.memory import MemoryPublisher
from workers.streams.observer import Unobserved
from workers.streams.records import Done, Outcome, Refused
from workers.streams.tag_books import Windows
from workers.streams.tag_counter import TagCounter
from workers.streams.tagging import make_tagger
from workers.streams.vectors_topic import VectorsTopic

VECTORS = "cc.vectors"
TAG_COUNTS_TOPIC = "cc.tag-counts"
A = ItemId("a")
MOOD = {"mood": LabelSet(labels={"good": ("lovely great",), "bad": ("awful sad",)}, min_confidence=0.0)}


class NothingSent:
    """The history of a first worker."""

    async def read(self, partition: int) -> Sequence[TagCounts]:
        """Nothing yet."""
        return []


class Seen(Unobserved):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.searchable_s: list[float] = []
        self.tags: list[tuple[str, str]] = []

    def tagged(self, label_set: str, label: str) -> None:
        """Keep it."""
        self.tags.append((label_set, label))

    def searchable(self, seconds: float) -> None:
        """Keep it."""
        self.searchable_s.append(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A content worker without Kafka."""

    handler: ContentHandler
    index: MemoryVectorIndex
    publisher: MemoryPublisher
    batcher: DeviceBatcher
    seen: Seen
    counter: TagCounter

    async def handle(self, *events: Any) -> Sequence[Outcome]:
        """Handle events at offsets from 0."""
        return await self.handler.handle([record(event, offset=place) for place, event in enumerate(events)])


@asynccontextmanager
async def house(
    modalities: Sequence[Modality] = PROFILE, media: MediaSettings = MEDIA, sets: dict[str, LabelSet] | None = None
) -> AsyncIterator[House]:
    """A content worker over an empty index, which tags with these sets."""
    async with batching(modalities) as batcher, MediaFetcher(media) as fetcher:
        publisher, index, seen = MemoryPublisher(), index_of(modalities), Seen()
        counter = TagCounter(
            Windows(sets={name: tuple(each.labels) for name, each in (sets or {}).items()}, window_ms=1000, grace_ms=0),
            history=NothingSent(),
            publisher=publisher,
            topic=TAG_COUNTS_TOPIC,
            observer=seen,
        )
        handler = ContentHandler(
            batcher=batcher,
            index=index,
            fetcher=fetcher,
            publisher=publisher,
            media=media,
            vectors_topic=VECTORS,
            max_event_bytes=MAX_EVENT_BYTES,
            observer=seen,
            tagger=await make_tagger(batcher, sets) if sets else None,
            counter=counter if sets else None,
        )
        yield House(handler=handler, index=index, publisher=publisher, batcher=batcher, seen=seen, counter=counter)
        handler.close()


def upsert(item_id: str = "a", text: str = "cat", **fields: Any) -> dict[str, Any]:
    """A good upsert with some fields replaced."""
    return {"type": "content.upsert", "item_id": item_id, "modalities": {"text": {"text": text}}} | fields


def delete(item_id: str = "a", **fields: Any) -> dict[str, Any]:
    """A good deletion."""
    return {"type": "content.delete", "item_id": item_id} | fields


def of(**modalities: Any) -> dict[str, Any]:
    """An upsert made of these modalities."""
    return upsert(modalities=modalities)


def refusal(outcome: Outcome) -> Refused:
    """The outcome, which must be a refusal."""
    assert isinstance(outcome, Refused), outcome
    return outcome


async def test_an_item_of_every_modality_becomes_searchable():
    """Each modality has its vector, and the attributes and place are kept."""
    event = of(
        text={"text": "cat"}, image=inline(png()), audio=inline(wav()), location={"latitude": 35.5, "longitude": 139.5}
    )
    async with house() as here:
        assert await here.handle(event | {"attributes": {"year": 2024}}) == [Done()]
        item = (await here.index.fetch([A]))[A]
    assert set(item.vectors) == {Modality.TEXT, Modality.IMAGE, Modality.AUDIO}
    assert item.attributes == {"year": 2024, "latitude": 35.5, "longitude": 139.5}
    assert len(here.seen.searchable_s) == 1


ARTICLE = "Ships come home in the morning. The harbour smells of tar and fish. Dr. Lee counts the crates until noon."


async def test_what_summaries_are_made_of_is_kept_and_published():
    """Passages and frames with their places, in index and topic alike; the item's own vectors are what they were."""
    event = of(text={"text": ARTICLE}, video=inline(clip()))
    async with house() as here:
        assert await here.handle(event, upsert("b", ARTICLE)) == [Done(), Done()]
        whole = await here.index.fetch_whole([A, ItemId("b")])
        [alone] = await here.batcher.encode_many([(Modality.TEXT, TextInput(text=ARTICLE))])
    segments = whole[A].segments
    assert [each.text for each in segments[:3]] == [ARTICLE[:31], ARTICLE[32:67], ARTICLE[68:]]
    assert [each.start for each in segments[3:11]] == pytest.approx([0.0, 0.1, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9], abs=0.11)
    assert [(each.modality, each.source) for each in segments[11:]] == [(Modality.AUDIO, Modality.VIDEO)]
    assert np.array_equal(whole[A].vectors[Modality.TEXT], alone)
    assert np.array_equal(whole[ItemId("b")].vectors[Modality.TEXT], alone)
    record = ITEM_VECTORS.validate_json(here.publisher.compacted(VECTORS)[b"a"] or b"")
    assert record.unpacked_segments() == segments


async def test_a_stale_write_leaves_the_topic_with_the_segments_of_the_newer():
    """The topic is mended from the index, segments included: a rebuild would lose them otherwise."""
    async with house() as here:
        newer = upsert(modalities={"text": {"text": ARTICLE}}, occurred_at="2026-05-02T00:00:00Z")
        await here.handle(newer)
        await here.handle(upsert(occurred_at="2026-05-01T00:00:00Z"))
    record = ITEM_VECTORS.validate_json(here.publisher.compacted(VECTORS)[b"a"] or b"")
    assert [each.text for each in record.unpacked_segments()] == [ARTICLE[:31], ARTICLE[32:67], ARTICLE[68:]]


async def test_the_vectors_topic_holds_what_the_index_holds():
    """Kafka is the truth: an index can be filled again from the topic, bit for bit."""
    async with house() as here:
        await here.handle(upsert(attributes={"year": 2024}), upsert("b", "dog"))
        held = await here.index.fetch([A, ItemId("b")])
    sent = {key: ITEM_VECTORS.validate_json(value) for key, value in here.publisher.compacted(VECTORS).items()}
    assert set(sent) == {b"a", b"b"}
    for item_id, item in held.items():
        same = sent[item_id.encode()]
        assert (same.version(), same.attributes) == (item.version, item.attributes)
        assert np.array_equal(same.unpacked()[Modality.TEXT], item.vectors[Modality.TEXT])


async def test_a_clip_gives_a_picture_and_a_sound():
    """Frames become the image vector, the track the audio vector."""
    async with house() as here:
        assert await here.handle(of(video=inline(clip()))) == [Done()]
        item = (await here.index.fetch([A]))[A]
    assert set(item.vectors) == {Modality.IMAGE, Modality.AUDIO}
    assert np.linalg.norm(item.vectors[Modality.IMAGE]) == pytest.approx(1, abs=1e-5)


async def test_an_items_own_picture_stands_before_its_clips_frames():
    """A clip fills only what the item does not bring itself."""
    async with house() as here:
        await here.handle(of(image=inline(png()), video=inline(clip())), of(image=inline(png())) | {"item_id": "b"})
        held = await here.index.fetch([A, ItemId("b")])
    assert np.array_equal(held[A].vectors[Modality.IMAGE], held[ItemId("b")].vectors[Modality.IMAGE])
    assert Modality.AUDIO in held[A].vectors


async def test_what_the_profile_cannot_encode_leaves_the_rest():
    """Sensor readings have no encoder here; the text is still found."""
    sensor = {"channels": ["t"], "sample_rate_hz": 1, "values": [[1.0], [None]]}
    async with house() as here:
        assert await here.handle(of(text={"text": "cat"}, sensor=sensor)) == [Done()]
        assert set((await here.index.fetch([A]))[A].vectors) == {Modality.TEXT}


async def test_readings_and_places_are_encoded_where_the_profile_can():
    """The same event gives more vectors under a profile that knows more."""
    modalities = (Modality.LOCATION, Modality.SENSOR)
    sensor = {"channels": ["t"], "sample_rate_hz": 1, "values": [[1.0], [None]]}
    async with house(modalities) as here:
        assert await here.handle(of(location={"latitude": 1, "longitude": 2}, sensor=sensor)) == [Done()]
        assert set((await here.index.fetch([A]))[A].vectors) == set(modalities)


async def test_an_item_with_nothing_to_encode_is_refused():
    """The refusal names what the profile can encode."""
    async with house() as here:
        refused = refusal((await here.handle(of(location={"latitude": 1, "longitude": 2})))[0])
    assert refused.reason is Reason.UNSUPPORTED_MODALITY
    assert "audio, image, text" in refused.message


async def test_a_deletion_hides_the_item_and_ends_it_on_the_topic():
    """The last record of a deleted item has no value, so compaction removes it."""
    async with house() as here:
        assert await here.handle(upsert(), delete()) == [Done(), Done()]
        assert await here.index.fetch([A]) == {}
    assert here.publisher.compacted(VECTORS) == {}


async def test_the_last_of_two_events_in_one_batch_wins():
    """Order is kept within a batch, and the topic ends with the newest."""
    async with house() as here:
        assert await here.handle(upsert(text="cat"), upsert(text="dog")) == [Done(), Done()]
        held = (await here.index.fetch([A]))[A].vectors[Modality.TEXT]
        dog = await here.batcher.encode(Modality.TEXT, TextInput(text="dog"))
    assert np.array_equal(held, dog)
    sent = ITEM_VECTORS.validate_json(here.publisher.compacted(VECTORS)[b"a"])
    assert np.array_equal(sent.unpacked()[Modality.TEXT], dog)


async def test_an_older_event_that_arrives_late_changes_nothing():
    """The index keeps the newer one, and the topic, where the older was sent last, is corrected."""
    async with house() as here:
        await here.handle(upsert(text="new", occurred_at="2026-05-02T00:00:00Z"))
        kept = (await here.index.fetch([A]))[A]
        assert await here.handle(upsert(text="old", occurred_at="2026-05-01T00:00:00Z")) == [Done(label="stale")]
        assert (await here.index.fetch([A]))[A].version == kept.version
    assert ITEM_VECTORS.validate_json(here.publisher.compacted(VECTORS)[b"a"]).version() == kept.version


async def test_an_older_event_does_not_bring_a_deleted_item_back():
    """Neither into the index nor onto the topic, which ends with the deletion's own version and not the older one's."""
    async with house() as here:
        await here.handle(delete(occurred_at="2026-05-02T00:00:00Z"))
        deleted = here.publisher.on(VECTORS)[-1]
        assert await here.handle(upsert(occurred_at="2026-05-01T00:00:00Z")) == [Done(label="stale")]
        assert await here.index.fetch([A]) == {}
        held = (await here.index.versions([A]))[A]
    assert here.publisher.compacted(VECTORS) == {}
    assert here.publisher.on(VECTORS)[-1] == deleted
    assert deletion_version(deleted.headers) == held


async def test_what_the_index_lost_stays_on_the_topic():
    """A stale write in an index that is emptied a moment later is no deletion: the topic has what a rebuild needs."""
    async with house() as here:
        await here.handle(upsert(occurred_at="2026-05-02T00:00:00Z"))
        topic = VectorsTopic(VECTORS, here.publisher, index_of())
        await topic.mend([(await here.index.fetch([A]))[A]])
    assert ITEM_VECTORS.validate_json(here.publisher.compacted(VECTORS)[b"a"]).item_id == A


async def test_a_replay_changes_nothing():
    """The same record again is stale, and the topic still ends with it."""
    async with house() as here:
        event = upsert(occurred_at="2026-05-02T00:00:00Z")
        await here.handle(event)
        before = here.publisher.compacted(VECTORS)
        assert await here.handle(event) == [Done(label="stale")]
    assert here.publisher.compacted(VECTORS) == before


async def test_nothing_is_searchable_that_was_not_confirmed():
    """While the broker is away the index is not written, and the same records succeed afterwards."""
    async with house() as here:
        here.publisher.fail(VECTORS, RetryLater("the broker is away"))
        with pytest.raises(RetryLater):
            await here.handle(upsert())
        assert await here.index.fetch([A]) == {}
        here.publisher.recover()
        assert await here.handle(upsert()) == [Done()]


async def test_a_record_the_broker_will_never_take_is_refused_and_not_written():
    """Else the index would hold what no rebuild brings back."""
    async with house() as here:
        here.publisher.fail(VECTORS, RejectEvent(Reason.EVENT_TOO_LARGE, "too large"))
        refused = refusal((await here.handle(upsert()))[0])
        assert (refused.reason, refused.stage) == (Reason.EVENT_TOO_LARGE, "write")
        assert await here.index.fetch([A]) == {}


async def test_the_records_key_is_the_item_id_or_absent():
    """Another key would break the order of the item's events."""
    async with house() as here:
        fits, absent, other = await here.handler.handle(
            [record(upsert(), key="a"), record(upsert("b")), record(upsert("c"), key="x")]
        )
    assert fits == absent == Done()
    assert refusal(other).field == "item_id"


async def test_an_event_from_the_far_future_is_refused():
    """It would make every later event of the item count as older."""
    async with house() as here:
        refused = refusal((await here.handle(upsert(occurred_at="2999-01-01T00:00:00Z")))[0])
    assert (refused.reason, refused.field) == (Reason.INVALID_EVENT, "occurred_at")


WRONG = {
    "not UTF-8": (b"\xff\xfe", Reason.NOT_UTF8, "parse", ""),
    "not JSON": (b"{", Reason.NOT_JSON, "parse", ""),
    "no value": (None, Reason.INVALID_EVENT, "parse", ""),
    "an unknown field": (upsert(colour="red"), Reason.INVALID_EVENT, "parse", "colour"),
    "a wrong type": (upsert(item_id=7), Reason.INVALID_EVENT, "parse", "item_id"),
    "no modalities": (of(), Reason.INVALID_EVENT, "parse", "modalities"),
    "latitude 91": (
        of(location={"latitude": 91, "longitude": 0}),
        Reason.INVALID_EVENT,
        "parse",
        "modalities.location.latitude",
    ),
    "another version": (upsert(schema_version=2), Reason.UNSUPPORTED_SCHEMA_VERSION, "parse", "schema_version"),
    "a huge event": (upsert(text="x" * 2**21), Reason.EVENT_TOO_LARGE, "parse", ""),
    "a truncated PNG": (
        of(text={"text": "cat"}, image=inline(png()[:60])),
        Reason.MEDIA_UNDECODABLE,
        "decode",
        "modalities.image.data",
    ),
    "a picture of no bytes' sense": (
        of(image=inline(b"cat")),
        Reason.MEDIA_UNDECODABLE,
        "decode",
        "modalities.image.data",
    ),
    "a sound of zero samples": (of(audio=inline(wav(0))), Reason.MEDIA_EMPTY, "decode", "modalities.audio.data"),
    "a clip without frames": (
        of(video=inline(clip(frames=0))),
        Reason.MEDIA_EMPTY,
        "decode",
        "modalities.video.data",
    ),
    "base64 that is none": (
        of(image={"data": "%%%"}),
        Reason.MEDIA_UNDECODABLE,
        "fetch",
        "modalities.image.data",
    ),
    "a file outside": (
        of(image={"uri": "file:///etc/passwd"}),
        Reason.MEDIA_NOT_ALLOWED,
        "fetch",
        "modalities.image.uri",
    ),
    "a loopback address": (
        of(image={"uri": "http://127.0.0.1:9/a"}),
        Reason.MEDIA_NOT_ALLOWED,
        "fetch",
        "modalities.image.uri",
    ),
    "a private address": (
        of(image={"uri": "https://192.168.1.1/a"}),
        Reason.MEDIA_NOT_ALLOWED,
        "fetch",
        "modalities.image.uri",
    ),
    "another scheme": (
        of(image={"uri": "ftp://example.org/a"}),
        Reason.MEDIA_NOT_ALLOWED,
        "fetch",
        "modalities.image.uri",
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_wrong_input_is_refused_and_its_neighbours_are_served(name: str):
    """Each wrong event has its reason, stage and field; the events around it become searchable."""
    event, reason, stage, field = WRONG[name]
    async with house() as here:
        before, wrong, after = await here.handle(upsert("before"), event, upsert("after"))
        assert before == after == Done()
        assert set(await here.index.fetch([ItemId("before"), A, ItemId("after")])) == {"before", "after"}
    refused = refusal(wrong)
    assert (refused.reason, refused.stage, refused.field) == (reason, stage, field)
    assert refused.message
    assert len(refused.message) < 1000


async def test_a_picture_over_the_limit_is_refused():
    """A 200 MB picture is stopped by the same limit: media.max_bytes."""
    media = MediaSettings(max_bytes=1024)
    async with house(media=media) as here:
        refused = refusal((await here.handle(of(image=inline(png() + bytes(2000)))))[0])
    assert (refused.reason, refused.stage) == (Reason.MEDIA_TOO_LARGE, "fetch")


async def test_vectors_have_the_models_length():
    """What is published says so itself."""
    async with house() as here:
        await here.handle(upsert())
    assert ITEM_VECTORS.validate_json(here.publisher.compacted(VECTORS)[b"a"]).dims == DIMS


def counted(here: House) -> dict[str, Any]:
    """The counts of the one window and partition there is."""
    [last] = here.publisher.compacted(TAG_COUNTS_TOPIC).values()
    record = TAG_COUNTS.validate_json(last)
    return {"items": record.items, **record.counts}


NOON = {"occurred_at": "2026-05-01T12:00:00Z"}


async def test_tags_are_attributes_like_any_other():
    """They are in the index, where filters see them, and on the vectors topic, so they survive a rebuild."""
    async with house(sets=MOOD) as here:
        assert await here.handle(upsert(text="what a lovely cat", attributes={"year": 2024})) == [Done()]
        item = (await here.index.fetch([A]))[A]
        found = (await here.index.search([VectorSearch(
            target=Modality.TEXT, vector=item.vectors[Modality.TEXT], count=5, filter='.mood == "good" and .year > 2020'
        )])).neighbours[0]  # fmt: skip
    assert item.attributes["mood"] == "good"
    assert set(item.attributes) == {"mood", "mood_confidence", "year"}
    assert [one.item_id for one in found] == [A]
    assert ITEM_VECTORS.validate_json(here.publisher.compacted(VECTORS)[b"a"]).attributes == item.attributes


async def test_what_becomes_searchable_is_counted_once():
    """Deletions and refused events are not counted; what comes again, as a stale write, adds none."""
    events = [
        upsert(text="lovely") | NOON,
        upsert("b", text="awful sad") | NOON,
        delete("a") | NOON,
        {"type": "content.upsert", "item_id": "c"},
    ]
    async with house(sets=MOOD) as here:
        await here.handle(*events)
        await here.handle(*events)
        await here.counter.flush()
    assert counted(here) == {"items": 2, "good": 1, "bad": 1}
    assert here.seen.tags == [("mood", "good"), ("mood", "bad")]


async def test_what_was_written_and_not_counted_is_counted_when_it_comes_again():
    """Killed between the index write and the counting: the write is stale the second time, and the item counts."""
    async with house(sets=MOOD) as here:
        await here.handle(upsert(text="lovely") | NOON)
        here.counter.forget()
        assert await here.handle(upsert(text="lovely") | NOON) == [Done(label="stale")]
        await here.counter.flush()
    assert counted(here) == {"items": 1, "good": 1, "bad": 0}


async def test_a_senders_own_label_is_counted():
    """The counts go by the attribute, whoever wrote it; what is no label of the set counts as an item alone."""
    async with house(sets=MOOD) as here:
        await here.handle(
            upsert(text="lovely", attributes={"mood": "bad"}) | NOON,
            upsert("b", text="lovely", attributes={"mood": "furious"}) | NOON,
        )
        await here.counter.flush()
        assert (await here.index.fetch([A]))[A].attributes == {"mood": "bad"}
    assert counted(here) == {"items": 2, "good": 0, "bad": 1}
