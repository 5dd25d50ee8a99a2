"""A worker changes over between two batches, and a batch that began before stays where it began."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from config.errors import RetryLater
from config.settings import RedisSettings
from config.vocabulary import ItemId, ModelRef, Role
from fusion.index import relayout
from fusion.index.followed_index import FollowedIndex
from fusion.index.layouts import Layout, OtherState
from fusion.index.protocol import VectorIndex
from fusion.index.redis_layouts import RedisLayouts
from tests.fusion_builders import DIMS, MODEL, item
from tests.unit.workers.streams.kit import records
from workers.streams.layouts import Follower, LiveHandler, ModelParts
from workers.streams.records import Done, Outcome, Record


class Asking:
    """Reads an item twice a batch, and waits in between; told which layout it is of."""

    def __init__(self, index: VectorIndex, layout: str) -> None:
        self.index = index
        self.layout = layout
        self.waits: asyncio.Event | None = None
        self.closed = False

    async def handle(self, batch: Sequence[Record]) -> Sequence[Outcome]:
        """A label that says where both answers came from."""
        first = len(await self.index.fetch([ItemId("only here")]))
        if self.waits is not None:
            await self.waits.wait()
        second = len(await self.index.fetch([ItemId("only here")]))
        return [Done(label=f"{self.layout or 'first'} {first}{second}") for _ in batch]

    def close(self) -> None:
        """Note it."""
        self.closed = True


@pytest.fixture
async def layouts(redis_url: str, prefix: str) -> AsyncIterator[tuple[RedisSettings, RedisLayouts]]:
    """Two layouts, the first one live; an item lies in the first one only, so that answers tell them apart."""
    settings = RedisSettings(url=redis_url, prefix=prefix)
    made = RedisLayouts(settings)
    index = FollowedIndex(settings, MODEL, DIMS)
    await index.write([item("only here")])
    await index.close()
    new = Layout(name="new", shards=3, model=MODEL)
    await relayout.finish(made, await relayout.begin(made, settings, made.home(MODEL), new, DIMS))
    yield settings, made
    await made.close()


async def test_no_batch_is_answered_by_two(layouts: tuple[RedisSettings, RedisLayouts]) -> None:
    """The batch under way is finished on the first layout, the next one is served by the second, and back again."""
    settings, made = layouts
    index, by_layout = FollowedIndex(settings, MODEL, DIMS), dict[str, Asking]()

    def of(one: VectorIndex, layout: str) -> Asking:
        assert layout not in by_layout
        return by_layout.setdefault(layout, Asking(one, layout))

    handler = LiveHandler(ModelParts(index=index, of=of))
    assert list(by_layout) == [""]  # made at the start, where wrong settings end the worker
    assert await handler.handle(records(1)) == [Done(label="first 11")]
    by_layout[""].waits = asyncio.Event()
    under_way = asyncio.create_task(handler.handle(records(1)))
    await asyncio.sleep(0.05)
    await relayout.flip(made, OtherState.FILLED)
    await index.follow("queries:test")

    assert await handler.handle(records(2)) == [Done(label="new 00")] * 2
    by_layout[""].waits.set()
    assert await under_way == [Done(label="first 11")]
    await relayout.flip(made, OtherState.PREVIOUS)
    await index.follow("queries:test")
    assert await handler.handle(records(1)) == [Done(label="first 11")]
    handler.close()
    assert all(each.closed for each in by_layout.values())
    await index.close()


async def test_another_model_is_loaded_before_it_answers(redis_url: str, prefix: str) -> None:
    """As soon as the record names it, so that a flip finds it there; without it batches wait, and none is lost."""
    settings, other = RedisSettings(url=redis_url, prefix=prefix), ModelRef("other", "1")
    made, loaded = RedisLayouts(settings), list[Layout]()

    async def load(layout: Layout) -> ModelParts:
        loaded.append(layout)
        return ModelParts(index=FollowedIndex(settings, other, DIMS), of=Asking)

    def handler_of(load: Callable[[Layout], Awaitable[ModelParts]] | None) -> tuple[FollowedIndex, LiveHandler]:
        index = FollowedIndex(settings, MODEL, DIMS)
        return index, LiveHandler(ModelParts(index=index, of=Asking), load)

    (index, handler), (poor_index, poor) = handler_of(load), handler_of(None)
    follower, poor_follower = Follower(Role.QUERIES, index, handler), Follower(Role.QUERIES, poor_index, poor)
    new = Layout(name="new", shards=1, model=other, profile="other.yaml")
    await relayout.finish(made, await relayout.begin(made, settings, made.home(MODEL), new, DIMS))
    for each in (follower, poor_follower):
        await each.look()
        await asyncio.sleep(0.1)
        await each.look()
    assert loaded == [new]
    assert {each.models for each in await made.followers()} == {(str(MODEL), str(other)), (str(MODEL),)}
    assert await handler.handle(records(1)) == [Done(label="first 00")]

    await relayout.flip(made, OtherState.FILLED)
    for each in (follower, poor_follower):
        await each.look()
    assert await handler.handle(records(1)) == [Done(label="new 00")]
    with pytest.raises(RetryLater, match="index is of other@1, which is not loaded"):
        await poor.handle(records(1))
    handler.close()
    for one in (index, poor_index, made):
        await one.close()


async def test_an_old_record_is_not_believed(
    layouts: tuple[RedisSettings, RedisLayouts], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose look at the record fails asks before it answers, once what it knows is too old."""
    settings, made = layouts
    index = FollowedIndex(settings, MODEL, DIMS)
    assert (await index.live()).layout.name == ""
    await relayout.flip(made, OtherState.FILLED)
    assert (await index.live()).layout.name == ""
    monkeypatch.setattr("fusion.index.followed_index.LEASE_S", 0.0)
    assert (await index.live()).layout.name == "new"
    await index.close()


async def test_followers_are_known_by_name_until_they_are_silent(
    layouts: tuple[RedisSettings, RedisLayouts], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each tells by which record it worked; one that says nothing for long is struck off."""
    settings, made = layouts
    index = FollowedIndex(settings, MODEL, DIMS)
    await index.follow("queries:a")
    assert [(each.name, each.generation) for each in await made.followers()] == [("queries:a", 0)]
    await index.follow("queries:a")
    assert [(each.name, each.generation) for each in await made.followers()] == [("queries:a", 2)]
    monkeypatch.setattr("fusion.index.redis_layouts.ALIVE_S", -1)
    assert await made.followers() == []
    monkeypatch.undo()
    assert await made.followers() == []
    await index.close()
