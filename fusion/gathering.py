"""Asking the index for candidates: all shards at once, within the time there is, and saying what was missing."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final

from config.vocabulary import Background, ItemId, Modality
from fusion.candidates import (
    Candidates,
    assemble,
    first_stretches,
    found_ids,
    holds_everything,
    named_ids,
    plan_searches,
)
from fusion.index.filters import parse_filter
from fusion.index.protocol import Item, VectorIndex
from fusion.ranking import Places
from fusion.request import RankingRequest

SEARCHING: Final = 0.6
"""Share of the time left that searching may take: a shard that is silent for longer is left out of the answer."""

READING: Final = 0.8
"""Share of what is then left that reading may take; the rest is for scoring and sending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What was found.

    Args:
        candidates: In the order of their ids.
        first: The stretch of the list from which on each may be chosen; shape (candidates,).
        stretches: How many stretches the searches reach for.
        everything: Whether deeper searches would find nothing new.
        failed_shards: Shards that did not answer.
        unfilled: Whether there was no time to look at all that a filter may select.
        took_s: Seconds it took.
    """

    candidates: Candidates
    first: Places
    stretches: int
    everything: bool
    failed_shards: tuple[int, ...]
    unfilled: bool
    took_s: float


async def gather(
    request: RankingRequest,
    index: VectorIndex,
    modalities: Sequence[Modality],
    backgrounds: Mapping[tuple[Modality, Modality], Background],
    stretches: int,
) -> Gathered:
    """Find the candidates of so many stretches: one round trip a shard to search, one to read.

    Raises:
        RejectEvent: When the filter does not parse.
        RetryLater: When no shard answers.
    """
    started = perf_counter()
    asked = request.reaching(stretches)
    asked = replace(asked, deadline=_share_of_time(request, SEARCHING))
    searches = plan_searches(asked, modalities, backgrounds)
    report = await index.search(searches)
    wanted = [*found_ids(report, request), *named_ids(request)]
    read = await index.read(wanted, deadline=_share_of_time(request, READING))
    candidates = assemble(_selected(read.items, request), modalities, index.dims)
    return Gathered(
        candidates=candidates,
        first=first_stretches(report, searches, stretches, candidates),
        stretches=stretches,
        everything=holds_everything(report, searches),
        failed_shards=tuple(sorted({*report.failed_shards, *read.failed_shards})),
        unfilled=bool(report.unfilled),
        took_s=perf_counter() - started,
    )


def _share_of_time(request: RankingRequest, share: float) -> float | None:
    """A point in the time left, on the event loop's clock; None where there is no end to it."""
    if request.deadline is None:
        return None
    now = asyncio.get_running_loop().time()
    return now + share * (request.deadline - now)


def _selected(items: Mapping[ItemId, Item], request: RankingRequest) -> dict[ItemId, Item]:
    """Items that still pass the filter: one may have changed since it was found, and boosts never met it."""
    if not request.filter.strip():
        return dict(items)
    wanted = parse_filter(request.filter)
    return {item_id: item for item_id, item in items.items() if wanted.matches(item.attributes)}
