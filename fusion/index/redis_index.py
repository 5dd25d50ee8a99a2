"""The vector index in Redis vector sets: sharded, versioned, filtered; exact vectors beside the quantised ones."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from config.errors import CrosscurrentError, RetryLater
from config.settings import RedisSettings
from config.vocabulary import ItemId, Modality, ModelRef, Version
from fusion.index.checks import check_change, check_search
from fusion.index.connection import Argument, Command, RedisConnection, Script
from fusion.index.layout import (
    Keys,
    dump_attributes,
    fused_vector,
    load_attributes,
    pack_vectors,
    targets,
    unpack_vectors,
)
from fusion.index.protocol import (
    FUSED,
    Item,
    Neighbour,
    SearchReport,
    Tombstone,
    VectorSearch,
    WriteOutcome,
)
from fusion.index.redis_check import check_shard
from fusion.index.redis_search import ShardSearch, merge_shards, search_shard
from fusion.index.segment_layout import pack_segments, unpack_segments

_WRITE: Final = Script(Path(__file__).with_name("write_item.lua"))
_READ: Final = Script(Path(__file__).with_name("read_items.lua"))
_READ_AT_ONCE: Final = 256
_READ_WHOLE_AT_ONCE: Final = 16  # an item's segments may be a hundred times its vectors
_OUTCOMES: Final = (WriteOutcome.STALE, WriteOutcome.APPLIED)
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
    """

    def __init__(
        self, settings: RedisSettings, model: ModelRef, dims: int, modalities: Collection[Modality] = tuple(Modality)
    ) -> None:
        self._settings = settings
        self._model = model
        self._dims = dims
        self._modalities = frozenset(modalities)
        # All there are: an item written under a profile with more modalities must be removed whole under this one.
        self._targets = targets(Modality)
        self._keys = Keys(settings.prefix, settings.shards, model)
        self._connection = RedisConnection(settings)

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
        """
        for change in changes:
            check_change(change, self._dims, self._modalities)
        by_shard = self._by_shard(change.item_id for change in changes)
        replies = await asyncio.gather(
            *(self._write_shard(shard, [changes[place] for place in places]) for shard, places in by_shard.items())
        )
        outcomes: dict[int, WriteOutcome] = {}
        for places, reply in zip(by_shard.values(), replies, strict=True):
            outcomes.update(zip(places, reply, strict=True))
        return [outcomes[place] for place in range(len(changes))]

    async def _write_shard(self, shard: int, changes: Sequence[Item | Tombstone]) -> list[WriteOutcome]:
        vector_sets = [self._keys.vectors(shard, target) for target in self._targets]
        calls = [
            ([self._keys.item(shard, change.item_id), *vector_sets], self._arguments(change)) for change in changes
        ]
        return [_OUTCOMES[reply] for reply in await self._connection.ask(_WRITE.commands(calls))]

    def _arguments(self, change: Item | Tombstone) -> list[Argument]:
        version = (str(self._model), change.version.occurred_at_ms, change.version.offset)
        build = (self._settings.quantisation, self._settings.build_effort, change.item_id)
        if isinstance(change, Tombstone):
            return [*version, "", b"", *build, b"", *[b""] * len(self._targets)]
        vectors = {
            **{str(name): vector for name, vector in change.vectors.items()},
            FUSED: fused_vector(change.vectors),
        }
        blobs = [np.asarray(vectors[name], "<f4").tobytes() if name in vectors else b"" for name in self._targets]
        packed = pack_vectors(change.vectors)
        return [*version, dump_attributes(change.attributes), packed, *build, pack_segments(change.segments), *blobs]

    async def search(self, searches: Sequence[VectorSearch]) -> SearchReport:
        """Ask all shards at once, each all searches in one round trip; see ``VectorIndex.search``.

        A filter that leaves a list short costs up to two more rounds on that shard.
        """
        for search in searches:
            check_search(search, self._dims, self._modalities)
        answers = await self._ask_shards(lambda shard: self._search_shard(shard, searches))
        failed = tuple(shard for shard, answer in enumerate(answers) if isinstance(answer, RetryLater))
        lists = [answer for answer in answers if not isinstance(answer, RetryLater)]
        merged = [
            merge_shards([found[place] for found in lists], search.count) for place, search in enumerate(searches)
        ]
        return SearchReport(neighbours=merged, failed_shards=failed)

    async def _search_shard(self, shard: int, searches: Sequence[VectorSearch]) -> list[list[Neighbour]]:
        effort = self._settings.search_effort
        asked = [ShardSearch(self._keys.vectors(shard, search.target), search, effort) for search in searches]
        return await search_shard(self._connection, asked)

    async def _ask_shards(self, ask: Callable[[int], Awaitable[_Read]]) -> list[_Read | RetryLater]:
        """One answer a shard, or why it could not answer; raises when none could, or when asking was wrong."""
        shards = range(self._settings.shards)
        answers = await asyncio.gather(*(ask(shard) for shard in shards), return_exceptions=True)
        kept: list[_Read | RetryLater] = []
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, RetryLater):
                raise answer
            kept.append(answer)
        if all(isinstance(answer, CrosscurrentError) for answer in kept):
            raise next(answer for answer in kept if isinstance(answer, RetryLater))
        return kept

    async def fetch(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """Read items with their full-precision vectors; see ``VectorIndex.fetch``."""
        return await self._fetch(item_ids, whole=False)

    async def fetch_whole(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """Read items with their segments; see ``VectorIndex.fetch_whole``."""
        return await self._fetch(item_ids, whole=True)

    async def _fetch(self, item_ids: Sequence[ItemId], *, whole: bool) -> dict[ItemId, Item]:
        wanted = list(dict.fromkeys(item_ids))
        by_shard = self._by_shard(wanted)
        parts = await asyncio.gather(
            *(
                self._fetch_shard(shard, [wanted[place] for place in places], whole=whole)
                for shard, places in by_shard.items()
            )
        )
        return {item.item_id: item for part in parts for item in part}

    async def _fetch_shard(self, shard: int, item_ids: Sequence[ItemId], *, whole: bool) -> list[Item]:
        keys = [self._keys.item(shard, item_id) for item_id in item_ids]
        # In calls of bounded length: a script holds the server, and so does writing its reply.
        step = _READ_WHOLE_AT_ONCE if whole else _READ_AT_ONCE
        arguments: list[Argument] = [str(self._model), int(whole)]
        calls = [(keys[start : start + step], arguments) for start in range(0, len(keys), step)]
        replies = [reply for part in await self._connection.ask(_READ.commands(calls)) for reply in part]
        return [_item(item_id, reply) for item_id, reply in zip(item_ids, replies, strict=True) if reply[2] is not None]

    async def scan_ids(self, count: int) -> list[ItemId]:
        """Up to ``count`` item ids, drawn at random."""
        replies = await self._ask_each(lambda shard: [("VRANDMEMBER", self._keys.vectors(shard, FUSED), count)])
        return [ItemId(name.decode()) for (names,) in replies for name in names or ()][:count]

    async def sample_vectors(self, modality: Modality, count: int) -> NDArray[np.float32]:
        """Vectors of random items, from each shard by its size; see ``VectorIndex.sample_vectors``."""
        replies = await self._ask_each(lambda shard: [("VCARD", self._keys.vectors(shard, modality))])
        sizes = [int(size) for (size,) in replies]
        wanted = [-(-count * size // max(sum(sizes), 1)) for size in sizes]  # rounded up: the surplus is cut below
        drawn = await self._ask_each(
            lambda shard: [("VRANDMEMBER", self._keys.vectors(shard, modality), wanted[shard])]
        )
        names = [ItemId(name.decode()) for (found,) in drawn for name in found or ()]
        items = await self.fetch(names)
        vectors = [item.vectors[modality] for item in items.values() if modality in item.vectors]
        chosen = np.random.default_rng().permutation(len(vectors))[:count]  # no shard is cut more than another
        return np.array([vectors[place] for place in chosen], np.float32).reshape(len(chosen), self._dims)

    async def counts(self) -> dict[Modality, int]:
        """How many items have each modality."""
        names = sorted(self._modalities)
        replies = await self._ask_each(lambda shard: [("VCARD", self._keys.vectors(shard, name)) for name in names])
        return {name: sum(sizes) for name, sizes in zip(names, zip(*replies, strict=True), strict=True)}

    async def _ask_each(self, commands: Callable[[int], Sequence[Command]]) -> list[list[Any]]:
        return await asyncio.gather(*(self._connection.ask(commands(s)) for s in range(self._settings.shards)))

    async def check(self) -> None:
        """See that Redis is there, fits, and holds vectors of this model and length; see ``VectorIndex.check``."""
        for shard in range(self._settings.shards):
            await check_shard(self._connection, self._keys, shard, self._dims)

    async def close(self) -> None:
        """Give back connections."""
        await self._connection.close()

    def _by_shard(self, item_ids: Iterable[ItemId]) -> dict[int, list[int]]:
        """Places of the ids that live in each shard, in their order."""
        places: dict[int, list[int]] = {}
        for place, item_id in enumerate(item_ids):
            places.setdefault(self._keys.shard_of(item_id), []).append(place)
        return places


def _item(item_id: ItemId, reply: Sequence[bytes]) -> Item:
    version, attributes, vectors, *rest = reply
    occurred_at_ms, offset = version.decode().split(":")
    return Item(
        item_id=item_id,
        version=Version(int(occurred_at_ms), int(offset)),
        vectors=unpack_vectors(vectors),
        attributes=load_attributes(attributes),
        segments=unpack_segments(rest[0] or b"") if rest else (),
    )
