"""Filling a people store from records of the compacted ``profiles`` topic: the last record of a user holds.

Trends, co-visitation and what was shown are no part of a profile and come again with new interactions alone.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from config.errors import RejectEvent
from config.vocabulary import ModelRef, UserId
from fusion.people.protocol import PeopleStore, Profile
from workers.contracts.parse import parse_event
from workers.contracts.profiles import USER_PROFILES, forgotten_at
from workers.operate.past_records import PastRecord
from workers.operate.patience import Patience
from workers.operate.refill import PassedOver

_TOGETHER: Final = 64


@dataclass(slots=True, kw_only=True)
class RefilledPeople:
    """What became of the records.

    Args:
        profiles: Put back.
        forgotten: Users whose wish to be forgotten is known again.
        kept: Changed nothing: what the store holds is as new, or the user was forgotten since.
        passed_over: Records that are no profile of this model, by why.
    """

    profiles: int = 0
    forgotten: int = 0
    kept: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Forgotten:
    user_id: UserId
    at_ms: int


class RefillPeople:
    """Puts profiles back.

    Args:
        people: Of the model whose profiles are wanted.
        patience: How long to bear with a store that is away.
    """

    def __init__(self, people: PeopleStore, model: ModelRef, patience: Patience) -> None:
        self._people = people
        self._model = model
        self._patience = patience
        self.done = RefilledPeople()

    async def add(self, records: Sequence[PastRecord]) -> None:
        """Do what records say, the last of each user.

        Raises:
            Misconfigured: The store is not made for these profiles.
            RetryLater: The store was away for too long.
        """
        last: dict[UserId, Profile | _Forgotten] = {}
        for record in records:
            try:
                read = self._read(record)
            except PassedOver as exc:
                self.done.passed_over[str(exc)] += 1
            else:
                last[read.user_id] = read
        for gone in last.values():
            if isinstance(gone, _Forgotten):
                await self._forget(gone)
        profiles = [each for each in last.values() if isinstance(each, Profile)]
        for start in range(0, len(profiles), _TOGETHER):
            await self._restore(profiles[start : start + _TOGETHER])

    async def _restore(self, profiles: Sequence[Profile]) -> None:
        restored = sum(await self._patience.bear(lambda: self._people.restore(profiles)))
        self.done.profiles += restored
        self.done.kept += len(profiles) - restored

    async def _forget(self, gone: _Forgotten) -> None:
        """Unless the user was seen after that: a wish that is remembered no more must not erase what came later."""
        user_id, at_ms = gone.user_id, gone.at_ms
        held = await self._patience.bear(lambda: self._people.profile(user_id, now_ms=at_ms))
        known_ms = await self._patience.bear(lambda: self._people.forgotten_ms(user_id))
        if (held is not None and held.updated_at_ms > at_ms) or (known_ms is not None and known_ms >= at_ms):
            self.done.kept += 1
            return
        await self._patience.bear(lambda: self._people.forget(user_id, occurred_at_ms=at_ms))
        self.done.forgotten += 1

    def _read(self, record: PastRecord) -> Profile | _Forgotten:
        if record.value is None:
            at_ms = forgotten_at(record.headers)
            if record.key is None or at_ms is None:
                raise PassedOver("the end of a user, without a time")
            return _Forgotten(user_id=UserId(record.key.decode(errors="replace")), at_ms=at_ms)
        try:
            read = parse_event(record.value, USER_PROFILES)
        except RejectEvent as exc:
            raise PassedOver("no record of a profile") from exc
        if read.model != str(self._model):
            raise PassedOver(f"profiles of {read.model}, and the settings name {self._model}")
        if (read.vector is not None and read.sums is None) or len(read.touched_ms) != len(read.recent):
            raise PassedOver("a profile without its sums and times")
        return read.profile()
