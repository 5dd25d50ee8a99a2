"""The interaction worker's work: what users did becomes profiles, trends and co-visitation.

Guarantee: each ``event_id`` counts once; after a batch the compacted ``profiles`` topic holds each touched user's
profile as it is, and nothing of a user who was forgotten.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from config.errors import RejectEvent
from config.settings import PeopleSettings
from config.vocabulary import Action, ItemId, UserId
from fusion.index.protocol import VectorIndex
from fusion.people import protocol
from fusion.people.served import CLICKS, JOINED, Act, Joined
from workers.contracts.interaction import (
    HIGHEST_RATING,
    INTERACTION_EVENTS,
    LOWEST_RATING,
    Interaction,
    UserForget,
)
from workers.contracts.parse import parse_event
from workers.contracts.profiles import UserProfile, forgotten_headers
from workers.streams.encoding import mean_direction
from workers.streams.records import Done, Outcome, Publisher, Record, Refused
from workers.streams.timing import check_key, event_time_ms, now_ms
from workers.streams.together import together

_MIDDLE_RATING = (LOWEST_RATING + HIGHEST_RATING) / 2
_HALF_RANGE = (HIGHEST_RATING - LOWEST_RATING) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A good event with its time."""

    event: Interaction | UserForget
    occurred_at_ms: int
    comment: NDArray[np.float32] | None = None


class TextReader(Protocol):
    """What the handler needs of ``workers.streams.comments.CommentReader``."""

    async def read(self, texts: Sequence[str]) -> list[NDArray[np.float32] | RejectEvent]:
        """Encode texts; each becomes a unit vector of shape (dims,) or the reason why not, in order."""
        ...


class JoinListener(Protocol):
    """What the handler needs of ``workers.streams.feedback.Feedback``."""

    def joined(self, joined: Joined) -> None:
        """An act met what was shown. Returns at once and never raises."""
        ...


class InteractionHandler:
    """Counts what users do.

    Args:
        index: Where the items' vectors are.
        people: Where profiles are kept.
        profiles_topic: Full name of the compacted topic.
        max_event_bytes: Largest event accepted.
        comments: Reads the texts of comments; None leaves them unread.
        feedback: Told what users did to what they were shown.
    """

    def __init__(
        self,
        *,
        index: VectorIndex,
        people: protocol.PeopleStore,
        publisher: Publisher,
        settings: PeopleSettings,
        profiles_topic: str,
        max_event_bytes: int,
        comments: TextReader | None = None,
        feedback: JoinListener | None = None,
    ) -> None:
        self._feedback = feedback
        self._comments = comments
        self._index = index
        self._people = people
        self._publisher = publisher
        self._settings = settings
        self._topic = profiles_topic
        self._max_event_bytes = max_event_bytes

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Take records to their outcomes, in order.

        Raises:
            RetryLater: A store or the broker is away; everything done so far may be done again.
        """
        read = await self._with_comments([self._read(record) for record in records])
        good = [one for one in read if isinstance(one, _Read)]
        labels = iter(await self._count(good, await self._vectors(good)))
        await self._join(good)
        await together(self._publish(user_id) for user_id in dict.fromkeys(one.event.user_id for one in good))
        return [Done(label=next(labels)) if isinstance(one, _Read) else one for one in read]

    def _read(self, record: Record) -> _Read | Refused:
        try:
            event = parse_event(record.value, INTERACTION_EVENTS, max_bytes=self._max_event_bytes)
            check_key(record, event.user_id, "user_id")
            return _Read(event=event, occurred_at_ms=event_time_ms(event, record))
        except RejectEvent as exc:
            return Refused.of(exc, "parse")

    async def _with_comments(self, read: list[_Read | Refused]) -> list[_Read | Refused]:
        """Add the vectors of comments; a text that cannot be encoded refuses its event."""
        texts = {place: text for place, one in enumerate(read) if (text := _comment_of(one))}
        if self._comments is None or not texts:
            return read
        vectors = dict(zip(texts, await self._comments.read(list(texts.values())), strict=True))
        for place, vector in vectors.items():
            one = read[place]
            if isinstance(vector, RejectEvent):
                read[place] = Refused.of(vector, "encode")
            elif isinstance(one, _Read):
                read[place] = replace(one, comment=vector)
        return read

    async def _vectors(self, read: Sequence[_Read]) -> dict[ItemId, NDArray[np.float32]]:
        """Each touched item's fused vector, all in one round trip; items not indexed (yet) are absent."""
        wanted = dict.fromkeys(one.event.item_id for one in read if isinstance(one.event, Interaction))
        items = await self._index.fetch(list(wanted)) if wanted else {}
        return {item_id: mean_direction(list(item.vectors.values())) for item_id, item in items.items()}

    async def _count(self, read: Sequence[_Read], vectors: dict[ItemId, NDArray[np.float32]]) -> list[str]:
        """Count events in order: what came before a wish to be forgotten is counted, and then forgotten."""
        labels: list[str] = []
        waiting: list[protocol.Interaction] = []
        for one in read:
            if isinstance(one.event, Interaction):
                seen = (vectors.get(one.event.item_id), one.comment)
                waiting.append(
                    self._counted(one.event, one.occurred_at_ms, [each for each in seen if each is not None])
                )
                continue
            labels += await self._record(waiting)
            waiting = []
            await self._people.forget(one.event.user_id, occurred_at_ms=one.occurred_at_ms)
            labels.append("done")
        return labels + await self._record(waiting)

    async def _record(self, interactions: Sequence[protocol.Interaction]) -> list[str]:
        if not interactions:
            return []
        return ["done" if is_new else "duplicate" for is_new in await self._people.record(interactions)]

    def _counted(
        self, event: Interaction, occurred_at_ms: int, seen: Sequence[NDArray[np.float32]]
    ) -> protocol.Interaction:
        """The event as the store counts it; it points halfway between the item and what was written of it."""
        return protocol.Interaction(
            event_id=event.event_id,
            user_id=event.user_id,
            item_id=event.item_id,
            action=event.action,
            occurred_at_ms=occurred_at_ms,
            weight=weight_of(event, self._settings),
            vector=mean_direction(seen) if seen else None,
            query_id=event.query_id,
            session_id=event.session_id,
        )

    async def _join(self, read: Sequence[_Read]) -> None:
        """Join impressions and clicks to what their queries showed. Replays too: a mark counts once by itself."""
        acts = [act for one in read if isinstance(one.event, Interaction) and (act := act_of(one.event)) is not None]
        if not acts or not self._settings.served_queries:
            return
        for joined in await self._people.served.join(acts):
            if joined is not None and self._feedback is not None:
                self._feedback.joined(joined)

    async def _publish(self, user_id: UserId) -> None:
        """Send the user's profile as it is now; a forgotten one ends as a record without value."""
        time_ms = now_ms()
        profile = await self._people.profile(user_id, now_ms=time_ms)
        if profile is None:
            headers = forgotten_headers(await self._people.forgotten_ms(user_id))
            await self._publisher.send(self._topic, key=user_id.encode(), value=None, headers=headers)
            return
        as_of = datetime.fromtimestamp(time_ms / 1000, UTC)
        snapshot = UserProfile.of(profile, self._index.model, as_of).to_bytes()
        await self._publisher.send(self._topic, key=user_id.encode(), value=snapshot)


def act_of(event: Interaction) -> Act | None:
    """What is joined to the query that the event names; None when it names none, or is of another kind."""
    if event.query_id is None or event.action not in JOINED:
        return None
    return Act(user_id=event.user_id, query_id=event.query_id, item_id=event.item_id, clicked=event.action in CLICKS)


def _comment_of(read: _Read | Refused) -> str | None:
    """The text of a comment that was read."""
    event = read.event if isinstance(read, _Read) else None
    return event.text if isinstance(event, Interaction) and event.action is Action.COMMENT else None


def weight_of(event: Interaction, settings: PeopleSettings) -> float:
    """What an interaction adds to a profile: its action's weight; a rating's is scaled by its value to -1 … 1."""
    weight = settings.action_weights.get(event.action, 0.0)
    if event.action is Action.RATE and event.value is not None:
        return weight * (event.value - _MIDDLE_RATING) / _HALF_RANGE
    return weight
