"""Workers and the layouts of the index: reading which one answers, and changing over between two batches."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from config.errors import CrosscurrentError
from config.vocabulary import Role
from fusion.index.protocol import VectorIndex
from workers.streams.records import Handler, Outcome, Record

if TYPE_CHECKING:
    from fusion.index.followed_index import FollowedIndex

log = logging.getLogger(__name__)

_LOOK_S: Final = 1.0


class Follower:
    """Reads the record of layouts each second, and tells whoever changes it that this worker is alive.

    Args:
        role: Of the worker.
        index: Follows what is read.
    """

    def __init__(self, role: Role, index: "FollowedIndex") -> None:
        self._name = f"{role}:{uuid.uuid4().hex[:8]}"
        self._index = index

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
        await self._index.follow(self._name)
        if self._index.generation != before:
            log.info("layouts of the index: generation %d, after %d", self._index.generation, before)


class ClosableHandler(Handler, Protocol):
    """A handler that holds something."""

    def close(self) -> None:
        """Give it back."""
        ...


class LiveHandler:
    """Serves each batch by the layout that answers when the batch begins, whole: no answer is made of two.

    Args:
        index: Knows which one answers.
        of: Makes the handler of one layout's index, given its name.
    """

    def __init__(self, index: "FollowedIndex", of: Callable[[VectorIndex, str], ClosableHandler]) -> None:
        self._index = index
        self._of = of
        self._made: dict[VectorIndex, ClosableHandler] = {}

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Do the work; see ``Handler``."""
        index = await self._index.live()
        if index not in self._made:
            self._made[index] = self._of(index, index.layout.name)
        return await self._made[index].handle(records)

    def close(self) -> None:
        """Let go of what the handlers hold."""
        for handler in self._made.values():
            handler.close()
