"""The operator's desk for the layouts of the index: what there is, flipping, going back, dropping.

Each step may be ended at any time and run again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from config.errors import Misconfigured
from config.settings import Settings
from config.vocabulary import Modality, ModelRef, Role
from encoders.identity import Space, identify
from fusion.index import relayout
from fusion.index.layouts import Layout, LayoutRecord, OtherState
from fusion.index.redis_index import RedisVectorIndex
from fusion.index.redis_layouts import ALIVE_S, Follower, RedisLayouts
from workers.operate.content_progress import content_behind
from workers.operate.patience import Patience
from workers.streams.compose_queries import model_settings

_POLL_S: Final = 0.2
_LOOKS: Final = 5
_CATCH_UP_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What there is, and who follows it; no record where nothing was ever changed."""

    record: LayoutRecord | None
    live: Layout
    followers: list[Follower]

    @property
    def behind(self) -> list[Follower]:
        """Workers that work by an older record."""
        generation = 0 if self.record is None else self.record.generation
        return [each for each in self.followers if each.generation < generation]


class LayoutDesk:
    """Reads and changes which layouts there are. Use it as an asynchronous context manager.

    Args:
        settings: Where everything is; name the model whose index it is.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.space = identify(settings.model)
        self.layouts = RedisLayouts(settings.redis)
        self.patience = Patience(settings.delivery)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.layouts.close()

    async def status(self) -> Status:
        """What there is now."""
        record = await self.patience.bear(self.layouts.read)
        live = self.layouts.home(self.space.model) if record is None else record.live
        return Status(record=record, live=live, followers=await self.patience.bear(self.layouts.followers))

    async def two(self) -> LayoutRecord:
        """The record of two layouts.

        Raises:
            Misconfigured: There is one only.
        """
        record = (await self.status()).record
        if record is None or record.second is None:
            raise Misconfigured(
                "there is one layout only: 'crosscurrent reshard --shards N' or 'crosscurrent reindex --profile P' "
                "fills a second one"
            )
        return record

    async def flip(self) -> Status:
        """Let the filled layout answer, and wait until every worker that follows does so.

        Raises:
            Misconfigured: It is not filled, lacks items that the live one has, or a worker does not hold its model.
            RetryLater: Redis is away.
        """
        record = await self.two()
        await self._ready(record)
        same_model = len(record.of(record.live.model)) > 1
        if record.state is OtherState.FILLED and same_model and (lacking := await self._lacking(record)):
            told = ", ".join(f"{count} of {modality}" for modality, count in lacking.items())
            raise Misconfigured(
                f"{record.other} lacks items that the live layout has ({told}): they are not on the vectors topic; "
                "publish their content again, or --drop it and stay"
            )
        await relayout.flip(self.layouts, OtherState.FILLED)
        return await self._until_followed()

    async def back(self) -> Status:
        """Let the previous layout answer again; it followed the stream all the time.

        Raises:
            Misconfigured: There is none.
            RetryLater: Redis is away.
        """
        await self._ready(await self.two())
        await relayout.flip(self.layouts, OtherState.PREVIOUS)
        return await self._until_followed()

    async def _ready(self, record: LayoutRecord) -> None:
        """See that the other layout has all that was published so far, and that every query worker holds its model."""
        if record.second is None or record.live.model == record.second.model:
            return
        model = record.second.model
        lacking = [each.name for each in await self.followers(Role.QUERIES) if str(model) not in each.models]
        if lacking:
            raise Misconfigured(
                f"{', '.join(lacking)} cannot answer with {model} (yet): wait until it is loaded; if it cannot be, the "
                "worker's log says why"
            )
        behind = await content_behind(self.settings, model, patience_s=_CATCH_UP_S)
        if behind:
            raise Misconfigured(
                f"content workers of {model} are {behind} events behind: see that enough of them run, and try again"
            )

    async def followers(self, role: Role) -> list[Follower]:
        """Workers of a role that follow the record now."""
        return [each for each in (await self.status()).followers if each.role == role]

    async def content_workers(self, model: ModelRef) -> list[Follower]:
        """Content workers of a model."""
        return [each for each in await self.followers(Role.CONTENT) if each.models[:1] == (str(model),)]

    async def drop(self, tell: Callable[[int], object] = lambda _: None) -> None:
        """Give up the layout that does not answer, and delete it once nobody reads it any more.

        Args:
            tell: Called with the items deleted so far.

        Raises:
            Misconfigured: There is one layout only, or a worker does not follow.
            RetryLater: Redis is away.
        """
        await self.expect_no_model_lost()
        record = await relayout.drop(self.layouts)
        status = await self._until_followed()
        if status.behind:
            names = ", ".join(each.name for each in status.behind)
            raise Misconfigured(f"{names} may read it still: stop these workers, and run --drop again")
        await asyncio.sleep(self.settings.query.deadline_ms / 1000)  # queries that began before
        await relayout.forget(self.layouts, record, tell)

    async def expect_no_model_lost(self) -> None:
        """See that no worker stands on the model that is given up.

        Raises:
            Misconfigured: One does.
        """
        record = (await self.status()).record
        if record is None or record.other is None or record.other.model == record.live.model:
            return
        gone = str(record.other.model)
        names = [each.name for each in (await self.status()).followers if each.models[:1] == (gone,)]
        if names:
            raise Misconfigured(
                f"{', '.join(names)} run with {gone}: stop these content workers, start the others again with "
                f"model.profile set to that of {record.live.model}, and then --drop"
            )

    async def _until_followed(self) -> Status:
        """Wait until all workers work by the record that is there, for as long as one may take to count as gone."""
        for _ in range(int(2 * ALIVE_S / _POLL_S)):
            if not (status := await self.status()).behind:
                break
            await asyncio.sleep(_POLL_S)
        return status

    async def _lacking(self, record: LayoutRecord) -> dict[Modality, int]:
        """How many items the other layout lacks of each modality; writes under way are given some looks to end."""
        lacking: dict[Modality, int] = {}
        async with self.open(record) as (live, other):
            for look in range(_LOOKS):
                await asyncio.sleep(look * _POLL_S)
                there = await live.counts()
                held = await other.counts()  # later, and written first: what is under way makes it the larger one
                lacking = {name: there[name] - held[name] for name in there if there[name] > held[name]}
                if not lacking:
                    break
        return lacking

    @asynccontextmanager
    async def open(self, record: LayoutRecord) -> AsyncIterator[tuple[RedisVectorIndex, RedisVectorIndex]]:
        """The indexes of both layouts, the live one first; what they write is refused once a layout came or went.

        Raises:
            Misconfigured: The model of one is not known here.
        """
        async with AsyncExitStack() as stack:
            made = []
            for layout in (record.live, record.second or record.live):
                space = self.space_of(layout)
                index = RedisVectorIndex(
                    self.settings.redis, space.model, space.dims, layout=layout, generation=record.generation
                )
                stack.push_async_callback(index.close)
                made.append(index)
            yield made[0], made[1]

    def space_of(self, layout: Layout) -> Space:
        """The space of a layout's vectors.

        Raises:
            Misconfigured: Its model is not known here.
        """
        if layout.model == self.space.model:
            return self.space
        space = identify(model_settings(self.settings.model, layout)) if layout.profile else self.space
        if space.model != layout.model:
            raise Misconfigured(f"the layout {layout} is of another model than {space.model}: set model.profile to its")
        return space
