"""The vector index wherever it lies now: follows the record of layouts, so that nobody else need know of it."""

import asyncio
import math
from collections.abc import Collection, Sequence
from typing import Final

from config.errors import Misconfigured, RetryLater
from config.settings import RedisSettings
from config.vocabulary import ItemId, Modality, ModelRef, Version
from fusion.index.layouts import Layout, LayoutRecord
from fusion.index.protocol import (
    Item,
    ReadReport,
    SearchReport,
    Tombstone,
    VectorSample,
    VectorSearch,
    WriteOutcome,
)
from fusion.index.redis_index import RedisVectorIndex
from fusion.index.redis_layouts import RedisLayouts

LEASE_S: Final = 5.0
"""How long a record that was read counts. Workers read it each second; after this long without, whoever asks does."""

_TRIES: Final = 4
_AGAIN_S: Final = 1.0
_RETIRED_S: Final = 60.0  # what began on a layout before it was dropped has ended by then


class FollowedIndex:
    """Reads from the layout that answers, writes to all that follow the stream.

    A write goes to the live layout last: what it reports is what became of it there, also when it is tried again.

    Args:
        settings: Where Redis is and how its first layout is.
        model: The model whose vectors it holds.
        dims: Length of its vectors.
        modalities: What items may have.
    """

    def __init__(
        self, settings: RedisSettings, model: ModelRef, dims: int, modalities: Collection[Modality] = tuple(Modality)
    ) -> None:
        self._settings = settings
        self._model = model
        self._dims = dims
        self._modalities = frozenset(modalities)
        self._layouts = RedisLayouts(settings)
        self._home = self._layouts.home(model)
        self._made: dict[Layout, RedisVectorIndex] = {}
        self._retired: dict[Layout, float] = {}
        self._record: LayoutRecord | None = None
        self._read_at = -math.inf

    @property
    def model(self) -> ModelRef:
        """The model whose vectors it holds."""
        return self._model

    @property
    def dims(self) -> int:
        """Length of its vectors."""
        return self._dims

    @property
    def modalities(self) -> frozenset[Modality]:
        """The modalities it may hold."""
        return self._modalities

    @property
    def generation(self) -> int:
        """Of the record that was read last; 0 without one."""
        return 0 if self._record is None else self._record.generation

    @property
    def record(self) -> LayoutRecord | None:
        """The record that was read last."""
        return self._record

    async def follow(self, follower: str, models: Sequence[ModelRef] = ()) -> None:
        """Read the record, and tell by which one we worked so far, and which models we hold beside our own.

        Raises:
            RetryLater: Redis is away.
        """
        await self._hold(await self._layouts.follow(follower, self.generation, [self._model, *models]))

    async def follow_with(self, other: "FollowedIndex") -> None:
        """Take over what another model's index has read, so that both work by one record."""
        await self._hold(other.record)

    async def answering(self) -> ModelRef:
        """The model that answers at this moment: ours, unless the record names another one.

        Raises:
            RetryLater: The record is old and cannot be read.
        """
        await self._renew()
        return self._model if self._record is None else self._record.live.model

    async def live(self) -> RedisVectorIndex:
        """The index that answers at this moment; who asks several things that must fit together keeps it.

        Raises:
            RetryLater: The record is old and cannot be read.
        """
        await self._renew()
        return self._at(self._following()[0])

    def first(self) -> RedisVectorIndex:
        """The index of the layout that the settings describe, whichever answers."""
        return self._at(self._home)

    async def write(self, changes: Sequence[Item | Tombstone]) -> list[WriteOutcome]:
        """Apply each change that is newer than what is stored, in every layout; see ``VectorIndex.write``."""
        await self._renew()
        outcomes: dict[int, WriteOutcome] = {}
        for _ in range(_TRIES):
            left = [place for place in range(len(changes)) if place not in outcomes]
            outcomes |= await self._write(left, changes)
            if len(outcomes) == len(changes):
                return [outcomes[place] for place in range(len(changes))]
            await self._catch_up()
        raise RetryLater(
            "the index is laid out anew at this moment, or the record of its layouts was lost: see 'crosscurrent "
            "reshard --status'; where Redis lost keys 'crosscurrent rebuild' brings them back",
            retry_after_s=_AGAIN_S,
        )

    async def _write(self, places: list[int], changes: Sequence[Item | Tombstone]) -> dict[int, WriteOutcome]:
        """Outcomes of what every layout let in; a change that one of them refused is not sent to the next."""
        generation, outcomes = self.generation, dict[int, WriteOutcome]()
        for layout in reversed(self._following()):
            answered = await self._at(layout).write_by(generation, [changes[place] for place in places])
            told = zip(places, answered, strict=True)
            outcomes = {place: outcome for place, outcome in told if outcome is not None}
            places = list(outcomes)
        return outcomes

    async def _catch_up(self) -> None:
        """After a refusal: read the record. If it is the one we know, a shard lost its fence with all that it held."""
        known = self.generation
        await self._hold(await self._layouts.read())
        if known == self.generation:
            for layout in self._following():
                await self._at(layout).check_by(known)

    async def search(self, searches: Sequence[VectorSearch]) -> SearchReport:
        """See ``VectorIndex.search``."""
        return await (await self.live()).search(searches)

    async def fetch(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """See ``VectorIndex.fetch``."""
        return await (await self.live()).fetch(item_ids)

    async def fetch_whole(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """See ``VectorIndex.fetch_whole``."""
        return await (await self.live()).fetch_whole(item_ids)

    async def versions(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Version]:
        """See ``VectorIndex.versions``."""
        return await (await self.live()).versions(item_ids)

    async def read(self, item_ids: Sequence[ItemId], *, deadline: float | None = None) -> ReadReport:
        """See ``VectorIndex.read``."""
        return await (await self.live()).read(item_ids, deadline=deadline)

    async def scan_ids(self, count: int) -> list[ItemId]:
        """See ``VectorIndex.scan_ids``."""
        return await (await self.live()).scan_ids(count)

    async def sample_vectors(self, modality: Modality, count: int) -> VectorSample:
        """See ``VectorIndex.sample_vectors``."""
        return await (await self.live()).sample_vectors(modality, count)

    async def counts(self) -> dict[Modality, int]:
        """See ``VectorIndex.counts``."""
        return await (await self.live()).counts()

    async def check(self) -> None:
        """See that Redis is there and fits, for the first layout, beside which people are, and those of the record."""
        await self._hold(await self._layouts.read())
        try:
            following = self._following()
        except RetryLater as exc:
            raise Misconfigured(str(exc)) from exc
        for layout in {self._home, *following}:
            await self._at(layout).check_by(self.generation)

    async def settle(self) -> None:
        """Check, for whoever fills an index that was lost: where the record is gone its fences mean nothing.

        Raises:
            Misconfigured: If an operator must change something; says what.
            RetryLater: If Redis cannot be reached.
        """
        if await self._layouts.read() is None:
            await self._layouts.unfence(self._home)
        await self.check()

    async def close(self) -> None:
        """Give back connections."""
        for index in self._made.values():
            await index.close()
        await self._layouts.close()

    def _following(self) -> tuple[Layout, ...]:
        """Layouts that hold our items, the one to read from first.

        Raises:
            RetryLater: None does: the model was given up, and whatever were written would be found by nobody.
        """
        if self._record is None:
            return (self._home,)
        if not (following := self._record.of(self._model)):
            raise RetryLater(
                f"the index is of {self._record.live.model}, and this worker's model is {self._model}: start it again "
                "with model.profile set to that one's, or stop it; 'crosscurrent reindex' changes the model",
                retry_after_s=_AGAIN_S,
            )
        return following

    def _at(self, layout: Layout) -> RedisVectorIndex:
        if layout not in self._made:
            self._made[layout] = RedisVectorIndex(
                self._settings, self._model, self._dims, self._modalities, layout=layout
            )
        return self._made[layout]

    async def _renew(self) -> None:
        if _now() - self._read_at > LEASE_S:
            await self._hold(await self._layouts.read())

    async def _hold(self, record: LayoutRecord | None) -> None:
        self._record, self._read_at = record, _now()
        following = {self._home, *(() if record is None else record.of(self._model))}
        self._retired = {each: self._retired.get(each, _now()) for each in self._made if each not in following}
        for layout in [each for each, since in self._retired.items() if _now() - since > _RETIRED_S]:
            await self._made.pop(layout).close()


def _now() -> float:
    return asyncio.get_running_loop().time()
