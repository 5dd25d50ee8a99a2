"""What each modality looks like on the wire; content events and query parts are made of these."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, model_validator

from workers.contracts.base import Language, Latitude, Longitude, Text, Wire

MAX_CHANNELS = 64
MAX_READINGS = 100_000

Uri = Annotated[str, StringConstraints(min_length=1, max_length=2048, pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$")]
"""An absolute address: ``https://…``, or ``file:///…`` under a folder that the operator allowed."""

MediaType = Annotated[str, StringConstraints(max_length=127, pattern=r"^[\w.+-]+/[\w.+-]+(\s*;.*)?$")]
"""A media type such as ``audio/wav``."""

ChannelName = Annotated[str, StringConstraints(min_length=1, max_length=128)]


_ONE_SOURCE: list[JsonValue] = [
    {"required": ["uri"], "properties": {"uri": {"type": "string"}}},
    {"required": ["data"], "properties": {"data": {"type": "string"}}},
]


class TextContent(Wire):
    """A text."""

    text: Text
    """The text itself, in any language; at most 100,000 characters."""
    language: Language | None = None
    """BCP 47 tag of its language, if known."""


class MediaContent(Wire):
    """A picture, sound or clip: by address, or inline as base64. Exactly one of ``uri`` and ``data``."""

    model_config = ConfigDict(json_schema_extra={"oneOf": _ONE_SOURCE})

    uri: Uri | None = None
    """Where to fetch it: ``http(s)://``, or ``file://`` under an allowed folder."""
    data: str | None = Field(None, min_length=1)
    """The file's bytes in standard base64, with padding and without line breaks."""
    media_type: MediaType | None = None
    """What the sender believes it to be; the file's own bytes decide."""

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Self:
        if (self.uri is None) == (self.data is None):
            given = "both are given" if self.uri else "neither is given"
            msg = f"give exactly one of 'uri' and 'data'; {given}"
            raise ValueError(msg)
        return self


class LocationContent(Wire):
    """A point on Earth, WGS 84."""

    latitude: Latitude
    """Degrees north, -90 to 90."""
    longitude: Longitude
    """Degrees east, -180 to 180."""


class SensorContent(Wire):
    """Readings of one or more channels at a steady rate."""

    channels: Annotated[tuple[ChannelName, ...], Field(min_length=1, max_length=MAX_CHANNELS)]
    """Name of each channel with its unit, such as ``temperature_celsius``; no two alike."""
    sample_rate_hz: float = Field(gt=0, le=1e6)
    """Readings a second."""
    values: Annotated[tuple[tuple[float | None, ...], ...], Field(min_length=1, max_length=MAX_READINGS)]
    """One row a moment, oldest first, with one number a channel; null where a reading is missing."""

    @model_validator(mode="after")
    def _is_a_table(self) -> Self:
        if len(set(self.channels)) < len(self.channels):
            msg = "two channels have the same name"
            raise ValueError(msg)
        width = len(self.channels)
        for number, row in enumerate(self.values):
            if len(row) != width:
                msg = f"values[{number}] has {len(row)} numbers for {width} channels"
                raise ValueError(msg)
        return self
