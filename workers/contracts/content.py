"""Content events: an item appears, changes or goes. The record's key is the ``item_id``."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, TypeAdapter, model_validator

from config.vocabulary import Modality
from workers.contracts.attributes import WireAttributes
from workers.contracts.base import Event, Wire, WireItemId
from workers.contracts.media import LocationContent, MediaContent, SensorContent, TextContent

ModalityContent = TextContent | MediaContent | LocationContent | SensorContent


class Modalities(Wire):
    """What an item is made of: any non-empty subset of the modalities."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    text: TextContent | None = None
    """Its words."""
    image: MediaContent | None = None
    """Its picture."""
    audio: MediaContent | None = None
    """Its sound."""
    video: MediaContent | None = None
    """Its clip: frames count as its picture and the track as its sound, where it has none of its own."""
    location: LocationContent | None = None
    """Where it is; also shown as the attributes ``latitude`` and ``longitude``."""
    sensor: SensorContent | None = None
    """What was measured."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.present():
            msg = f"an item needs at least one of {', '.join(Modality)}"
            raise ValueError(msg)
        return self

    def present(self) -> dict[Modality, ModalityContent]:
        """The modalities that are there, in the vocabulary's order."""
        each = {modality: getattr(self, modality.value) for modality in Modality}
        return {modality: content for modality, content in each.items() if content is not None}


class ContentUpsert(Event):
    """An item appears or changes: the whole item, which replaces what was known of it."""

    type: Literal["content.upsert"] = "content.upsert"
    """The kind of event."""
    item_id: WireItemId
    """Identity of the item, 1 to 256 characters; also the record's key, so that its events stay in order."""
    modalities: Modalities
    """What the item is made of."""
    attributes: WireAttributes = Field(default_factory=dict)
    """Up to 64 named values (strings, numbers, booleans, lists of strings) that filters see and results show."""


class ContentDelete(Event):
    """An item goes: it is found no more, and replays of its older events change nothing."""

    type: Literal["content.delete"] = "content.delete"
    """The kind of event."""
    item_id: WireItemId
    """Identity of the item; also the record's key."""


ContentEvent = Annotated[ContentUpsert | ContentDelete, Field(discriminator="type")]

CONTENT_EVENTS: TypeAdapter[ContentUpsert | ContentDelete] = TypeAdapter(ContentEvent)
"""Reads an event of the content topic."""
