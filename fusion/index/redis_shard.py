"""Searches of one shard: one round trip, and more only where a filter leaves a list short."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from config.vocabulary import ItemId
from fusion.index.connection import Command
from fusion.index.exact_lists import exact_list
from fusion.index.filter_plan import LISTED, Plan, Selected, Way, plan_filtered, wider
from fusion.index.filter_sample import Ask, FilterSample
from fusion.index.filters import parse_filter
from fusion.index.protocol import Item, Neighbour
from fusion.index.redis_search import ShardSearch, listing, neighbours_of

Read = Callable[[Sequence[ItemId]], Awaitable[Mapping[ItemId, Item]]]


class ShardAnswer(NamedTuple):
    """A list a search, and the places of those that may be short because time ran out."""

    found: list[list[Neighbour]]
    unfilled: frozenset[int] = frozenset()


@dataclass(slots=True)
class _Round:
    """What is known so far of some searches."""

    searches: Sequence[ShardSearch]
    found: list[list[Neighbour]] = field(default_factory=list)
    short: set[int] = field(default_factory=set)

    def alike(self, source: str) -> list[int]:
        """Places of the searches with this filter."""
        return [place for place, search in enumerate(self.searches) if search.filter == source]


class ShardSearcher:
    """Asks one shard.

    A filter may select items that a graph search passes by, so a short list is believed from a scan alone: a filtered
    search that comes back short is tried with more steps where that is cheap, and then every item is looked at.

    Args:
        ask: Sends commands to the shard.
        read: Reads items of the shard with their vectors.
        everything: The vector set that holds every item.
    """

    def __init__(self, ask: Ask, read: Read, everything: str) -> None:
        self._ask = ask
        self._read = read
        self._everything = everything
        self._sample = FilterSample(ask, everything)

    async def search(self, searches: Sequence[ShardSearch], deadline: float | None = None) -> ShardAnswer:
        """Answer all searches.

        Args:
            searches: One list each.
            deadline: When filling short lists ends, on the event loop's clock.

        Raises:
            RetryLater: When the shard cannot be asked.
        """
        state = _Round(searches)
        selected = {source: await self._sample.selected(source) for source in {s.filter for s in searches} - {""}}
        plans = {source: self._plan(state, source, each) for source, each in selected.items()}
        await self._first(state, plans)
        try:
            async with asyncio.timeout_at(deadline):
                for source, plan in plans.items():
                    await self._fill(state, source, plan, selected[source])
        except TimeoutError:
            return ShardAnswer(state.found, frozenset(state.short))
        return ShardAnswer(state.found)

    def _plan(self, state: _Round, source: str, selected: Selected) -> Plan:
        alike = state.alike(source)
        return plan_filtered(selected, len(alike), max(state.searches[place].keeps for place in alike))

    async def _first(self, state: _Round, plans: Mapping[str, Plan]) -> None:
        """Everything in one round trip, but for what is listed: that is looked for afterwards, once a filter."""
        searches = state.searches
        state.found = [[] for _ in searches]
        listed = {source for source, plan in plans.items() if plan.way is Way.LISTING}
        state.short = {place for place, search in enumerate(searches) if search.filter in listed}
        asked = [place for place in range(len(searches)) if place not in state.short]
        commands: list[Command] = [searches[place].command(plans.get(searches[place].filter)) for place in asked]
        sizes: list[Command] = [("VCARD", searches[place].key) for place in asked if searches[place].filter]
        replies = await self._ask([*commands, *sizes])
        for place, reply in zip(asked, replies, strict=False):
            state.found[place] = neighbours_of(reply)
        self._mark(state, plans, [place for place in asked if searches[place].filter], replies[len(commands) :])

    @staticmethod
    def _mark(state: _Round, plans: Mapping[str, Plan], places: Sequence[int], sizes: Sequence[int]) -> None:
        """Note which lists of graph searches are short; a scan's list is as long as it can be."""
        for place, size in zip(places, sizes, strict=True):
            search = state.searches[place]
            from_graph = plans[search.filter].way is Way.GRAPH
            if from_graph and len(state.found[place]) < min(search.search.count, int(size)):
                state.short.add(place)

    async def _fill(self, state: _Round, source: str, plan: Plan, selected: Selected) -> None:
        short = [place for place in state.alike(source) if place in state.short]
        if not short:
            return
        if plan.way is Way.GRAPH and (more := wider(plan, selected)) is not None:
            short = await self._again(state, short, more)
        if short and not await self._list(state, source):
            await self._again(state, short, Plan(Way.SCAN))

    async def _again(self, state: _Round, places: Sequence[int], plan: Plan) -> list[int]:
        """Ask searches anew; gives those that are still short."""
        replies = await self._ask([state.searches[place].command(plan) for place in places])
        for place, reply in zip(places, replies, strict=True):
            state.found[place] = neighbours_of(reply)
        done = {
            place
            for place in places
            if plan.way is Way.SCAN or len(state.found[place]) >= state.searches[place].search.count
        }
        state.short -= done
        return [place for place in places if place not in done]

    async def _list(self, state: _Round, source: str) -> bool:
        """Read all that a filter selects and rank it here; False, and nothing done, when it is too much for that."""
        places = state.alike(source)
        vector = state.searches[places[0]].search.vector
        (names,) = await self._ask([listing(self._everything, vector, source, LISTED)])
        if len(names) >= LISTED:
            return False
        items = await self._read([ItemId(name.decode()) for name in names])
        wanted = parse_filter(source)
        kept = [items[item_id] for item_id in sorted(items) if wanted.matches(items[item_id].attributes)]
        for place in places:
            state.found[place] = exact_list(kept, state.searches[place].search)
        state.short -= set(places)
        return True
