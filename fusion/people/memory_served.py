"""What was shown, in memory: the same rules as in Redis, in plain sight."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

from config.settings import PeopleSettings
from config.vocabulary import Modality, QueryId, UserId
from fusion.people.modality_weights import FADE, SHARED_RATE, factors, lesson, moved
from fusion.people.served import Act, Joined, Served, ServedHit

Logs = dict[Modality, float]


class MemoryServedStore:
    """What was shown to the users of one process.

    Args:
        people: How much is kept, and whether clicks teach weights.
        forgotten: When each user asked to be forgotten, in milliseconds since 1970; kept by whoever erases.
    """

    def __init__(self, people: PeopleSettings, forgotten: Mapping[UserId, int]) -> None:
        self._settings = people
        self._forgotten = forgotten
        self._served: dict[UserId, dict[QueryId, Served]] = {}
        self._weights: dict[UserId, Logs] = {}
        self._shared: Logs = {}

    async def remember(self, served: Served) -> None:
        """Keep an answer; see ``ServedStore.remember``."""
        if not self._settings.served_queries or served.at_ms <= self._forgotten.get(served.user_id, served.at_ms - 1):
            return
        mine = self._served.setdefault(served.user_id, {})
        mine.setdefault(served.query_id, served)
        while len(mine) > self._settings.served_queries:
            del mine[next(iter(mine))]

    async def join(self, acts: Sequence[Act]) -> list[Joined | None]:
        """Mark each act; see ``ServedStore.join``."""
        return [self._join(act) for act in acts]

    def _join(self, act: Act) -> Joined | None:
        served = self._served.get(act.user_id, {}).get(act.query_id)
        hit = next((hit for hit in served.hits if hit.item_id == act.item_id), None) if served else None
        if served is None or hit is None:
            return None
        newly_clicked = act.clicked and not hit.clicked
        first_click = newly_clicked and not any(other.clicked for other in served.hits)
        if newly_clicked and self._settings.learn_weights:
            self._learn(act.user_id, served, hit)
        marked = replace(hit, seen=True, clicked=hit.clicked or act.clicked)
        hits = tuple(marked if other is hit else other for other in served.hits)
        self._served[act.user_id][act.query_id] = replace(served, hits=hits)
        return Joined(rank=hit.rank, newly_seen=not hit.seen, newly_clicked=newly_clicked, first_click=first_click)

    def _learn(self, user_id: UserId, served: Served, clicked: ServedHit) -> None:
        taught, rate = lesson(served, clicked), self._settings.weight_rate
        self._weights[user_id] = moved(self._weights.get(user_id, {}), taught, rate, FADE)
        self._shared = moved(self._shared, taught, rate * SHARED_RATE, FADE * SHARED_RATE)

    async def weights(self, user_id: UserId | None) -> dict[Modality, float]:
        """Factors of the weights; see ``ServedStore.weights``."""
        return factors(self._shared, self._weights.get(user_id, {}) if user_id is not None else {})

    async def reset_weights(self) -> None:
        """Forget what clicks taught."""
        self._weights.clear()
        self._shared.clear()

    def forget(self, user_id: UserId) -> bool:
        """Erase what is kept of a user; False when nothing was."""
        shown, taught = self._served.pop(user_id, None), self._weights.pop(user_id, None)
        return shown is not None or taught is not None

    async def everything(self) -> AsyncIterator[Served]:
        """Every answer that is kept now."""
        for mine in list(self._served.values()):
            for served in list(mine.values()):
                yield served
