"""The least rights on the broker: which operation on which topic or group each worker needs. See docs/security.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from config.settings import Settings
from config.vocabulary import Role
from workers.contracts.topics import INPUT_TOPIC, Topic, consumer_group, vectors_topic

Operation = Literal["Read", "Write"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One operation on one thing; ``Read`` and ``Write`` bring ``Describe`` with them."""

    operation: Operation
    kind: Literal["topic", "group"] = "topic"
    name: str

    def __str__(self) -> str:
        return f"{self.operation} on {self.kind} {self.name}"


def rights_of(role: Role, settings: Settings, stream: str = "") -> Sequence[Right]:
    """What a worker of this role does on the broker under these settings.

    Args:
        role: Whose worker.
        settings: Which topics there are, and what is switched on.
        stream: Of a content worker whose model has a topic and a group of its own; see ``vectors_topic``.
    """
    prefix = settings.kafka.topic_prefix
    reads = [INPUT_TOPIC[role].named(prefix)]
    writes = [Topic.DEAD_LETTERS.named(prefix)]
    match role:
        case Role.CONTENT:
            writes.append(vectors_topic(prefix, stream))
            if settings.tagging.label_sets():
                reads.append(Topic.TAG_COUNTS.named(prefix))
                writes.append(Topic.TAG_COUNTS.named(prefix))
        case Role.INTERACTIONS:
            writes.append(Topic.PROFILES.named(prefix))
        case Role.QUERIES:
            writes.append(Topic.RESULTS.named(prefix))
            if settings.query.calibration_refresh_s:
                reads.append(Topic.CALIBRATION.named(prefix))
                writes.append(Topic.CALIBRATION.named(prefix))
    return [
        *(Right(operation="Read", name=name) for name in reads),
        *(Right(operation="Write", name=name) for name in writes),
        Right(operation="Read", kind="group", name=consumer_group(prefix, role, stream)),
    ]
