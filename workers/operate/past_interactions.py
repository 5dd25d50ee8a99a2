"""What people did so far, from the interactions topic or a file of its events, for whatever is trained on it."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured, RejectEvent
from config.settings import KafkaSettings, PeopleSettings, Settings
from config.vocabulary import Action, ItemId
from workers.contracts.interaction import INTERACTION_EVENTS, Interaction, UserForget
from workers.contracts.parse import parse_event
from workers.contracts.topics import Topic
from workers.operate.jsonl import BadLine, read_events
from workers.operate.past_records import past_records
from workers.streams.interactions import weight_of

_ITEMS_TOGETHER = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One event with its time, in milliseconds since 1970."""

    event: Interaction | UserForget
    at_ms: int


class PastActions:
    """Collects what tells of tastes: each event once, nothing of a user from before they asked to be forgotten."""

    def __init__(self, settings: PeopleSettings) -> None:
        self._settings = settings
        self._rows: dict[tuple[str, str], tuple[str, str, int, bool]] = {}
        self._forgotten_ms: dict[str, int] = {}

    def add(self, happened: Happened) -> None:
        """Count one event, in any order."""
        event = happened.event
        if isinstance(event, UserForget):
            self._forgotten_ms[event.user_id] = max(self._forgotten_ms.get(event.user_id, 0), happened.at_ms)
            return
        weight = weight_of(event, self._settings)
        if weight or event.action is Action.RATE:
            row = (event.user_id, event.item_id, happened.at_ms, weight > 0)
            self._rows.setdefault((event.user_id, event.event_id), row)

    def rows(self) -> list[tuple[str, str, int, bool]]:
        """(user, item, time in ms, whether it was liked) of every action that counts."""
        return [row for row in self._rows.values() if row[2] > self._forgotten_ms.get(row[0], -1)]


def from_file(path: Path, settings: KafkaSettings, on_bad_line: Callable[[BadLine], object]) -> Iterable[Happened]:
    """Events of a JSONL file; those without ``occurred_at`` count as happening in the order of their lines."""
    try:
        with path.open("rb") as file:
            for place, event in enumerate(read_events(file, Topic.INTERACTIONS, settings, on_bad_line=on_bad_line)):
                assert isinstance(event, Interaction | UserForget)  # noqa: S101 - the topic decides it
                yield Happened(event=event, at_ms=event.occurred_at_ms(place))
    except OSError as exc:
        raise Misconfigured(f"{path}: cannot be read ({exc.strerror})") from exc


async def from_topic(settings: KafkaSettings, tell: Callable[[int, int], object]) -> AsyncIterator[Happened]:
    """Every event that the topic holds at this moment; what is no event was a dead letter and is passed over.

    Args:
        settings: Where the broker is.
        tell: Called with records read and records in all.

    Raises:
        Misconfigured: The broker cannot be reached, or has no such topic.
    """
    async for record in past_records(settings, Topic.INTERACTIONS, tell):
        if (happened := _happened(record.value, record.at_ms)) is not None:
            yield happened


def _happened(value: bytes | None, timestamp_ms: int) -> Happened | None:
    try:
        event = parse_event(value, INTERACTION_EVENTS)
    except RejectEvent:
        return None
    return Happened(event=event, at_ms=event.occurred_at_ms(timestamp_ms))


async def indexed_vectors(item_ids: Iterable[str], settings: Settings) -> dict[str, NDArray[np.float32]]:
    """The fused vectors of the items that the index holds.

    Raises:
        Misconfigured: Redis cannot be used with these settings.
        RetryLater: It cannot be reached.
    """
    from encoders.identity import identify
    from fusion.index.followed_index import FollowedIndex
    from fusion.index.layout import fused_vector

    space = identify(settings.model)
    index = FollowedIndex(settings.redis, space.model, space.dims)
    wanted = [ItemId(item_id) for item_id in dict.fromkeys(item_ids)]
    vectors: dict[str, NDArray[np.float32]] = {}
    try:
        for start in range(0, len(wanted), _ITEMS_TOGETHER):
            items = await index.fetch(wanted[start : start + _ITEMS_TOGETHER])
            vectors |= {item_id: fused_vector(item.vectors) for item_id, item in items.items()}
    finally:
        await index.close()
    return vectors
