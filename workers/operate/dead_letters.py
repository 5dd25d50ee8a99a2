"""Dead letters as they lie on their topic: read, chosen, and joined to what is known of their replays."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from config.errors import Misconfigured, Reason, RejectEvent
from config.settings import KafkaSettings
from workers.contracts.dead_letter import DEAD_LETTERS, DeadLetter
from workers.contracts.parse import parse_event
from workers.contracts.replays import REPLAY_MARKS, LetterPlace, ReplayMark, ReplayState
from workers.contracts.topics import INPUT_TOPIC, Topic
from workers.operate.past_records import PastRecord, past_record, past_records

REFUSABLE: Final = tuple(INPUT_TOPIC.values())
"""The topics whose events are refused, and to which they may be sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter with its place; ``at_ms`` is when it was written."""

    place: LetterPlace
    at_ms: int
    letter: DeadLetter


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which dead letters are meant: those that fit all that is named; times are in milliseconds since 1970."""

    prefix: str
    reasons: frozenset[Reason] = frozenset()
    topics: frozenset[Topic] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None
    places: frozenset[LetterPlace] = frozenset()

    def takes(self, letter: Letter) -> bool:
        """Whether a letter is meant."""
        topics = {topic.named(self.prefix) for topic in self.topics}
        return (
            (not self.reasons or letter.letter.reason in self.reasons)
            and (not topics or letter.letter.origin.topic in topics)
            and (self.since_ms is None or letter.at_ms >= self.since_ms)
            and (self.until_ms is None or letter.at_ms < self.until_ms)
            and (not self.places or letter.place in self.places)
        )


async def chosen_letters(
    settings: KafkaSettings,
    selection: Selection,
    *,
    on_unreadable: Callable[[PastRecord], object],
    tell: Callable[[int, int], object],
) -> AsyncIterator[Letter]:
    """Read the letters of a selection; those of one key come in the order in which they were written.

    Args:
        settings: Where the broker is.
        selection: Which letters.
        on_unreadable: Told of each record that is no dead letter.
        tell: Called with records read and records in all.

    Raises:
        Misconfigured: The broker cannot be reached, or has no such topic.
    """
    async for record in past_records(settings, Topic.DEAD_LETTERS, tell, since_ms=selection.since_ms):
        try:
            letter = _letter(record)
        except RejectEvent:
            on_unreadable(record)
            continue
        if selection.takes(letter):
            yield letter


async def one_letter(settings: KafkaSettings, place: LetterPlace) -> Letter:
    """Read one letter.

    Raises:
        Misconfigured: There is none at this place.
    """
    record = await past_record(settings, Topic.DEAD_LETTERS, partition=place.partition, offset=place.offset)
    try:
        return _letter(record)
    except RejectEvent as exc:
        raise Misconfigured(f"the record at {place} is no dead letter ({exc})") from exc


def _letter(record: PastRecord) -> Letter:
    letter = parse_event(record.value, DEAD_LETTERS)
    try:
        _ = letter.original_key(), letter.original_value(), letter.original_headers()
    except ValueError as exc:
        raise RejectEvent(Reason.INVALID_EVENT, "its record's bytes are no base64") from exc
    place = LetterPlace(partition=record.partition, offset=record.offset)
    return Letter(place=place, at_ms=record.at_ms, letter=letter)


class Marks:
    """What is known of replays: the last mark of each letter."""

    def __init__(self, marks: Mapping[LetterPlace, ReplayMark]) -> None:
        self._marks = dict(marks)

    def of(self, letter: Letter) -> ReplayMark | None:
        """The letter's mark; None where there is none, or that of a letter of a topic that was made anew since."""
        mark = self._marks.get(letter.place)
        return mark if mark is not None and mark.origin == letter.letter.origin else None

    def sent(self, letter: Letter) -> ReplayMark | None:
        """The same, for a letter that is known to have been sent again; a claim to send it once more says so too."""
        mark = self.of(letter)
        return mark if mark is not None and mark.times_sent else None

    def claims(self) -> list[ReplayMark]:
        """Replays that were begun and not known to be confirmed."""
        return [mark for mark in self._marks.values() if mark.state is ReplayState.CLAIMED]

    def add(self, mark: ReplayMark) -> None:
        """Take what is known now."""
        self._marks[mark.letter] = mark


async def read_marks(settings: KafkaSettings) -> Marks:
    """Read what is known of replays; what is no mark is passed over.

    Raises:
        Misconfigured: The broker cannot be reached, or has no such topic.
    """
    marks: dict[LetterPlace, ReplayMark] = {}
    async for record in past_records(settings, Topic.REPLAYS):
        try:
            mark = parse_event(record.value, REPLAY_MARKS)
        except RejectEvent:
            continue
        marks[mark.letter] = mark
    return Marks(marks)
