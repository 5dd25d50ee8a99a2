"""Reading a shard's items: in calls of bounded length, whole where they changed, in a word where they did not."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from config.vocabulary import ItemId, Version
from fusion.index.connection import Argument, Script
from fusion.index.filter_sample import Ask
from fusion.index.item_cache import Held, ItemCache
from fusion.index.layout import Keys, load_attributes, unpack_vectors
from fusion.index.protocol import Item
from fusion.index.segment_layout import unpack_segments

_READ: Final = Script(Path(__file__).with_name("read_items.lua"))
_READ_AT_ONCE: Final = 256
_READ_WHOLE_AT_ONCE: Final = 16  # an item's segments may be a hundred times its vectors
_STILL_SO: Final = 1


class ItemReader:
    """Reads items of one shard.

    Args:
        ask: Sends commands to the shard.
        keys: Names of the keys.
        shard: Which one.
        cache: What is held already; shared by all shards.
    """

    def __init__(self, ask: Ask, keys: Keys, shard: int, cache: ItemCache) -> None:
        self._ask = ask
        self._keys = keys
        self._shard = shard
        self._cache = cache
        self._epoch = b""

    async def read(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """Items with their full-precision vectors as stored now; unknown and deleted ids are absent.

        Raises:
            RetryLater: When the shard cannot be asked.
        """
        return await self._read(item_ids, _READ_AT_ONCE, whole=False)

    async def read_whole(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """The same with their segments, past the cache: it would hold little else.

        Raises:
            RetryLater: When the shard cannot be asked.
        """
        return await self._read(item_ids, _READ_WHOLE_AT_ONCE, whole=True)

    async def read_versions(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Version]:
        """The versions of the last writes, deletions included.

        Raises:
            RetryLater: When the shard cannot be asked.
        """
        field = f"version:{self._keys.model}"
        replies = await self._ask([("HGET", self._keys.item(self._shard, item_id), field) for item_id in item_ids])
        return {item_id: _version(reply) for item_id, reply in zip(item_ids, replies, strict=True) if reply is not None}

    async def _read(self, item_ids: Sequence[ItemId], step: int, *, whole: bool) -> dict[ItemId, Item]:
        if not item_ids:
            return {}
        epoch = self._epoch
        # Held on to here: another query may push an item out of the cache while the store is asked about it.
        held = {item_id: None if whole else self._cache.get(item_id, epoch) for item_id in item_ids}
        starts = range(0, len(item_ids), step)
        # In calls of bounded length: a script holds the server, and so does writing its reply.
        calls = [self._call(item_ids[start : start + step], held, epoch, whole=whole) for start in starts]
        read: dict[ItemId, Item] = {}
        for start, (life, *replies) in zip(starts, await self._ask(_READ.commands(calls)), strict=True):
            self._epoch = life
            for item_id, reply in zip(item_ids[start : start + step], replies, strict=True):
                item = _item(item_id, reply) if whole else self._cached(item_id, reply, held[item_id], life)
                if item is not None:
                    read[item_id] = item
        return read

    def _call(
        self, item_ids: Sequence[ItemId], held: Mapping[ItemId, Held | None], epoch: bytes, *, whole: bool
    ) -> tuple[list[str], list[Argument]]:
        keys = [self._keys.meta(self._shard), *(self._keys.item(self._shard, item_id) for item_id in item_ids)]
        versions = (each.version if each else b"" for each in (held[item_id] for item_id in item_ids))
        return keys, [str(self._keys.model), int(whole), epoch, *versions]

    def _cached(self, item_id: ItemId, reply: Any, held: Held | None, epoch: bytes) -> Item | None:
        if reply == _STILL_SO and held is not None:
            return held.item
        item = _item(item_id, reply)
        if item is None:
            self._cache.drop(item_id)
        elif epoch:
            version, attributes, vectors = reply
            self._cache.put(Held(item, version, epoch), len(vectors) + len(attributes))
        return item


def _item(item_id: ItemId, reply: Sequence[Any]) -> Item | None:
    version, attributes, vectors, *segments = reply
    if vectors is None:
        return None
    return Item(
        item_id=item_id,
        version=_version(version),
        vectors=unpack_vectors(vectors),
        attributes=load_attributes(attributes),
        segments=unpack_segments(segments[0] or b"") if segments else (),
    )


def _version(stored: bytes) -> Version:
    occurred_at_ms, offset = stored.decode().split(":")
    return Version(int(occurred_at_ms), int(offset))
