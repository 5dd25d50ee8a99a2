"""What must be true in the end: what the sender of every event knows, and the system does not."""

from dataclasses import dataclass, field

from config.errors import Reason
from config.vocabulary import Action


@dataclass(slots=True, kw_only=True)
class ItemTruth:
    """An item by its newest event.

    Args:
        version_ms: Event time of that event.
        text: The item's words; None when it is deleted.
    """

    version_ms: int
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """An interaction that counts, once."""

    event_id: str
    item_id: str
    action: Action
    at_ms: int


@dataclass(slots=True, kw_only=True)
class UserTruth:
    """A user by the interactions since they were last forgotten, in the order of their times."""

    acted: list[Acted] = field(default_factory=list)
    forgotten_ms: int | None = None


@dataclass(slots=True)
class World:
    """Everything that was sent, as it must end.

    Args:
        items: By id, also the deleted.
        users: By id.
        queries: By id: the code of the error they must get, None for an answer.
        asked: How often queries were sent, repeated ones included.
        letters: By the bytes of an event that nobody can serve: the reason that its dead letter must give.
    """

    items: dict[str, ItemTruth] = field(default_factory=dict)
    users: dict[str, UserTruth] = field(default_factory=dict)
    queries: dict[str, Reason | None] = field(default_factory=dict)
    asked: int = 0
    letters: dict[bytes, Reason] = field(default_factory=dict)
