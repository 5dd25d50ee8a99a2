"""Events from a file of JSON lines: each is checked before it is sent, each bad line told with its number and field."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from config.errors import Reason, RejectEvent
from config.settings import KafkaSettings
from workers.contracts.parse import parse_event
from workers.contracts.topics import Topic
from workers.operate.outgoing import ADAPTERS, InputEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """A line that is no event.

    Args:
        number: The line's number, from 1.
    """

    number: int
    error: RejectEvent

    def __str__(self) -> str:
        return f"line {self.number}: {self.error}"


def read_events(
    lines: Iterable[bytes],
    topic: Topic,
    settings: KafkaSettings,
    *,
    on_bad_line: Callable[[BadLine], object],
    on_read: Callable[[int], object] = lambda _: None,
) -> Iterator[InputEvent]:
    """Yield the events of the lines; empty lines are passed over.

    Args:
        lines: JSON lines in UTF-8; a byte order mark at the start is allowed.
        topic: Which kind of event is expected.
        settings: How large an event may be.
        on_bad_line: Told of each line that is no event.
        on_read: Told the size of each line in bytes.
    """
    for number, line in enumerate(lines, start=1):
        on_read(len(line))
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not text.strip():
            continue
        try:
            yield parse_event(text.strip(), ADAPTERS[topic], max_bytes=settings.max_event_bytes)
        except RejectEvent as exc:
            on_bad_line(BadLine(number=number, error=_with_hint(exc, topic)))


def _with_hint(error: RejectEvent, topic: Topic) -> RejectEvent:
    if error.reason is not Reason.INVALID_EVENT or error.field != "type":
        return error
    return RejectEvent(error.reason, f"{error.message} (this is the {topic} topic)", field=error.field)
