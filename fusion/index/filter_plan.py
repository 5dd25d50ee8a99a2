"""How a filtered search is best run: along the graph, or by looking at every item. Pure; both ways find the same.

A graph search walks from near to nearer and counts only what the filter selects: the rarer that is, the farther it
walks, each step to another place in memory. A scan looks at all items in the order they lie, at a fiftieth of a step.
Measured on 50,000 items of 256 dimensions (Q8): the graph takes 11 ms where every second item is selected, 28 ms for
one in 10, 45 ms for one in 30, 55 ms and more for rarer ones; a scan takes 38, 30, 20 and 14 ms. And what one scan has
listed whole needs no second one for another modality.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LISTED: Final = 2000
"""Most selected items that are listed by one scan, read and compared here; of more, each vector set is asked."""

VISIT_US: Final = 15.0
"""A step of a graph search where items cluster; in a shapeless cloud it is five times as much."""

LOOK_US: Final = 0.3
"""Reading one item's attributes in a scan and holding them against the filter."""

COMPARE_US: Final = 1.0
"""Comparing one selected item in a scan."""

READ_US: Final = 30.0
"""Reading one listed item's vectors, comparing and scoring them here."""

AMPLE: Final = 4
"""Steps allowed for each step expected: what is selected may lie away from the query."""


class Way(StrEnum):
    """How a filtered search is run."""

    GRAPH = "graph"
    SCAN = "scan"
    """Every item of each vector set is looked at."""
    LISTING = "listing"
    """Every item is looked at once; what is selected is read and compared here."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A way, and for the graph how many steps it may take (FILTER-EF)."""

    way: Way
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Selected:
    """What a sample says of a filter.

    Args:
        size: Items of the shard.
        sampled: Items looked at.
        matching: Of these, how many the filter selects.
    """

    size: int
    sampled: int
    matching: int

    @property
    def share(self) -> float:
        """The share selected, never 0: one that no sample met may still be there."""
        return (self.matching + 0.5) / (self.sampled + 1)

    @property
    def few(self) -> bool:
        """Whether one listing is likely to hold all of them: three quarters of its bound, as a sample errs."""
        return 4 * self.matching * self.size <= 3 * LISTED * max(self.sampled, 1)


def plan_filtered(selected: Selected, searches: int, effort: int) -> Plan:
    """The way that is likely to cost least.

    Args:
        selected: What a sample says of the filter.
        searches: How many searches have this filter.
        effort: Items that each keeps (EF).
    """
    matches = selected.share * selected.size
    steps = max(effort, min(int(effort / selected.share), selected.size))
    costs = {
        Way.GRAPH: searches * steps * VISIT_US,
        Way.SCAN: searches * scan_us(selected),
        Way.LISTING: scan_us(selected) + matches * READ_US if selected.few else float("inf"),
    }
    return Plan(min(costs, key=lambda way: costs[way]), AMPLE * steps)


def scan_us(selected: Selected) -> float:
    """Microseconds that looking at every item takes, roughly."""
    return selected.size * (LOOK_US + selected.share * COMPARE_US)


def wider(plan: Plan, selected: Selected) -> Plan | None:
    """The graph again with ten times the steps, where that still costs less than looking at every item."""
    steps = 10 * plan.steps
    return Plan(Way.GRAPH, steps) if steps * VISIT_US < scan_us(selected) else None
