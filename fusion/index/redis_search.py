"""Vector set searches as commands and replies: what one shard is asked, what it answers, how shards are merged."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice

import numpy as np

from config.vocabulary import ItemId
from fusion.index.connection import Command
from fusion.index.filter_plan import Plan, Way
from fusion.index.filters import parse_filter
from fusion.index.protocol import Neighbour, VectorSearch


@dataclass(frozen=True, slots=True)
class ShardSearch:
    """A search as one shard is asked it."""

    key: str
    search: VectorSearch
    effort: int

    @property
    def filter(self) -> str:
        """Its filter as written; empty for none."""
        return self.search.filter.strip()

    @property
    def keeps(self) -> int:
        """Items kept while searching (EF); the server takes one below COUNT as COUNT."""
        return max(self.search.effort or self.effort, self.search.count)

    def command(self, plan: Plan | None = None) -> Command:
        """The VSIM command, filtered as the plan says."""
        vector = np.asarray(self.search.vector, "<f4").tobytes()
        base: Command = ("VSIM", self.key, "FP32", vector, "WITHSCORES", "COUNT", self.search.count)
        if plan is None:
            return (*base, "EF", self.keeps)
        chosen = (*base, "FILTER", parse_filter(self.filter).canonical)
        if plan.way is Way.GRAPH:
            return (*chosen, "EF", self.keeps, "FILTER-EF", plan.steps)
        return (*chosen, "EF", self.search.count, "TRUTH")


def listing(key: str, vector: np.ndarray, source: str, count: int) -> Command:
    """Names of up to ``count`` items that a filter selects; all of them when fewer come back."""
    blob = np.asarray(vector, "<f4").tobytes()
    chosen = parse_filter(source).canonical
    return ("VSIM", key, "FP32", blob, "COUNT", count, "EF", count, "FILTER", chosen, "TRUTH")


def neighbours_of(reply: Sequence[bytes]) -> list[Neighbour]:
    """Read ``[element, score, …]``; a score is (1 + cosine) / 2. Order: best first, ties by item id."""
    pairs = zip(reply[::2], reply[1::2], strict=True)
    found = [Neighbour(item_id=ItemId(name.decode()), cosine=2.0 * float(score) - 1.0) for name, score in pairs]
    return sorted(found, key=_order)


def _order(neighbour: Neighbour) -> tuple[float, str]:
    return -neighbour.cosine, neighbour.item_id


def merge_shards(lists: Sequence[Sequence[Neighbour]], count: int) -> list[Neighbour]:
    """The best of all shards' sorted lists; an item lives in one shard, so nothing is met twice."""
    return list(islice(merge(*lists, key=_order), count))
