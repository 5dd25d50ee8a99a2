"""The parts of a query, fetched, decoded and encoded."""

from collections.abc import Sequence

from config.errors import Reason, RejectEvent
from config.vocabulary import Modality
from encoders.base import Vector
from fusion.request import QueryPart
from workers.contracts.query import Part, Query
from workers.streams.encoding import Batcher, mean_direction
from workers.streams.inputs import Input, InputReader
from workers.streams.together import together

_HINTS = {Modality.LOCATION: "; to prefer what is near a place, use 'near'"}


class PartEncoder:
    """Encodes the parts of queries; inputs of queries that run at the same time share device batches."""

    def __init__(self, batcher: Batcher, reader: InputReader) -> None:
        self._batcher = batcher
        self._reader = reader

    async def encode(self, query: Query) -> tuple[list[QueryPart], list[str]]:
        """Encode every part of a query.

        Returns:
            The parts that count, and a warning for each that the profile cannot encode.

        Raises:
            StageError: A part cannot be fetched or decoded.
            RejectEvent: A part cannot be encoded, or none of them can by this profile.
        """
        wanted = [(place, part) for place, part in enumerate(query.parts) if part.weight]
        unread = [(place, part) for place, part in wanted if not self._reader.can_read(part.modality)]
        if len(unread) == len(wanted):
            place, part = wanted[0]
            message = self._cannot(part) + f"; it encodes {', '.join(sorted(self._batcher.encoders.modalities))}"
            raise RejectEvent(Reason.UNSUPPORTED_MODALITY, message, field=f"parts[{place}].modality")
        read = await together(self._reader.read(part.modality, part, f"parts[{place}]") for place, part in wanted)
        vectors = await self._vectors([made for inputs in read for made in inputs])
        parts = [
            encoded
            for (_, part), inputs in zip(wanted, read, strict=True)
            for encoded in _query_parts(part, inputs, [vectors.pop(0) for _ in inputs])
        ]
        return parts, [f"parts[{place}] was not used: {self._cannot(part)}" for place, part in unread]

    async def _vectors(self, inputs: Sequence[Input]) -> list[Vector]:
        vectors: list[Vector] = []
        found = await self._batcher.encode_many([(made.modality, made.value) for made in inputs])
        for made, vector in zip(inputs, found, strict=True):
            if isinstance(vector, RejectEvent):
                raise RejectEvent(vector.reason, vector.message, field=vector.field or made.field) from vector
            vectors.append(vector)
        return vectors

    def _cannot(self, part: Part) -> str:
        return f"{self._batcher.encoders.model} does not encode {part.modality}{_HINTS.get(part.modality, '')}"


def _query_parts(part: Part, inputs: Sequence[Input], vectors: Sequence[Vector]) -> list[QueryPart]:
    """One part for each modality that came of it; a clip's pictures and sound share its weight."""
    by_modality: dict[Modality, list[Vector]] = {}
    for made, vector in zip(inputs, vectors, strict=True):
        by_modality.setdefault(made.modality, []).append(vector)
    return [
        QueryPart(modality=modality, vector=mean_direction(found), weight=part.weight / len(by_modality))
        for modality, found in by_modality.items()
    ]
