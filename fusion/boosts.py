"""What else speaks for an item: its age, its popularity, its numbers. Each value is in [0, 1] and takes a share.

With shares s and values b, a score t becomes (1 - Σ s) · t + Σ s · b: whatever is boosted, scores stay in [0, 1] and a
boost of share s moves none by more than s. Decays halve every half-life or ``scale``, as in the decay functions of
search engines; ``log`` grows ever more slowly and never ends, for counts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple, NoReturn

import numpy as np

from config.errors import Reason, RejectEvent
from config.vocabulary import Attributes, BoostKind, BoostShape, ItemId, MissingRule
from fusion.similarity import Matrix

_SHARES: Final = 1.0 + 1e-9  # ten shares of 0.1 are one, whatever their sum in binary is


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What boosts look at, one entry an item.

    Args:
        occurred_ms: Event time of each item's newest version.
        asked_at_ms: When the question was asked.
    """

    ids: Sequence[ItemId]
    attributes: Sequence[Attributes]
    occurred_ms: Sequence[int]
    asked_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recency:
    """2^(-age / half-life); what lies ahead is as good as new.

    Args:
        attribute: Where an item's time stands, in seconds since 1970 or as RFC 3339 (UTC where it names no zone); the
            time of its content event when None.
    """

    share: float
    half_life_s: float
    attribute: str | None = None

    @property
    def name(self) -> str:
        """What explanations call it."""
        return BoostKind.RECENCY if self.attribute is None else f"{BoostKind.RECENCY}:{self.attribute}"

    def values(self, facts: Facts) -> Matrix:
        """In [0, 1]; NaN where an item has no such time."""
        if self.attribute is None:
            seconds = np.array(facts.occurred_ms, np.float64) / 1000.0
        else:
            seconds = np.array([_seconds(each.get(self.attribute)) for each in facts.attributes], np.float64)
        age_s = np.maximum(facts.asked_at_ms / 1000.0 - seconds, 0.0)
        return np.asarray(np.exp2(-age_s / self.half_life_s), np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Popularity:
    """log(1 + weight) / log(1 + greatest weight) of an item's decayed trend weight; 0 for what does not trend.

    Args:
        weights: Trend weights of the items that trend most.
    """

    share: float
    weights: Mapping[ItemId, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What explanations call it."""
        return BoostKind.POPULARITY

    def values(self, facts: Facts) -> Matrix:
        """In [0, 1], never NaN: that nobody acts on an item is known, not missing."""
        most = math.log1p(max(self.weights.values(), default=0.0))
        logs = np.log1p(np.array([max(self.weights.get(item_id, 0.0), 0.0) for item_id in facts.ids], np.float64))
        return np.asarray(logs / most if most > 0 else np.zeros_like(logs), np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numeric:
    """A number that is good near ``origin`` (``linear``, ``gauss``), or the better the larger (``log``).

    With d = (number - origin) / scale: ``linear`` is max(0, 1 - |d| / 2), ``gauss`` 2^(-d²), and ``log``
    u / (1 + u) with u = log₂(1 + max(0, d)). Each is 0.5 one scale from the origin.
    """

    share: float
    attribute: str
    shape: BoostShape
    origin: float
    scale: float

    @property
    def name(self) -> str:
        """What explanations call it."""
        return f"{BoostKind.NUMBER}:{self.attribute}"

    def values(self, facts: Facts) -> Matrix:
        """In [0, 1]; NaN where an item has no such number."""
        numbers = np.array([_number(each.get(self.attribute)) for each in facts.attributes], np.float64)
        distance = (numbers - self.origin) / self.scale
        if self.shape is BoostShape.LINEAR:
            return np.asarray(np.maximum(1.0 - np.abs(distance) / 2.0, 0.0), np.float64)
        if self.shape is BoostShape.GAUSS:
            return np.asarray(np.exp2(-(distance**2)), np.float64)
        grown = np.log2(1.0 + np.maximum(distance, 0.0))
        return np.asarray(grown / (1.0 + grown), np.float64)


Boost = Recency | Popularity | Numeric


class Boosted(NamedTuple):
    """What one boost said of one item: its value, and the share of the score that it decided."""

    value: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Boosts:
    """What all boosts said of all items.

    Args:
        names: One a boost.
        values: Shape (boosts, items), in [0, 1]; NaN where an item does not have what a boost looks at.
        shares: The same shape: what each decided of an item's score.
    """

    names: Sequence[str]
    values: Matrix
    shares: Matrix

    def of(self, place: int) -> dict[str, Boosted]:
        """What they said of one item."""
        return {
            name: Boosted(float(value), float(share))
            for name, value, share in zip(self.names, self.values[:, place], self.shares[:, place], strict=True)
            if not math.isnan(value)
        }


def boosts_of(boosts: Sequence[Boost], facts: Facts, missing: MissingRule) -> Boosts | None:
    """Ask every boost about every item; None without any.

    What an item lacks is left out under ``renormalise``, and the rest of its score decides more; under ``penalise`` it
    counts as 0.
    """
    if not boosts:
        return None
    values = np.stack([boost.values(facts) for boost in boosts])
    shares = np.broadcast_to(np.array([[boost.share] for boost in boosts]), values.shape)
    if missing is MissingRule.PENALISE:
        values = np.nan_to_num(values, nan=0.0)
    counted = np.where(np.isnan(values), 0.0, shares)
    total = 1.0 - shares.sum(axis=0).clip(max=1.0) + counted.sum(axis=0)
    return Boosts(
        names=[boost.name for boost in boosts],
        values=values,
        shares=np.divide(counted, total, out=np.zeros_like(counted), where=total > 0),
    )


def with_boosts(total: Matrix, boosts: Boosts | None) -> Matrix:
    """Scores with what the boosts decide of them, shape (items,)."""
    if boosts is None:
        return total
    rest = 1.0 - boosts.shares.sum(axis=0).clip(max=1.0)
    return np.asarray(rest * total + (boosts.shares * np.nan_to_num(boosts.values)).sum(axis=0), np.float64)


def check_boosts(boosts: Sequence[Boost]) -> None:
    """See that boosts can be blended.

    Raises:
        RejectEvent: ``INVALID_EVENT`` with the path of the field in the query event and what it may be.
    """
    for place, boost in enumerate(boosts):
        if not 0 < boost.share <= 1:
            _refuse(f"boosts.{place}.share", f"must be above 0 and at most 1, not {boost.share}")
        length = {Recency: "half_life_s", Numeric: "scale"}.get(type(boost))
        if length is not None and not (math.isfinite(value := getattr(boost, length)) and value > 0):
            _refuse(f"boosts.{place}.{length}", f"must be above 0, not {value}")
        if isinstance(boost, Numeric) and not math.isfinite(boost.origin):
            _refuse(f"boosts.{place}.origin", f"must be a number, not {boost.origin}")
    names = [boost.name for boost in boosts]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        _refuse("boosts", f"has {', '.join(twice)} twice: give one of them the whole share")
    if (total := sum(boost.share for boost in boosts)) > _SHARES:
        _refuse("boosts", f"has shares of {total:.6g} together, and a score has 1: lower them")


def _refuse(path: str, message: str) -> NoReturn:
    raise RejectEvent(Reason.INVALID_EVENT, message, field=path)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _seconds(value: object) -> float:
    if not isinstance(value, str):
        return _number(value)
    try:
        read = datetime.fromisoformat(value)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return float("nan")
