"""The contract of a people store, kept by Redis and by memory alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Action, ItemId, QueryId, UserId
from fusion.people.served import ServedStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One action of a user on an item, with the item's fused vector when it is known.

    Args:
        event_id: Identity of the event: counted once, however often it is delivered.
        weight: What the action is worth (settings, and the rating's value); 0 touches history only.
        vector: float32 unit vector of shape (dims,) of the item; None when the item is not indexed (yet).
        session_id: The visit it belongs to, where the sender tells visits apart.
    """

    event_id: str
    user_id: UserId
    item_id: ItemId
    action: Action
    occurred_at_ms: int
    weight: float
    vector: NDArray[np.float32] | None = None
    query_id: QueryId | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One of a user's latest actions, in the order of event times: what a visit and a sequence are made of.

    Args:
        weight: What the action was worth; below 0 for what was disliked, 0 for a rating in the middle.
        session_id: The visit it belongs to; None where the sender does not tell visits apart.
    """

    item_id: ItemId
    weight: float
    occurred_at_ms: int
    session_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What a profile's vector and strength are made of, in full precision.

    Args:
        total: float64 of shape (dims,): the items' vectors by their weights, decayed up to ``reference_ms``.
        strength: Sum of the absolute weights, decayed likewise.
        reference_ms: Milliseconds since 1970.
    """

    total: NDArray[np.float64]
    strength: float
    reference_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a user likes now.

    Args:
        vector: float32 unit vector of shape (dims,), the decayed, weighted mean of what was acted on; None when cold.
        strength: Sum of the absolute decayed weights behind the vector; 0 when cold.
        recent: Latest items touched, newest first; not recommended again.
        updated_at_ms: Event time of the newest interaction counted.
        steps: Latest actions of a weight other than 0, and ratings, newest first; the same item as often as it was
            acted on.
        touched_ms: When each of ``recent`` was touched last.
        sums: What vector and strength are made of; None when cold.
    """

    user_id: UserId
    vector: NDArray[np.float32] | None
    strength: float
    recent: tuple[ItemId, ...]
    updated_at_ms: int
    steps: tuple[Step, ...] = ()
    touched_ms: tuple[int, ...] = ()
    sums: Sums | None = None


@runtime_checkable
class PeopleStore(Protocol):
    """Profiles, trends and co-visitation. All methods raise ``RetryLater`` for transient trouble."""

    @property
    def served(self) -> ServedStore:
        """What was shown to whom; erased together with the rest."""
        ...

    async def record(self, interactions: Sequence[Interaction]) -> list[bool]:
        """Count each interaction once, in order.

        False, and nothing changed, where its ``event_id`` was counted before, where it is older than the window of
        remembered ids (it cannot be told from a replay), or older than the user's wish to be forgotten.
        """
        ...

    async def profile(self, user_id: UserId, *, now_ms: int) -> Profile | None:
        """Read a profile as of ``now_ms``; None for a user never seen."""
        ...

    async def restore(self, profiles: Sequence[Profile]) -> list[bool]:
        """Put profiles back as they were read before a loss, each whole.

        False, and nothing changed, where something as new is kept or the user was forgotten since. The ids of counted
        events are not in a profile, so everything up to ``updated_at_ms`` counts as counted from then on.
        """
        ...

    async def forgotten_ms(self, user_id: UserId) -> int | None:
        """When a user asked to be forgotten, as long as that is remembered; None where they did not."""
        ...

    async def forget(self, user_id: UserId, *, occurred_at_ms: int) -> bool:
        """Erase all that is kept under a user's id and refuse replays of what is older; False when nothing was kept.

        Newer interactions that overtook the wish are erased with the rest: sums cannot be taken apart. The sums over
        all users, trends and pairs, hold no user and stay.
        """
        ...

    async def trends(self, count: int, *, now_ms: int) -> list[tuple[ItemId, float]]:
        """The items most acted on lately with their decayed weights, highest first, ties by item id."""
        ...

    async def covisited(self, item_id: ItemId, count: int) -> list[tuple[ItemId, float]]:
        """Items touched by the same users near this one in time, with counts, highest first, ties by item id."""
        ...

    async def partners(self, item_ids: Sequence[ItemId], count: int) -> list[list[tuple[ItemId, float]]]:
        """What ``covisited`` gives for each of several items, in as few round trips."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
