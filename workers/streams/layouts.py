"""Workers and the layouts of the index: reading which one answers, and changing over between two batches."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from config.errors import CrosscurrentError, RetryLater
from config.vocabulary import ModelRef, Role
from fusion.index.layouts import Layout
from fusion.index.protocol import VectorIndex
from workers.streams.records import Handler, Outcome, Record

if TYPE_CHECKING:
    from fusion.index.followed_index import FollowedIndex

log = logging.getLogger(__name__)

_LOOK_S: Final = 1.0


class ClosableHandler(Handler, Protocol):
    """A handler that holds something."""

    def close(self) -> None:
        """Give it back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelParts:
    """What answers by one model.

    Args:
        index: Of the model, wherever it lies.
        of: Makes the handler of one layout's index, given its name.
        upkeep: What is done beside it until cancelled; None for nothing.
    """

    index: "FollowedIndex"
    of: Callable[[VectorIndex, str], ClosableHandler]
    upkeep: Callable[[], Awaitable[None]] | None = None


class LiveHandler:
    """Serves each batch by the layout that answers when the batch begins, whole: no answer is made of two.

    A layout of another model is prepared for as soon as the record names it: the model is loaded beside the one at
    work, so that a flip finds it there.

    Args:
        own: Of the settings' model.
        load: Loads another layout's model; None where there is none to load.
    """

    def __init__(self, own: ModelParts, load: Callable[[Layout], Awaitable[ModelParts]] | None = None) -> None:
        self._own = own
        self._load = load
        self._parts = {own.index.model: own}
        first = own.index.first()
        # Before the first batch: what is wrong with the settings of a handler must end the worker, and no event.
        self._made: dict[VectorIndex, ClosableHandler] = {first: own.of(first, first.layout.name)}
        self._tasks: dict[ModelRef, asyncio.Task[None]] = {}

    @property
    def further(self) -> list[ModelRef]:
        """The models that are loaded beside the settings' own."""
        return list(self._parts)[1:]

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Do the work; see ``Handler``.

        Raises:
            RetryLater: What the handler raised, or the model that answers is not loaded yet.
        """
        model = await self._own.index.answering()
        if (parts := self._parts.get(model)) is None:
            raise RetryLater(f"the index is of {model}, which is not loaded (yet): see the log of this worker")
        return await (await self._handler(parts)).handle(records)

    async def _handler(self, parts: ModelParts) -> ClosableHandler:
        index = await parts.index.live()
        if index not in self._made:
            self._made[index] = parts.of(index, index.layout.name)
        return self._made[index]

    async def look(self) -> None:
        """After the record was read: keep all models to it, and begin to load what is lacking. Returns at once."""
        for model in self.further:
            await self._parts[model].index.follow_with(self._own.index)
        record = self._own.index.record
        for layout in () if record is None else (record.live, record.second):
            if layout is not None and layout.profile and self._lacks(layout.model):
                self._tasks[layout.model] = asyncio.create_task(self._prepare(layout))

    def _lacks(self, model: ModelRef) -> bool:
        return self._load is not None and model not in self._parts and model not in self._tasks

    async def _prepare(self, layout: Layout) -> None:
        if self._load is None:
            return
        log.info("loading %s for the layout %s", layout.model, layout)
        try:
            parts = await self._load(layout)
            with contextlib.suppress(RetryLater):  # made with the first batch, then
                await self._handler(parts)
        except Exception:
            # Not tried again: what is wrong with a profile or its weights does not pass by itself.
            log.exception("%s cannot be loaded, so this worker holds up the flip to it", layout.model)
            return
        self._parts[layout.model] = parts
        log.info("%s is loaded", layout.model)
        if parts.upkeep is not None:
            await parts.upkeep()

    def close(self) -> None:
        """Let go of what the handlers hold."""
        for task in self._tasks.values():
            task.cancel()
        for handler in self._made.values():
            handler.close()


class Follower:
    """Reads the record of layouts each second, and tells whoever changes it that this worker is alive.

    Args:
        role: Of the worker.
        index: Follows what is read.
        live: Is told to look, and holds further models; None in a worker that answers nothing.
    """

    def __init__(self, role: Role, index: "FollowedIndex", live: LiveHandler | None = None) -> None:
        self._name = f"{role}:{uuid.uuid4().hex[:8]}"
        self._index = index
        self._live = live

    async def run(self) -> None:
        """Look until cancelled; where Redis is away the index asks for itself before it is used."""
        while True:
            try:
                await self.look()
            except CrosscurrentError as exc:
                log.debug("the record of layouts is not read: %s", exc)
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> None:
        """Look once.

        Raises:
            RetryLater: Redis is away.
        """
        before = self._index.generation
        await self._index.follow(self._name, [] if self._live is None else self._live.further)
        if self._live is not None:
            await self._live.look()
        if self._index.generation != before:
            log.info("layouts of the index: generation %d, after %d", self._index.generation, before)
