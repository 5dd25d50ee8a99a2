"""Records of the compacted ``vectors`` topic: an item's aligned vectors, from which an empty index is refilled.

The key is the ``item_id``; a deleted item ends as a record without value, which compaction removes in time. Its version
is in the header ``version``, so that whoever refills an index refuses what is older than the deletion.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, model_validator

from config.vocabulary import Attributes, ItemId, Modality, ModelRef, Version
from fusion.index.protocol import Segment
from workers.contracts.attributes import AttributeName, AttributeValue
from workers.contracts.base import Event, Wire, WireItemId

VERSION_HEADER: Final = "version"
"""Header of a deletion: event time in milliseconds, a colon, the offset."""

_VERSION = re.compile(rb"(-?\d{1,19}):(\d{1,19})")

PackedVector = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+={0,2}$")]
"""A vector's float32 numbers, little-endian, as base64."""


PackedCodes = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$")]
"""A direction's int8 numbers as base64."""


def pack_vector(vector: NDArray[np.float32]) -> str:
    """Write a float32 vector of shape (dims,) as base64 of its little-endian bytes."""
    return base64.b64encode(np.ascontiguousarray(vector, dtype="<f4").tobytes()).decode()


def unpack_vector(packed: str) -> NDArray[np.float32]:
    """Read a vector back: float32 of shape (dims,), bit for bit what was packed.

    Raises:
        ValueError: If it is not base64 of whole float32 numbers.
    """
    return np.frombuffer(base64.b64decode(packed, validate=True), dtype="<f4").astype(np.float32)


class ItemSegment(Wire):
    """A piece of an item that a summary may show: a passage, a frame or a stretch of sound."""

    modality: Modality
    """How it was encoded: ``text``, ``image`` or ``audio``."""
    source: Modality
    """What of the item its place counts in: a clip's frames and track lie in ``video``."""
    start: float | None = None
    """Where it begins, in characters or seconds; absent for a still picture."""
    end: float | None = None
    """Where it ends."""
    text: str = ""
    """A passage's words."""
    codes: PackedCodes = ""
    """Its direction, one int8 a dimension, as base64; empty where the item's own vector stands for it."""

    @classmethod
    def of(cls, segment: Segment) -> Self:
        """Write a segment."""
        codes = base64.b64encode(segment.codes).decode()
        return cls(
            modality=segment.modality,
            source=segment.source,
            start=segment.start,
            end=segment.end,
            text=segment.text,
            codes=codes,
        )

    def unpacked(self) -> Segment:
        """Read it back."""
        codes = base64.b64decode(self.codes, validate=True)
        return Segment(
            modality=self.modality, source=self.source, start=self.start, end=self.end, text=self.text, codes=codes
        )


class ItemVectors(Event):
    """An item as the encoders left it: enough to write it into an index again, bit for bit."""

    item_id: WireItemId
    """The item; also the record's key."""
    version_ms: int
    """Event time of the content event, in milliseconds since 1970."""
    version_offset: int = Field(ge=0)
    """Offset of the content event, which breaks ties of event time."""
    model: str = Field(pattern=r"^[^@]+@[^@]+$")
    """The model that made the vectors, as ``name@version``."""
    dims: int = Field(ge=1)
    """Length of every vector."""
    vectors: Annotated[dict[Modality, PackedVector], Field(min_length=1)]
    """One unit vector a modality: little-endian float32, as base64."""
    # Location and each label set add two names to the sender's, so the sender's bound of 64 is not repeated here.
    attributes: dict[AttributeName, AttributeValue] = Field(default_factory=dict)
    """What filters see and results show."""
    segments: tuple[ItemSegment, ...] = ()
    """What summaries are made of, in reading order."""

    @model_validator(mode="after")
    def _vectors_have_their_length(self) -> Self:
        for modality, packed in self.vectors.items():
            length = len(unpack_vector(packed))
            if length != self.dims:
                msg = f"the vector of {modality} has {length} numbers, not {self.dims}"
                raise ValueError(msg)
        for place, segment in enumerate(self.segments):
            if segment.codes and (length := len(segment.unpacked().codes)) != self.dims:
                msg = f"segments[{place}] has {length} codes, not {self.dims}"
                raise ValueError(msg)
        return self

    @classmethod
    def of(
        cls,
        item_id: ItemId,
        version: Version,
        model: ModelRef,
        vectors: dict[Modality, NDArray[np.float32]],
        attributes: Attributes,
        *,
        segments: Sequence[Segment] = (),
    ) -> Self:
        """Pack what an index holds of an item; every vector is float32 of the same shape (dims,)."""
        return cls(
            item_id=item_id,
            version_ms=version.occurred_at_ms,
            version_offset=version.offset,
            model=str(model),
            dims=len(next(iter(vectors.values()))),
            vectors={modality: pack_vector(vector) for modality, vector in vectors.items()},
            attributes=attributes,
            segments=tuple(map(ItemSegment.of, segments)),
        )

    def unpacked_segments(self) -> tuple[Segment, ...]:
        """The segments, as an index holds them."""
        return tuple(segment.unpacked() for segment in self.segments)

    def version(self) -> Version:
        """The item's version."""
        return Version(self.version_ms, self.version_offset)

    def unpacked(self) -> dict[Modality, NDArray[np.float32]]:
        """The vectors: float32 of shape (dims,) by modality."""
        return {modality: unpack_vector(packed) for modality, packed in self.vectors.items()}


ITEM_VECTORS: TypeAdapter[ItemVectors] = TypeAdapter(ItemVectors)
"""Reads a record of the vectors topic."""


def deletion_headers(version: Version) -> dict[str, bytes]:
    """Headers of the record without value that ends a deleted item."""
    return {VERSION_HEADER: f"{version.occurred_at_ms}:{version.offset}".encode()}


def deletion_version(headers: Mapping[str, bytes]) -> Version | None:
    """Read them; None where there is no version, or something that is none."""
    found = _VERSION.fullmatch(headers.get(VERSION_HEADER, b""))
    return None if found is None else Version(int(found[1]), int(found[2]))
