"""Summaries without Kafka: from content events to what a query gets of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from config.errors import Reason
from config.settings import ContentSettings, PeopleSettings, QuerySettings
from config.vocabulary import ResultStatus, Version
from fusion.index.memory_index import MemoryVectorIndex
from fusion.index.protocol import Item
from fusion.people.memory_store import MemoryPeopleStore
from tests.scenes import ARTICLE, SCENES, TOPICS, clip_of_scenes, scene_at, topic_of
from tests.unit.workers.streams.support import (
    DIMS,
    MAX_EVENT_BYTES,
    MEDIA,
    batching,
    index_of,
    inline,
    png,
    record,
    wav,
)
from workers.contracts.result import RESULTS, Result
from workers.contracts.summary import Summary
from workers.contracts.vectors import ITEM_VECTORS
from workers.streams.calibration import FixedCalibration
from workers.streams.content import ContentHandler
from workers.streams.fetch import MediaFetcher
from workers.streams.memory import MemoryPublisher
from workers.streams.queries import QueryHandler
from workers.streams.records import Done

ARTICLE_EVENT = {"item_id": "article", "modalities": {"text": {"text": ARTICLE}}, "attributes": {"year": 2024}}
CLIP_EVENT = {"item_id": "clip", "modalities": {"video": inline(clip_of_scenes())}}
PHOTO_EVENT = {"item_id": "photo", "modalities": {"image": inline(png()), "audio": inline(wav())}}
EVENTS = (ARTICLE_EVENT, CLIP_EVENT, PHOTO_EVENT)


@dataclass(slots=True, kw_only=True)
class House:
    """A content and a query worker over one index."""

    queries: QueryHandler
    index: MemoryVectorIndex
    publisher: MemoryPublisher
    asked: int = 0

    async def ask(self, **query: Any) -> Result:
        """Ask for a summary and read the result."""
        self.asked += 1
        event = {"query_id": f"q{self.asked}", "kind": "summarize"} | query
        await self.queries.handle([record(event, offset=self.asked)])
        return RESULTS.validate_json(self.publisher.on("results")[-1].value or b"")

    async def summary(self, **query: Any) -> Summary:
        """The summary, which there must be."""
        result = await self.ask(**query)
        assert result.summary is not None, result.error
        return result.summary


@asynccontextmanager
async def house(*events: dict[str, Any], segments: bool = True) -> AsyncIterator[House]:
    """Both workers, and items published."""
    async with batching() as batcher, MediaFetcher(MEDIA) as fetcher:
        publisher, index = MemoryPublisher(), index_of()
        shared: dict[str, Any] = {
            "batcher": batcher,
            "index": index,
            "fetcher": fetcher,
            "publisher": publisher,
            "media": MEDIA,
            "max_event_bytes": MAX_EVENT_BYTES,
        }
        content = ContentHandler(**shared, vectors_topic="vectors", content=ContentSettings(segments=segments))
        queries = QueryHandler(
            **shared,
            people=MemoryPeopleStore(PeopleSettings(), DIMS),
            calibration=FixedCalibration({}),
            settings=QuerySettings(),
            results_topic="results",
        )
        records = [record({"type": "content.upsert"} | event, offset=place) for place, event in enumerate(events)]
        assert await content.handle(records) == [Done()] * len(events)
        yield House(queries=queries, index=index, publisher=publisher)
        content.close()
        queries.close()


async def test_an_article_is_summarised_topic_by_topic():
    """One passage of each, where it lies in the text; the hit is the item, and the time is told."""
    async with house(*EVENTS) as here:
        result = await here.ask(item_id="article")
    assert (result.status, result.warnings) == (ResultStatus.OK, ())
    assert [(hit.rank, hit.item_id, hit.score, hit.attributes) for hit in result.hits] == [
        (1, "article", 1.0, {"year": 2024})
    ]
    summary = result.summary
    assert summary is not None
    assert [topic_of(each.text) for each in summary.passages] == list(TOPICS)
    assert all(ARTICLE[each.start : each.end] == each.text for each in summary.passages)
    assert summary.text == " ".join(each.text for each in summary.passages)
    assert (summary.frames, summary.sounds, summary.segments) == ((), (), 12)
    assert summary.coverage == pytest.approx(sum(each.score for each in summary.passages), abs=1e-5)
    assert result.timings_ms.fuse > 0


async def test_a_clip_is_summarised_scene_by_scene():
    """A frame of each, at a time when it is shown; a picture has no time."""
    async with house(*EVENTS) as here:
        clip = await here.summary(item_id="clip", summary={"frames": 5})
        photo = await here.summary(item_id="photo")
    assert [scene_at(each.time_s or 0) for each in clip.frames] == list(range(SCENES))
    assert {each.source for each in clip.frames} == {"video"}
    assert [(each.source, each.time_s) for each in photo.frames] == [("image", None)]
    assert [(each.source, each.start_s, each.end_s) for each in photo.sounds] == [("audio", 0.0, 0.1)]


async def test_several_items_are_one_summary():
    """In the order asked for, each piece with its item; budgets are those of the query."""
    async with house(*EVENTS) as here:
        both = await here.ask(item_ids=["clip", "article"], summary={"passages": 1, "frames": 2, "sounds": 0})
    assert [hit.item_id for hit in both.hits] == ["clip", "article"]
    assert both.summary is not None
    assert [each.item_id for each in both.summary.passages] == ["article"]
    assert [each.item_id for each in both.summary.frames] == ["clip", "clip"]
    assert both.summary.segments == 12 + 8


@pytest.mark.parametrize("topic", TOPICS)
async def test_parts_steer_the_summary_of_an_item(topic: str):
    """Beside a named item a query says what its summary is about."""
    part = {"modality": "text", "text": topic}
    async with house(*EVENTS) as here:
        steered = await here.summary(item_id="article", parts=[part], summary={"passages": 1, "relevance": 0.6})
    assert topic_of(steered.text) == topic


async def test_what_a_search_finds_is_summarised():
    """Filters, pages and the like choose the items; the hits say which."""
    part = {"modality": "text", "text": "bread of the bakery"}
    async with house(*EVENTS, {"item_id": "old", "modalities": {"text": {"text": "old bread"}}}) as here:
        found = await here.ask(parts=[part], filter=".year > 2020", summary={"passages": 2})
        least = await here.ask(parts=[part], k=1, search_in=["text"])
        nothing = await here.ask(parts=[part], filter=".year > 2050")
    assert [hit.item_id for hit in found.hits] == ["article"]
    assert found.summary is not None
    assert "bakery" in {topic_of(each.text) for each in found.summary.passages}
    assert len(least.hits) == 1
    assert nothing.hits == ()
    assert nothing.summary == Summary()


async def test_unknown_items_are_told():
    """Some are a warning, all are an error that names the field."""
    async with house(*EVENTS) as here:
        some = await here.ask(item_ids=["article", *(f"no{number}" for number in range(7))])
        none = await here.ask(item_ids=["no1", "no2"])
        one = await here.ask(item_id="no1")
    assert [hit.item_id for hit in some.hits] == ["article"]
    assert some.warnings == ("not summarised, no such item: no0, no1, no2, no3, no4 and 2 more",)
    for result, field in ((none, "item_ids"), (one, "item_id")):
        assert result.error is not None
        assert (result.error.code, result.error.field) == (Reason.UNKNOWN_ITEM, field)
        assert result.summary is None


async def test_an_item_without_segments_says_so():
    """Never an empty summary without a word; the warning says what to do."""
    async with house(ARTICLE_EVENT, segments=False) as here:
        result = await here.ask(item_id="article")
    assert result.summary == Summary()
    assert len(result.warnings) == 1
    assert "content.segments" in result.warnings[0]
    assert "publish again" in result.warnings[0]


async def test_an_index_filled_from_the_topic_gives_the_same_summaries():
    """Word for word and score for score."""
    query = {"item_ids": ["clip", "article", "photo"], "parts": [{"modality": "text", "text": "boats"}]}
    async with house(*EVENTS) as here:
        before = await here.summary(**query)
        records = [ITEM_VECTORS.validate_json(value or b"") for value in here.publisher.compacted("vectors").values()]
        for kept in records:
            version = Version(kept.version().occurred_at_ms + 1, 0)
            again = Item(
                item_id=kept.item_id,
                version=version,
                vectors=kept.unpacked(),
                attributes=kept.attributes,
                segments=kept.unpacked_segments(),
            )
            await here.index.write([again])
        after = await here.summary(**query)
    assert len(records) == 3
    assert after == before
    assert len(before.passages) == len(before.frames) == 3


async def test_only_summaries_have_one():
    """A search has no summary in its result."""
    async with house(*EVENTS) as here:
        found = await here.ask(kind="search", parts=[{"modality": "text", "text": "bread"}])
    assert found.hits
    assert found.summary is None
