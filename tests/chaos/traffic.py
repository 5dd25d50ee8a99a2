"""A stream of events from a seed, and the world that they must end in.

Content: new items, rising versions, deletions, items created again, late old versions of both, the same bytes twice.
Interactions: with items of a shelf that never changes, so that a profile is arithmetic; the same bytes twice; wishes to
be forgotten. Queries: about the shelf, so that a repeated answer must be the same answer. And events nobody can serve.
"""

import json
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from config.errors import Reason
from config.vocabulary import Action
from tests.chaos.world import Acted, ItemTruth, UserTruth, World
from workers.contracts.topics import Topic

SHELF: Final = 120
"""Items that never change."""
SHELF_GROUP: Final = "shelf"

_WORDS: Final = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jetty", "knoll")
_ACTIONS: Final = (Action.VIEW, Action.CLICK, Action.LIKE, Action.DISLIKE, Action.SHARE, Action.PURCHASE)
_RECENT: Final = 200
_POISONED: Final = 0.005
_FORGOTTEN: Final = 0.004
_REPEATED: Final = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One event on its way."""

    topic: Topic
    key: bytes
    value: bytes


class Traffic:
    """Makes events and keeps the books.

    Args:
        seed: The same seed makes the same events, but for the moment that they are counted from.
        events: How many in all, the shelf included.
        began_ms: Unix milliseconds; event times lie before it, a millisecond apart.
    """

    def __init__(self, *, seed: int, events: int, began_ms: int) -> None:
        self.world = World()
        self._draw = random.Random(f"events {seed}")
        self._events = events
        self._clock_ms = began_ms - events - 60_000
        self._made = 0
        self._item_ids: list[str] = []
        self._recent: dict[Topic, deque[Sent]] = {topic: deque(maxlen=_RECENT) for topic in Topic}
        # Few enough items that they change many times, few enough events a user that every id is remembered.
        self._most_items = max(50, events // 12)
        self._user_ids = [f"user-{place}" for place in range(max(20, events // 400))]

    def shelf(self) -> Iterator[Sent]:
        """The items that never change: everybody must have them before the rest begins."""
        for place in range(SHELF):
            yield self._upsert(f"{SHELF_GROUP}-{place}", self._next_ms(), group=SHELF_GROUP)

    def rest(self) -> Iterator[Sent]:
        """Every other event."""
        makers: tuple[Callable[[], Sent], ...] = (self._content, self._interaction, self._query)
        topics = (Topic.CONTENT, Topic.INTERACTIONS, Topic.QUERIES)
        while self._made < self._events:
            [place] = self._draw.choices(range(3), weights=(45, 40, 15))
            chance = self._draw.random()
            if chance < _POISONED:
                yield self._poison(topics[place])
            elif chance < _POISONED + _REPEATED and self._recent[topics[place]]:
                yield self._repeat(topics[place])
            else:
                yield makers[place]()

    def _next_ms(self) -> int:
        self._clock_ms += 1
        return self._clock_ms

    def _send(self, topic: Topic, key: str, event: dict[str, Any]) -> Sent:
        sent = Sent(topic=topic, key=key.encode(), value=json.dumps(event).encode())
        self._made += 1
        self._recent[topic].append(sent)
        return sent

    def _repeat(self, topic: Topic) -> Sent:
        """The same bytes again: whatever they did, they did."""
        self._made += 1
        self.world.asked += topic is Topic.QUERIES
        return self._draw.choice(self._recent[topic])

    # Content.

    def _content(self) -> Sent:
        known, draw = self._item_ids, self._draw
        if not known or (len(known) < self._most_items and draw.random() < 0.5):
            known.append(f"item-{len(known)}")
            return self._upsert(known[-1], self._next_ms())
        item_id, what = draw.choice(known), draw.random()
        if what < 0.2:
            return self._delete(item_id, self._next_ms())
        if what < 0.4:
            return self._late(item_id)
        return self._upsert(item_id, self._next_ms())

    def _late(self, item_id: str) -> Sent:
        """An event older than what is known: also after a deletion, which must hold."""
        old_ms = self.world.items[item_id].version_ms - self._draw.randint(1, 5000)
        return self._delete(item_id, old_ms) if self._draw.random() < 0.15 else self._upsert(item_id, old_ms)

    def _upsert(self, item_id: str, at_ms: int, *, group: str = "living") -> Sent:
        text = f"{' '.join(self._draw.sample(_WORDS, 4))} {item_id} {self._made}"
        self._learn(item_id, at_ms, text)
        event = {"type": "content.upsert", "item_id": item_id, "occurred_at": _rfc3339(at_ms)}
        event |= {"modalities": {"text": {"text": text}}, "attributes": {"group": group, "text": text}}
        return self._send(Topic.CONTENT, item_id, event)

    def _delete(self, item_id: str, at_ms: int) -> Sent:
        self._learn(item_id, at_ms, None)
        event = {"type": "content.delete", "item_id": item_id, "occurred_at": _rfc3339(at_ms)}
        return self._send(Topic.CONTENT, item_id, event)

    def _learn(self, item_id: str, at_ms: int, text: str | None) -> None:
        held = self.world.items.get(item_id)
        if held is None or at_ms > held.version_ms:
            self.world.items[item_id] = ItemTruth(version_ms=at_ms, text=text)

    # Interactions.

    def _interaction(self) -> Sent:
        user_id, at_ms = self._draw.choice(self._user_ids), self._next_ms()
        truth = self.world.users.setdefault(user_id, UserTruth())
        if self._draw.random() < _FORGOTTEN:
            truth.acted, truth.forgotten_ms = [], at_ms
            event: dict[str, Any] = {"type": "user.forget", "user_id": user_id, "occurred_at": _rfc3339(at_ms)}
            return self._send(Topic.INTERACTIONS, user_id, event)
        item_id = f"{SHELF_GROUP}-{self._draw.randrange(SHELF)}"
        acted = Acted(event_id=f"act-{self._made}", item_id=item_id, action=self._draw.choice(_ACTIONS), at_ms=at_ms)
        truth.acted.append(acted)
        event = {"type": "interaction", "event_id": acted.event_id, "user_id": user_id, "item_id": item_id}
        event |= {"action": acted.action.value, "occurred_at": _rfc3339(at_ms)}
        return self._send(Topic.INTERACTIONS, user_id, event)

    # Queries.

    def _query(self) -> Sent:
        query_id, what = f"query-{self._made}", self._draw.random()
        event: dict[str, Any] = {"query_id": query_id, "k": 5, "deadline_ms": 600_000}
        event |= {"filter": f'.group == "{SHELF_GROUP}"'}
        code: Reason | None = None
        if what < 0.7:
            text = " ".join(self._draw.sample(_WORDS, 3))
            event |= {"kind": "search", "parts": [{"modality": "text", "text": text}]}
        elif what < 0.9:
            event |= {"kind": "similar", "item_id": f"{SHELF_GROUP}-{self._draw.randrange(SHELF)}"}
        elif what < 0.95:
            event |= {"kind": "similar", "item_id": "never-published"}
            code = Reason.UNKNOWN_ITEM
        else:
            event |= {"kind": "similar", "colour": "blue"}
            code = Reason.INVALID_EVENT
        self.world.queries[query_id] = code
        self.world.asked += 1
        return self._send(Topic.QUERIES, query_id, event)

    # What nobody can serve.

    def _poison(self, topic: Topic) -> Sent:
        """Not JSON, an unknown field, or another one's key; each unlike every other, so that its letter is found."""
        mark, what = f"poison-{self._made}", self._draw.randrange(3)
        what = 0 if topic is Topic.QUERIES else what  # one with a readable id gets a result and no letter
        kind = {"type": "content.delete", "item_id": mark}
        if topic is Topic.INTERACTIONS:
            kind = {"type": "user.forget", "user_id": mark}
        spoilt = kind | {"colour": "blue"} if what == 1 else kind
        value = f'{{"broken": "{mark}"'.encode() if what == 0 else json.dumps(spoilt).encode()
        self.world.letters[value] = Reason.NOT_JSON if what == 0 else Reason.INVALID_EVENT
        self._made += 1
        return Sent(topic=topic, key=b"another-one" if what == 2 else mark.encode(), value=value)


def _rfc3339(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
