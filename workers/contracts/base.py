"""What all events share: strict frozen models, bounded words, the envelope, and how an event becomes bytes."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from config.vocabulary import ItemId, QueryId, UserId

SCHEMA_VERSION: Literal[1] = 1

MAX_ID_CHARS = 256
MAX_TEXT_CHARS = 100_000

# Control characters in an id would break logs, Redis keys and terminals; everything else, emoji included, is welcome.
_ID = StringConstraints(min_length=1, max_length=MAX_ID_CHARS, pattern=r"^[^\x00-\x1f\x7f]+$")

WireItemId = Annotated[ItemId, _ID]
WireUserId = Annotated[UserId, _ID]
WireQueryId = Annotated[QueryId, _ID]
WireId = Annotated[str, _ID]

Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_CHARS, pattern=r"\S")]
"""Some text: at least one visible character, at most 100,000 characters."""

Language = Annotated[str, StringConstraints(max_length=35, pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]
"""BCP 47 tag such as ``en`` or ``zh-Hant``."""

Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]


class Wire(BaseModel):
    """A value on the wire: strict types, unknown fields refused, never changed once read."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class Event(Wire):
    """The envelope of every event."""

    schema_version: Literal[1] = SCHEMA_VERSION
    """Version of the contract this event is written in."""
    occurred_at: AwareDatetime | None = None
    """When it happened, RFC 3339 with a time zone; the Kafka record's timestamp when absent."""

    def occurred_at_ms(self, record_timestamp_ms: int) -> int:
        """Event time in milliseconds since 1970, the record's own timestamp where the sender gave none."""
        return record_timestamp_ms if self.occurred_at is None else int(self.occurred_at.timestamp() * 1000)

    def to_bytes(self) -> bytes:
        """The event as compact UTF-8 JSON; absent fields are left out."""
        return self.model_dump_json(exclude_none=True).encode()
