"""The vector index in Redis vector sets: sharded, versioned, filtered; exact vectors beside the quantised ones."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from config.errors import Misconfigured, RetryLater
from config.settings import RedisSettings
from config.vocabulary import ItemId, Modality, ModelRef, Version
from fusion.index.checks import check_change, check_search
from fusion.index.connection import Argument, Command, RedisConnection, Script
from fusion.index.item_cache import ItemCache
from fusion.index.item_reader import ItemReader
from fusion.index.layout import Keys, dump_attributes, fused_vector, pack_vectors, targets
from fusion.index.layouts import HOME, Layout
from fusion.index.protocol import (
    FUSED,
    Item,
    ReadReport,
    SearchReport,
    Tombstone,
    VectorSample,
    VectorSearch,
    WriteOutcome,
)
from fusion.index.redis_check import check_shard
from fusion.index.redis_search import ShardSearch, merge_shards
from fusion.index.redis_shard import ShardAnswer, ShardSearcher
from fusion.index.segment_layout import pack_segments

_WRITE: Final = Script(Path(__file__).with_name("write_item.lua"))
_OUTCOMES: Final = {0: WriteOutcome.STALE, 1: WriteOutcome.APPLIED, -1: None}
_MEBIBYTE: Final = 2**20
_FILLING: Final = 0.8
"""Share of the time left after which lists stay as they are, so that a shard's answer still counts."""

_Read = TypeVar("_Read")


class RedisVectorIndex:
    """Items in Redis vector sets, one set a modality and shard, and one of each item's mean.

    A write is one script on the item's shard: it compares versions, changes every vector set and the item's hash, and
    nothing runs in between. So two writers that overlap in a rebalance cannot mix two versions of an item, a crash
    leaves either all of a write or none, and a search never finds what ``fetch`` cannot read. It costs nothing: VADD
    holds the server's main thread inside a script and outside alike (1,960 against 2,200 VADD/s, 256 dimensions).

    Args:
        settings: Where Redis is and how it is laid out.
        model: The model whose vectors it holds; part of every key.
        dims: Length of its vectors.
        modalities: What items may have.
        layout: Where they lie; where the settings say when None.
        generation: The record of layouts by which it writes; 0 for none. ``FollowedIndex`` keeps to the record.
    """

    def __init__(
        self,
        settings: RedisSettings,
        model: ModelRef,
        dims: int,
        modalities: Collection[Modality] = tuple(Modality),
        *,
        layout: Layout | None = None,
        generation: int = 0,
    ) -> None:
        self._settings = settings
        self._model = model
        self._dims = dims
        self._modalities = frozenset(modalities)
        # All there are: an item written under a profile with more modalities must be removed whole under this one.
        self._targets = targets(Modality)
        self.layout = layout or Layout(name=HOME, shards=settings.shards, model=model)
        self._generation = generation
        self._keys = Keys(settings.prefix, self.layout.shards, model, self.layout.name)
        self._shards = range(self.layout.shards)
        self._connection = RedisConnection(settings)
        cache = ItemCache(settings.item_cache_mb * _MEBIBYTE)
        self._readers = [ItemReader(self._ask, self._keys, shard, cache) for shard in self._shards]
        self._searchers = [
            ShardSearcher(self._ask, reader.read, self._keys.vectors(shard, FUSED))
            for shard, reader in enumerate(self._readers)
        ]

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

    async def write(self, changes: Sequence[Item | Tombstone]) -> list[WriteOutcome]:
        """Apply each change that is newer than what is stored; see ``VectorIndex.write``.

        When a shard fails, changes of other shards may have been applied: repeat all of them, they end as stale.

        Raises:
            Misconfigured: The layout is no more, or follows a later record than this index knows.
        """
        outcomes = await self.write_by(self._generation, changes)
        there = [outcome for outcome in outcomes if outcome is not None]
        if len(there) < len(outcomes):
            raise Misconfigured(
                f"the layout {self.layout} may not be written to any more: it was dropped, another one was begun, or "
                "Redis was emptied; see 'crosscurrent reshard --status'"
            )
        return there

    async def write_by(self, generation: int, changes: Sequence[Item | Tombstone]) -> list[WriteOutcome | None]:
        """Apply changes as a writer who read a record of layouts: None where a shard asks for a later one."""
        for change in changes:
            check_change(change, self._dims, self._modalities)
        by_shard = self._by_shard(change.item_id for change in changes)
        replies = await asyncio.gather(
            *(
                self._write_shard(shard, [changes[place] for place in places], generation)
                for shard, places in by_shard.items()
            )
        )
        outcomes: dict[int, WriteOutcome | None] = {}
        for places, reply in zip(by_shard.values(), replies, strict=True):
            outcomes.update(zip(places, reply, strict=True))
        return [outcomes[place] for place in range(len(changes))]

    async def _write_shard(
        self, shard: int, changes: Sequence[Item | Tombstone], generation: int
    ) -> list[WriteOutcome | None]:
        shared = [self._keys.meta(shard), *(self._keys.vectors(shard, target) for target in self._targets)]
        calls = [
            ([self._keys.item(shard, change.item_id), *shared], self._arguments(change, generation))
            for change in changes
        ]
        return [_OUTCOMES[reply] for reply in await self._connection.ask(_WRITE.commands(calls))]

    def _arguments(self, change: Item | Tombstone, generation: int) -> list[Argument]:
        version = (str(self._model), change.version.occurred_at_ms, change.version.offset)
        build = (self._settings.quantisation, self._settings.build_effort, change.item_id)
        if isinstance(change, Tombstone):
            return [*version, "", b"", *build, b"", generation, *[b""] * len(self._targets)]
        vectors = {
            **{str(name): vector for name, vector in change.vectors.items()},
            FUSED: fused_vector(change.vectors),
        }
        blobs = [np.asarray(vectors[name], "<f4").tobytes() if name in vectors else b"" for name in self._targets]
        packed = pack_vectors(change.vectors)
        segments = pack_segments(change.segments)
        return [*version, dump_attributes(change.attributes), packed, *build, segments, generation, *blobs]

    async def search(self, searches: Sequence[VectorSearch]) -> SearchReport:
        """Ask all shards at once, each all searches in one round trip; see ``VectorIndex.search``.

        A filter costs further round trips where it leaves a list short (see ``fusion.index.redis_shard``).
        """
        for search in searches:
            check_search(search, self._dims, self._modalities)
        deadline = min((search.deadline for search in searches if search.deadline is not None), default=None)
        answers = await self._ask_shards(
            {shard: self._search_shard(shard, searches, deadline) for shard in self._shards}
        )
        there = [answer for answer in answers.values() if not isinstance(answer, RetryLater)]
        merged = [
            merge_shards([answer.found[place] for answer in there], search.count)
            for place, search in enumerate(searches)
        ]
        unfilled = frozenset[int]().union(*(answer.unfilled for answer in there))
        return SearchReport(neighbours=merged, failed_shards=_failed(answers), unfilled=tuple(sorted(unfilled)))

    async def _search_shard(self, shard: int, searches: Sequence[VectorSearch], deadline: float | None) -> ShardAnswer:
        effort = self._settings.search_effort
        asked = [ShardSearch(self._keys.vectors(shard, search.target), search, effort) for search in searches]
        now = asyncio.get_running_loop().time()
        filling = None if deadline is None else now + _FILLING * (deadline - now)
        async with _in_time(deadline):
            return await self._searchers[shard].search(asked, filling)

    async def _ask_shards(self, asked: Mapping[int, Awaitable[_Read]]) -> dict[int, _Read | RetryLater]:
        """One answer a shard, or why it could not answer; raises when none could, or when asking was wrong."""
        answers = await asyncio.gather(*asked.values(), return_exceptions=True)
        kept: dict[int, _Read | RetryLater] = {}
        for shard, answer in zip(asked, answers, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, RetryLater):
                raise answer
            kept[shard] = answer
        if kept and all(isinstance(answer, RetryLater) for answer in kept.values()):
            raise next(answer for answer in kept.values() if isinstance(answer, RetryLater))
        return kept

    async def fetch(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """Read items with their full-precision vectors; see ``VectorIndex.fetch``."""
        return await self._fetch(item_ids, lambda reader: reader.read)

    async def fetch_whole(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """Read items with their segments; see ``VectorIndex.fetch_whole``."""
        return await self._fetch(item_ids, lambda reader: reader.read_whole)

    async def _fetch(
        self,
        item_ids: Sequence[ItemId],
        way: Callable[[ItemReader], Callable[[Sequence[ItemId]], Awaitable[Mapping[ItemId, _Read]]]],
    ) -> dict[ItemId, _Read]:
        wanted = list(dict.fromkeys(item_ids))
        by_shard = self._by_shard(wanted)
        parts = await asyncio.gather(
            *(way(self._readers[shard])([wanted[place] for place in places]) for shard, places in by_shard.items())
        )
        return {item_id: found for part in parts for item_id, found in part.items()}

    async def versions(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Version]:
        """The versions of the last writes, deletions included; see ``VectorIndex.versions``."""
        return await self._fetch(item_ids, lambda reader: reader.read_versions)

    async def read(self, item_ids: Sequence[ItemId], *, deadline: float | None = None) -> ReadReport:
        """Read items from the shards that answer; see ``VectorIndex.read``."""
        wanted = list(dict.fromkeys(item_ids))
        by_shard = self._by_shard(wanted)
        answers = await self._ask_shards(
            {
                shard: self._read_shard(shard, [wanted[place] for place in places], deadline)
                for shard, places in by_shard.items()
            }
        )
        there = [answer for answer in answers.values() if not isinstance(answer, RetryLater)]
        items = {item_id: item for part in there for item_id, item in part.items()}
        return ReadReport(items=items, failed_shards=_failed(answers))

    async def _read_shard(self, shard: int, item_ids: Sequence[ItemId], deadline: float | None) -> dict[ItemId, Item]:
        async with _in_time(deadline):
            return await self._readers[shard].read(item_ids)

    async def scan_ids(self, count: int) -> list[ItemId]:
        """Up to ``count`` item ids, drawn at random."""
        replies = await self._ask_each(lambda shard: [("VRANDMEMBER", self._keys.vectors(shard, FUSED), count)])
        return [ItemId(name.decode()) for (names,) in replies for name in names or ()][:count]

    async def sample_vectors(self, modality: Modality, count: int) -> VectorSample:
        """Vectors of random items, from each shard by its size; see ``VectorIndex.sample_vectors``."""
        replies = await self._ask_each(lambda shard: [("VCARD", self._keys.vectors(shard, modality))])
        sizes = [int(size) for (size,) in replies]
        wanted = [-(-count * size // max(sum(sizes), 1)) for size in sizes]  # rounded up: the surplus is cut below
        drawn = await self._ask_each(
            lambda shard: [("VRANDMEMBER", self._keys.vectors(shard, modality), wanted[shard])]
        )
        names = [ItemId(name.decode()) for (found,) in drawn for name in found or ()]
        having = [item for item in (await self.fetch(names)).values() if modality in item.vectors]
        chosen = np.random.default_rng().permutation(len(having))[:count]  # no shard is cut more than another
        return VectorSample.of([having[place] for place in chosen], modality, self._dims)

    async def counts(self) -> dict[Modality, int]:
        """How many items have each modality."""
        names = sorted(self._modalities)
        replies = await self._ask_each(lambda shard: [("VCARD", self._keys.vectors(shard, name)) for name in names])
        return {name: sum(sizes) for name, sizes in zip(names, zip(*replies, strict=True), strict=True)}

    async def _ask_each(self, commands: Callable[[int], Sequence[Command]]) -> list[list[Any]]:
        return await asyncio.gather(*(self._connection.ask(commands(s)) for s in self._shards))

    async def check(self) -> None:
        """See that Redis is there, fits, and holds vectors of this model and length; see ``VectorIndex.check``."""
        await self.check_by(self._generation)

    async def check_by(self, generation: int) -> None:
        """The same for a writer who read a record of layouts."""
        for shard in self._shards:
            await check_shard(self._connection, self._keys, shard, self._dims, generation)

    async def close(self) -> None:
        """Give back connections."""
        await self._connection.close()

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        return await self._connection.ask(commands)

    def _by_shard(self, item_ids: Iterable[ItemId]) -> dict[int, list[int]]:
        """Places of the ids that live in each shard, in their order."""
        places: dict[int, list[int]] = {}
        for place, item_id in enumerate(item_ids):
            places.setdefault(self._keys.shard_of(item_id), []).append(place)
        return places


@asynccontextmanager
async def _in_time(deadline: float | None) -> AsyncIterator[None]:
    """Give up at the deadline as when a shard is away.

    Raises:
        RetryLater: When it was not done by then.
    """
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError as exc:
        message = "Redis did not answer before the deadline"
        raise RetryLater(message) from exc


def _failed(answers: Mapping[int, object]) -> tuple[int, ...]:
    return tuple(shard for shard, answer in answers.items() if isinstance(answer, RetryLater))
