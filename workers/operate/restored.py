"""An event as it was before it was refused, from its dead letter or, where that is cut, from its origin."""

from collections.abc import Mapping
from dataclasses import dataclass

from config.errors import Misconfigured
from config.settings import KafkaSettings
from workers.contracts.replays import REPLAY_HEADER, LetterPlace, Origin, Replayed
from workers.contracts.topics import Topic
from workers.operate.dead_letters import Letter
from workers.operate.past_records import PastRecord, past_record


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredEvent:
    """A letter's event as it is sent again: key, value and headers as they were, and a header that says whose it is."""

    letter: Letter
    topic: Topic
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]


async def restored_event(settings: KafkaSettings, letter: Letter, topics: Mapping[str, Topic]) -> RestoredEvent:
    """Restore the event of a letter.

    Args:
        settings: Where the broker is.
        letter: Whose event.
        topics: By full name, those to which events are sent again.

    Raises:
        Misconfigured: It came from no such topic, or is not at its origin any more.
    """
    told = letter.letter
    topic = topics.get(told.origin.topic)
    if topic is None:
        # Whoever can write a letter could otherwise write anywhere with the rights of whoever replays it.
        raise Misconfigured(f"its origin {told.origin.topic} is none of {', '.join(topics)}: see kafka.topic_prefix")
    key, value, headers = told.original_key(), told.original_value(), told.original_headers()
    if told.cut:
        record = await _at_origin(settings, topic, told.origin)
        key, value, headers = record.key, record.value, dict(record.headers)
    headers[REPLAY_HEADER] = _replayed(letter).to_header()
    return RestoredEvent(letter=letter, topic=topic, key=key, value=value, headers=headers)


async def _at_origin(settings: KafkaSettings, topic: Topic, origin: Origin) -> PastRecord:
    record = await past_record(settings, topic, partition=origin.partition, offset=origin.offset)
    if record.at_ms != origin.timestamp_ms:
        place = f"{origin.topic} {origin.partition}:{origin.offset}"
        raise Misconfigured(
            f"{place} holds another record now: the topic was made anew, and the event's bytes are lost"
        )
    return record


def _replayed(letter: Letter) -> Replayed:
    """What the event carries: its first letter and its first origin stay, however often it is refused again."""
    told, before = letter.letter, letter.letter.replayed
    origin: Origin = told.origin if before is None else before.origin
    first: LetterPlace = letter.place if before is None else before.first
    return Replayed(letter=letter.place, first=first, origin=origin, attempts=told.attempts)
