"""Every topic: its name, key, partitions and how long it is kept."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from config.settings import KafkaSettings
from config.vocabulary import ModelRef, Role

DAY_MS = 86_400_000


class Topic(StrEnum):
    """The topics, by their name after the prefix."""

    CONTENT = "content"
    INTERACTIONS = "interactions"
    QUERIES = "queries"
    RESULTS = "results"
    VECTORS = "vectors"
    PROFILES = "profiles"
    TAG_COUNTS = "tag-counts"
    CALIBRATION = "calibration"
    DEAD_LETTERS = "dead-letters"
    REPLAYS = "replays"

    def named(self, prefix: str) -> str:
        """Full name of the topic under a prefix."""
        return f"{prefix}.{self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """How a topic is created.

    Args:
        compacted: Keep the last record of each key, instead of every record.
        retention_ms: How long a record is kept; -1 for ever.
        segment_ms: How long the broker appends to one file, which it compacts only once it is done with it; the
            broker's own choice when None.
        deletions_ms: How long compaction leaves the records that end a key; the broker's own choice (a day) when None.
    """

    name: str
    partitions: int
    replication_factor: int
    compacted: bool
    retention_ms: int
    max_message_bytes: int
    segment_ms: int | None = None
    deletions_ms: int | None = None

    def config(self) -> dict[str, str]:
        """Topic configuration in the broker's own terms."""
        kept: dict[str, str] = {}
        if self.compacted:
            kept["cleanup.policy"] = "compact" if self.retention_ms < 0 else "compact,delete"
        if not self.compacted or self.retention_ms >= 0:
            kept["retention.ms"] = str(self.retention_ms)
        if self.segment_ms is not None:
            kept["segment.ms"] = str(self.segment_ms)
        if self.deletions_ms is not None:
            kept["delete.retention.ms"] = str(self.deletions_ms)
        return kept | {"max.message.bytes": str(self.max_message_bytes)}


_COMPACTED = frozenset({Topic.VECTORS, Topic.PROFILES, Topic.TAG_COUNTS, Topic.CALIBRATION, Topic.REPLAYS})
# Results are read at once by whoever asked; content is what `reindex` reads, so it is kept for ever.
_RETENTION_MS = {
    Topic.CONTENT: -1,
    Topic.INTERACTIONS: 30 * DAY_MS,
    Topic.QUERIES: DAY_MS,
    Topic.RESULTS: DAY_MS,
    Topic.DEAD_LETTERS: 30 * DAY_MS,
    Topic.TAG_COUNTS: 30 * DAY_MS,
    Topic.REPLAYS: 30 * DAY_MS,  # a mark is younger than its letter and so outlives it
}
# A content worker reads what it counted before, and windows that are open get a record a second: an hour of them.
_SEGMENT_MS = {Topic.TAG_COUNTS: DAY_MS // 24}
# A rebuild restores what is deleted too: against events that come so much later than a newer deletion of their item.
_DELETIONS_MS = {Topic.VECTORS: 30 * DAY_MS}

# Base64 makes bytes a third larger and a dead letter wraps the original once more.
_WRAPPING_FACTOR = 2


def topic_specs(settings: KafkaSettings) -> list[TopicSpec]:
    """Every topic as it should exist under these settings."""
    return [
        TopicSpec(
            name=topic.named(settings.topic_prefix),
            partitions=settings.partitions,
            replication_factor=settings.replication_factor,
            compacted=topic in _COMPACTED,
            retention_ms=_RETENTION_MS.get(topic, -1),
            max_message_bytes=settings.max_event_bytes * (_WRAPPING_FACTOR if topic is Topic.DEAD_LETTERS else 1),
            segment_ms=_SEGMENT_MS.get(topic),
            deletions_ms=_DELETIONS_MS.get(topic),
        )
        for topic in Topic
    ]


INPUT_TOPIC = {
    Role.CONTENT: Topic.CONTENT,
    Role.INTERACTIONS: Topic.INTERACTIONS,
    Role.QUERIES: Topic.QUERIES,
}
"""Which topic each role consumes."""


def consumer_group(prefix: str, role: Role, stream: str = "") -> str:
    """Consumer group of a role under a prefix; content workers of a model with a topic of its own have one too."""
    return f"{prefix}-{role.value}" + (f"-{stream}" if stream else "")


def stream_name(model: ModelRef) -> str:
    """What topic and group of a model that another one is exchanged for are called after, such as ``builtin-2``."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", str(model))


def vectors_topic(prefix: str, stream: str = "") -> str:
    """The vectors topic of a model: the first one's, or the one named after it.

    Two models cannot share one: compaction keeps the last record of an item, whichever model's it is.
    """
    return Topic.VECTORS.named(prefix) + (f".{stream}" if stream else "")


def vectors_spec(settings: KafkaSettings, stream: str) -> TopicSpec:
    """How a model's own vectors topic is created: as the first one."""
    first = next(spec for spec in topic_specs(settings) if spec.name == vectors_topic(settings.topic_prefix))
    return replace(first, name=vectors_topic(settings.topic_prefix, stream))
