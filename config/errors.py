"""The exception tree: each class is an instruction to whoever catches it.

::

    CrosscurrentError
    ├── Misconfigured          an operator must change something; the message says what (process refuses to start)
    ├── RejectEvent            this event can never be served: dead letter (or an error result), then go on
    │   └── MediaRejected      the same, for a picture, sound or clip that cannot be fetched or decoded
    └── RetryLater             transient: nothing is wrong with the event, try again after ``retry_after_s``

Library errors are wrapped once, where the library is known, with the cause kept (``raise … from exc``).
"""

from collections.abc import Sequence
from enum import StrEnum


class Reason(StrEnum):
    """Why an event was refused: the closed label set of ``dead_letters_total`` and the codes of error results."""

    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    INVALID_EVENT = "invalid_event"
    EVENT_TOO_LARGE = "event_too_large"
    UNSUPPORTED_SCHEMA_VERSION = "unsupported_schema_version"
    UNSUPPORTED_MODALITY = "unsupported_modality"
    MEDIA_NOT_ALLOWED = "media_not_allowed"
    MEDIA_NOT_FOUND = "media_not_found"
    MEDIA_TOO_LARGE = "media_too_large"
    MEDIA_UNDECODABLE = "media_undecodable"
    MEDIA_EMPTY = "media_empty"
    ENCODER_FAILED = "encoder_failed"
    INVALID_FILTER = "invalid_filter"
    UNKNOWN_ITEM = "unknown_item"
    UNKNOWN_USER = "unknown_user"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    INTERNAL = "internal"


class CrosscurrentError(Exception):
    """Root of every error this project raises on purpose."""


class Misconfigured(CrosscurrentError):  # noqa: N818 - an instruction, named for the situation
    """An operator must change something. Carries every problem found, not only the first."""

    def __init__(self, *problems: str) -> None:
        self.problems: Sequence[str] = problems
        head = f"{len(problems)} problems: " if len(problems) > 1 else ""
        super().__init__(head + "; ".join(problems))


class RejectEvent(CrosscurrentError):  # noqa: N818
    """The event can never be served as it is.

    Args:
        reason: The closed reason, counted and written to the dead letter or the error result.
        message: What is wrong and the way out, for a person; never holds a secret or a file's content.
        field: Path of the offending field in the event, such as ``modalities.image.uri``; empty if none.
    """

    def __init__(self, reason: Reason, message: str, *, field: str = "") -> None:
        self.reason = reason
        self.field = field
        self.message = message
        super().__init__(f"{field}: {message}" if field else message)


class MediaRejected(RejectEvent):
    """A picture, sound or clip that may not be fetched, cannot be decoded, or holds nothing."""


class RetryLater(CrosscurrentError):  # noqa: N818
    """Transient trouble (Redis down, broker away): keep the event, wait, try again."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)
