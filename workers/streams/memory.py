"""A publisher that keeps what was sent in memory: for tests, and for whoever runs handlers without Kafka."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from config.errors import CrosscurrentError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One record as it was sent."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)
    partition: int | None = None


class MemoryPublisher:
    """Keeps every record sent, in order; fails on demand like a broker that is away."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self._failing: dict[str, CrosscurrentError] = {}
        self.answering = True

    async def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Mapping[str, bytes] | None = None,
        partition: int | None = None,
    ) -> None:
        """Keep one record.

        Raises:
            CrosscurrentError: What ``fail`` set for this topic.
        """
        if topic in self._failing:
            raise self._failing[topic]
        self.sent.append(Sent(topic=topic, key=key, value=value, headers=headers or {}, partition=partition))

    async def answers(self) -> bool:
        """What ``answering`` says."""
        return self.answering

    def fail(self, topic: str, error: CrosscurrentError) -> None:
        """From now on sending to this topic raises the error."""
        self._failing[topic] = error

    def recover(self) -> None:
        """From now on everything is confirmed again."""
        self._failing.clear()

    def on(self, topic: str) -> list[Sent]:
        """What was sent to a topic, in order."""
        return [record for record in self.sent if record.topic == topic]

    def compacted(self, topic: str) -> dict[bytes | None, bytes]:
        """What compaction would leave of a topic: the last value of each key, without the deleted."""
        last = {record.key: record.value for record in self.on(topic)}
        return {key: value for key, value in last.items() if value is not None}
