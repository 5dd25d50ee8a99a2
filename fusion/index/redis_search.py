"""Vector set searches as commands and replies: one shard's answer, filters that fill the page, merging shards."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any

import numpy as np

from config.vocabulary import ItemId
from fusion.index.connection import Command, RedisConnection
from fusion.index.filters import parse_filter
from fusion.index.protocol import Neighbour, VectorSearch

EXACT_SCAN_ITEMS = 50_000
"""A vector set up to this size is scanned whole at once when a filter leaves a page unfilled: some 30 ms at 256
dimensions, about what a wide graph search with a filter costs. In larger ones a wider search is tried first."""

_WIDER = 1000  # FILTER-EF in units of COUNT; the server's default is 100


@dataclass(frozen=True, slots=True)
class ShardSearch:
    """A search as one shard is asked it."""

    key: str
    search: VectorSearch
    effort: int

    def command(self, *extra: str | int) -> Command:
        """The VSIM command; the server takes an EF below COUNT as COUNT."""
        search = self.search
        vector = np.asarray(search.vector, "<f4").tobytes()
        effort = max(search.effort or self.effort, search.count)
        command: Command = ("VSIM", self.key, "FP32", vector, "WITHSCORES", "COUNT", search.count, "EF", effort)
        chosen = ("FILTER", parse_filter(search.filter).canonical) if self.filtered else ()
        return (*command, *chosen, *extra)

    @property
    def filtered(self) -> bool:
        """Whether it has a filter."""
        return bool(self.search.filter.strip())


async def search_shard(connection: RedisConnection, searches: Sequence[ShardSearch]) -> list[list[Neighbour]]:
    """Ask one shard everything in one round trip; filtered searches that come back short are asked again, harder.

    A filter may select items that a graph search passes by, so a short list is only believed from an exact scan.
    """
    replies = await connection.ask([command for search in searches for command in _first_round(search)])
    sizes = [int(size) for size in replies[1::2]]
    found = [_neighbours(reply) for reply in replies[::2]]
    short = [
        place
        for place, search in enumerate(searches)
        if search.filtered and _is_short(search, found[place], sizes[place])
    ]
    large = [place for place in short if sizes[place] > EXACT_SCAN_ITEMS]
    await _again(connection, searches, found, large, lambda count: ("FILTER-EF", count * _WIDER))
    short = [place for place in short if _is_short(searches[place], found[place], sizes[place])]
    await _again(connection, searches, found, short, lambda _: ("TRUTH",))
    return found


def _first_round(search: ShardSearch) -> tuple[Command, Command]:
    return search.command(), ("VCARD", search.key)


def _is_short(search: ShardSearch, found: Sequence[Neighbour], size: int) -> bool:
    return len(found) < min(search.search.count, size)


async def _again(
    connection: RedisConnection,
    searches: Sequence[ShardSearch],
    found: list[list[Neighbour]],
    places: Sequence[int],
    harder: Any,
) -> None:
    replies = await connection.ask([searches[place].command(*harder(searches[place].search.count)) for place in places])
    for place, reply in zip(places, replies, strict=True):
        found[place] = _neighbours(reply)


def _neighbours(reply: Sequence[bytes]) -> list[Neighbour]:
    """Read ``[element, score, …]``; a score is (1 + cosine) / 2. Order: best first, ties by item id."""
    pairs = zip(reply[::2], reply[1::2], strict=True)
    found = [Neighbour(item_id=ItemId(name.decode()), cosine=2.0 * float(score) - 1.0) for name, score in pairs]
    return sorted(found, key=_order)


def _order(neighbour: Neighbour) -> tuple[float, str]:
    return -neighbour.cosine, neighbour.item_id


def merge_shards(lists: Sequence[Sequence[Neighbour]], count: int) -> list[Neighbour]:
    """The best of all shards' sorted lists; an item lives in one shard, so nothing is met twice."""
    return list(islice(merge(*lists, key=_order), count))
