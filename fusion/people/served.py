"""What was shown to whom, joined with what they did to it: the contract, and how a record is written.

The query worker remembers the hits of a user's last queries for a while; the interaction worker marks what was seen and
what was clicked. All of it lies under the user, and goes with ``user.forget``.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

from config.vocabulary import Action, ItemId, Modality, QueryId, UserId

CLICKS: Final = frozenset({Action.CLICK, Action.LIKE, Action.SHARE, Action.PURCHASE})
"""Actions that say: this is what I looked for."""

JOINED: Final = CLICKS | {Action.IMPRESSION}
"""Actions that are joined to what was shown."""

_DIGITS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedScore:
    """How one modality of a shown item answered; as in ``fusion.request.ModalityScore``."""

    similarity: float
    calibrated: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedHit:
    """One place of what was shown.

    Args:
        seen: Whether an impression or a click came for it.
        clicked: Whether a click came for it.
    """

    item_id: ItemId
    rank: int
    scores: Mapping[Modality, ServedScore] = field(default_factory=dict)
    seen: bool = False
    clicked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One answer as it was shown; ``at_ms`` is the query record's time in milliseconds since 1970."""

    query_id: QueryId
    user_id: UserId
    at_ms: int
    hits: tuple[ServedHit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something a user did with an item that a query showed."""

    user_id: UserId
    query_id: QueryId
    item_id: ItemId
    clicked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What an act was joined to.

    Args:
        rank: Where the item had been shown.
        newly_seen: The first sign that it was seen.
        newly_clicked: The first click on it.
        first_click: The first click on anything that the query showed.
    """

    rank: int
    newly_seen: bool
    newly_clicked: bool
    first_click: bool


@runtime_checkable
class ServedStore(Protocol):
    """Remembers what was shown, within bounds. All methods raise ``RetryLater`` for transient trouble."""

    async def remember(self, served: Served) -> None:
        """Keep an answer, unless it is kept already or its user asked to be forgotten since."""
        ...

    async def join(self, acts: Sequence[Act]) -> list[Joined | None]:
        """Mark each act, in order; None where nothing is kept of its query. Doing it again marks nothing anew."""
        ...

    async def weights(self, user_id: UserId | None) -> dict[Modality, float]:
        """Factors of the modalities' weights as clicks taught them, each within its bounds; empty while nothing is."""
        ...

    async def reset_weights(self) -> None:
        """Forget what clicks taught, of everybody and of each user."""
        ...

    def everything(self) -> AsyncIterator[Served]:
        """Every answer that is kept now, with its marks."""
        ...


def pack_served(served: Served) -> str:
    """A record as compact JSON, whose marks the scripts fill."""
    hits = [
        {
            "i": hit.item_id,
            "r": hit.rank,
            "m": {
                str(modality): [round(each, _DIGITS) for each in (score.similarity, score.calibrated, score.weight)]
                for modality, score in hit.scores.items()
            },
        }
        for hit in served.hits
    ]
    return json.dumps({"t": served.at_ms, "h": hits}, ensure_ascii=False, separators=(",", ":"))


def unpack_served(packed: bytes | str, query_id: QueryId, user_id: UserId) -> Served:
    """Read what ``pack_served`` wrote and the scripts marked."""
    read: dict[str, Any] = json.loads(packed)
    hits = tuple(
        ServedHit(
            item_id=ItemId(hit["i"]),
            rank=int(hit["r"]),
            scores={
                Modality(name): ServedScore(similarity=similarity, calibrated=calibrated, weight=weight)
                for name, (similarity, calibrated, weight) in hit["m"].items()
            },
            seen=bool(hit.get("s")),
            clicked=bool(hit.get("c")),
        )
        for hit in read["h"]
    )
    return Served(query_id=query_id, user_id=user_id, at_ms=int(read["t"]), hits=hits)
