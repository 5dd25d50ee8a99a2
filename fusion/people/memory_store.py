"""People in memory: the same rules as in Redis, in plain sight; for tests and small installations."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from config.settings import PeopleSettings
from config.vocabulary import ItemId, UserId
from fusion.people.checks import check_interaction, check_profile, check_user_id, highest
from fusion.people.decay import add_log2, backward, decayed, forward_log2
from fusion.people.layout import (
    COVISITS_KEPT,
    PARTNERS_COUNTED,
    TRENDS_KEPT,
    is_step,
    pack_restored,
    pack_step,
    profile_direction,
    touches_of,
    unpack_step,
)
from fusion.people.memory_served import MemoryServedStore
from fusion.people.protocol import Interaction, Profile, Sums

Times = dict[ItemId, int]


@dataclass(slots=True, kw_only=True)
class _Person:
    total: NDArray[np.float64] | None = None
    strength: float = 0.0
    reference_ms: int = 0
    updated_ms: int = 0
    floor_ms: int | None = None
    events: dict[str, int] = field(default_factory=dict)
    history: Times = field(default_factory=dict)
    touches: Times = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)


class MemoryPeopleStore:
    """Profiles, trends and pairs of one process; nothing survives it.

    Args:
        people: How behaviour counts.
        dims: Length of the items' vectors.
    """

    def __init__(self, people: PeopleSettings, dims: int) -> None:
        self._settings = people
        self._dims = dims
        self._people: dict[UserId, _Person] = {}
        self._forgotten: dict[UserId, int] = {}
        self._trends: dict[ItemId, float] = {}
        self._covisits: dict[ItemId, dict[ItemId, float]] = {}
        self.served = MemoryServedStore(people, self._forgotten)

    async def record(self, interactions: Sequence[Interaction]) -> list[bool]:
        """Count each interaction once, in order; see ``PeopleStore.record``."""
        for interaction in interactions:
            check_interaction(interaction, self._dims)
        return [self._record(interaction) for interaction in interactions]

    def _record(self, event: Interaction) -> bool:
        person = self._people.get(event.user_id) or _Person()
        if not self._is_new(event, person):
            return False
        self._people[event.user_id] = person
        self._remember_event(event, person)
        if event.vector is not None and event.weight != 0:
            self._add_to_profile(event, event.vector, person)
        _touch(person.history, event, self._settings.history)
        person.updated_ms = max(person.updated_ms, event.occurred_at_ms)
        if is_step(event):
            self._add_to_steps(event, person)
        if event.weight > 0:
            self._add_to_trends(event)
            self._count_pairs(event, person)
        return True

    def _is_new(self, event: Interaction, person: _Person) -> bool:
        forgotten_ms = self._forgotten.get(event.user_id)
        refused = [floor for floor in (forgotten_ms, person.floor_ms) if floor is not None]
        return all(event.occurred_at_ms > floor for floor in refused) and event.event_id not in person.events

    def _remember_event(self, event: Interaction, person: _Person) -> None:
        person.events[event.event_id] = event.occurred_at_ms
        if len(person.events) > self._settings.remembered_events:
            oldest = min(person.events, key=lambda event_id: (person.events[event_id], event_id))
            person.floor_ms = person.events.pop(oldest)

    def _add_to_profile(self, event: Interaction, vector: NDArray[np.float32], person: _Person) -> None:
        had = person.total is not None
        reference_ms = max(person.reference_ms, event.occurred_at_ms) if had else event.occurred_at_ms
        kept = self._decayed(1.0, person.reference_ms, reference_ms) if had else 0.0
        share = self._decayed(event.weight, event.occurred_at_ms, reference_ms)
        before = np.zeros(self._dims) if person.total is None else person.total
        person.total = kept * before + share * vector.astype(np.float64)
        person.strength = kept * person.strength + abs(share)
        person.reference_ms = reference_ms

    def _decayed(self, amount: float, from_ms: int, to_ms: int) -> float:
        return decayed(amount, from_ms=from_ms, to_ms=to_ms, half_life_s=self._settings.half_life_s)

    def _add_to_steps(self, event: Interaction, person: _Person) -> None:
        person.steps[pack_step(event)] = event.occurred_at_ms
        if len(person.steps) > self._settings.steps:
            del person.steps[min(person.steps, key=lambda step: _by_time(step, person.steps))]

    def _add_to_trends(self, event: Interaction) -> None:
        added = forward_log2(event.weight, event.occurred_at_ms, self._settings.trend_half_life_s)
        before = self._trends.get(event.item_id)
        self._trends[event.item_id] = added if before is None else add_log2(before, added)
        if len(self._trends) > TRENDS_KEPT:
            del self._trends[min(self._trends, key=lambda item_id: (self._trends[item_id], item_id))]

    def _count_pairs(self, event: Interaction, person: _Person) -> None:
        window_ms = self._settings.covisit_window_s * 1000.0
        before_ms = person.touches.get(event.item_id)
        near = [each for each in person.touches.items() if abs(each[1] - event.occurred_at_ms) <= window_ms]
        near.sort(key=lambda each: (each[1], each[0]), reverse=True)
        for partner, partner_ms in near[:PARTNERS_COUNTED]:
            # Going back and forth between two items is one visit of both, not many.
            counted = before_ms is not None and abs(before_ms - partner_ms) <= window_ms
            if partner != event.item_id and not counted:
                self._count_pair(event.item_id, partner)
                self._count_pair(partner, event.item_id)
        _touch(person.touches, event, self._settings.history)

    def _count_pair(self, item_id: ItemId, partner: ItemId) -> None:
        counts = self._covisits.setdefault(item_id, {})
        counts[partner] = counts.get(partner, 0.0) + 1.0
        if len(counts) > 2 * COVISITS_KEPT:
            self._covisits[item_id] = dict(highest(counts, COVISITS_KEPT))

    async def profile(self, user_id: UserId, *, now_ms: int) -> Profile | None:
        """Read a profile as of ``now_ms``; see ``PeopleStore.profile``."""
        check_user_id(user_id)
        person = self._people.get(user_id)
        if person is None:
            return None
        recent = sorted(person.history.items(), key=lambda touched: (-touched[1], touched[0]))
        return Profile(
            user_id=user_id,
            vector=profile_direction(person.total),
            strength=self._decayed(person.strength, person.reference_ms, now_ms),
            recent=tuple(item_id for item_id, _ in recent),
            updated_at_ms=person.updated_ms,
            steps=tuple(
                unpack_step(step, person.steps[step])
                for step in sorted(person.steps, key=lambda step: _by_time(step, person.steps), reverse=True)
            ),
            touched_ms=tuple(touched for _, touched in recent),
            sums=None
            if person.total is None
            else Sums(total=person.total, strength=person.strength, reference_ms=person.reference_ms),
        )

    async def restore(self, profiles: Sequence[Profile]) -> list[bool]:
        """Put profiles back; see ``PeopleStore.restore``."""
        for profile in profiles:
            check_profile(profile, self._dims)
        return [self._restore(profile) for profile in profiles]

    def _restore(self, profile: Profile) -> bool:
        held = self._people.get(profile.user_id)
        floors = [self._forgotten.get(profile.user_id), None if held is None else held.updated_ms]
        if any(floor is not None and profile.updated_at_ms <= floor for floor in floors):
            return False
        person = _Person(
            updated_ms=profile.updated_at_ms,
            floor_ms=profile.updated_at_ms,
            history=dict(zip(profile.recent, profile.touched_ms, strict=True)),
            touches=touches_of(profile),
            steps=pack_restored(profile.steps),
        )
        if profile.sums is not None:
            person.total, person.strength = profile.sums.total, profile.sums.strength
            person.reference_ms = profile.sums.reference_ms
        self._people[profile.user_id] = person
        return True

    async def forgotten_ms(self, user_id: UserId) -> int | None:
        """When a user asked to be forgotten."""
        return self._forgotten.get(user_id)

    async def forget(self, user_id: UserId, *, occurred_at_ms: int) -> bool:
        """Erase a user; see ``PeopleStore.forget``."""
        check_user_id(user_id)
        if occurred_at_ms <= self._forgotten.get(user_id, occurred_at_ms - 1):
            return False
        self._forgotten[user_id] = occurred_at_ms
        shown = self.served.forget(user_id)
        return self._people.pop(user_id, None) is not None or shown

    async def trends(self, count: int, *, now_ms: int) -> list[tuple[ItemId, float]]:
        """The items most acted on lately; see ``PeopleStore.trends``."""
        half_life_s = self._settings.trend_half_life_s
        return [(item_id, backward(log2, now_ms, half_life_s)) for item_id, log2 in highest(self._trends, count)]

    async def covisited(self, item_id: ItemId, count: int) -> list[tuple[ItemId, float]]:
        """Items touched near this one; see ``PeopleStore.covisited``."""
        return highest(self._covisits.get(item_id, {}), count)

    async def partners(self, item_ids: Sequence[ItemId], count: int) -> list[list[tuple[ItemId, float]]]:
        """The same for each of several items."""
        return [highest(self._covisits.get(item_id, {}), count) for item_id in item_ids]

    async def close(self) -> None:
        """Nothing to give back."""


def _by_time(step: str, times: dict[str, int]) -> tuple[int, bytes]:
    """Equal times are ordered by their bytes, as Redis does."""
    return times[step], step.encode()


def _touch(times: Times, event: Interaction, kept: int) -> None:
    """Note the latest time of an item; the oldest goes, the first by id among equals."""
    times[event.item_id] = max(times.get(event.item_id, event.occurred_at_ms), event.occurred_at_ms)
    if len(times) > kept:
        del times[min(times, key=lambda item_id: (times[item_id], item_id))]
