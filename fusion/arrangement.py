"""What a list is made by, beside the scores: variety, coverage of categories, groups, near-duplicates."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from config.errors import Reason, RejectEvent
from config.vocabulary import Attributes, RankingMethod, Scalar

Value = Scalar | tuple[str, ...]
"""An attribute's value as something to compare; a list counts as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Categories that a list should cover.

    Args:
        attribute: Where an item's category stands; each member of a list is a category of its own.
        weight: Share in [0, 1] of a place's worth that coverage decides; with that of diversity at most 1.
    """

    attribute: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupBy:
    """At most ``most`` hits with the same value of an attribute; items without it are not grouped."""

    attribute: str
    most: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Collapse:
    """Of near-duplicates the first is shown and stands for the others.

    Args:
        similarity: From here on, in [0, 1], two items' means are near-duplicates: (1 + cosine) / 2.
        attribute: Both must also have the same value of this; any two items when None.
    """

    similarity: float
    attribute: str | None = None


def check_arrangement(
    method: RankingMethod,
    diversity: float,
    coverage: Coverage | None,
    group_by: GroupBy | None,
    collapse: Collapse | None,
) -> None:
    """See that a list can be made so.

    Raises:
        RejectEvent: ``INVALID_EVENT`` with the path of the field in the query event and what it may be.
    """
    if coverage is not None:
        _check_coverage(method, diversity, coverage)
    if group_by is not None and group_by.most < 1:
        _refuse("group_by.most", f"must be at least 1, not {group_by.most}")
    if collapse is not None and not 0 < collapse.similarity <= 1:
        _refuse("collapse.similarity", f"must be above 0 and at most 1, not {collapse.similarity}")


def _check_coverage(method: RankingMethod, diversity: float, coverage: Coverage) -> None:
    if not (math.isfinite(coverage.weight) and 0 <= coverage.weight <= 1):
        _refuse("ranking.coverage.weight", f"must be from 0 to 1, not {coverage.weight}")
    if method is RankingMethod.TOP_K:
        _refuse("ranking.coverage", "top_k ranks by score alone: set ranking.method to mmr or beam")
    if diversity + coverage.weight > 1:
        message = f"with a diversity of {diversity} must be at most {1 - diversity:.6g}, not {coverage.weight}"
        _refuse("ranking.coverage.weight", message)


def value_of(attributes: Attributes, name: str) -> Value | None:
    """An item's value of an attribute; None when it has none."""
    value = attributes.get(name)
    return tuple(value) if isinstance(value, list) else value


def codes_of(attributes: Sequence[Attributes], name: str) -> list[int]:
    """A number for each item's value of an attribute, the same for equal values; -1 where there is none."""
    known: dict[Value, int] = {}
    values = [value_of(each, name) for each in attributes]
    return [-1 if value is None else known.setdefault(value, len(known)) for value in values]


def categories_of(attributes: Attributes, name: str) -> tuple[Value, ...]:
    """The categories an item is in: the members of a list, else the one value, if any."""
    value = value_of(attributes, name)
    if value is None:
        return ()
    return tuple(dict.fromkeys(value)) if isinstance(value, tuple) else (value,)


def _refuse(path: str, message: str) -> NoReturn:
    raise RejectEvent(Reason.INVALID_EVENT, message, field=path)
