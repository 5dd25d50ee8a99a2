"""How items lie in Redis, written here and nowhere else: names of keys, bytes of vectors, JSON of attributes."""

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from config.errors import Reason, RejectEvent
from config.vocabulary import Attributes, ItemId, Modality, ModelRef
from fusion.index.protocol import FUSED

MAX_ID_BYTES = 512
"""Longest item id in UTF-8: ids are repeated in every vector set, in every result and in every key."""

_MAGIC = b"CCV1"
_HEAD = struct.Struct("<4sIB")  # magic, dims, number of vectors; then each name as length byte and ASCII
_FLOAT32 = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class Keys:
    """Names of the keys of one model in one prefix; a shard's keys share a hash tag, so a script may touch them all.

    Args:
        layout: Name of the layout (see ``layouts``); empty for the first one.
    """

    prefix: str
    shards: int
    model: ModelRef
    layout: str = ""

    def tag(self, shard: int) -> str:
        """What all keys of a shard start with."""
        return f"{{{self.prefix}:{self.layout}:{shard}}}" if self.layout else f"{{{self.prefix}:{shard}}}"

    def shard_of(self, identity: str) -> int:
        """The shard that an item id (or a user id) lives in."""
        return zlib.crc32(identity.encode()) % self.shards

    def vectors(self, shard: int, target: Modality | str) -> str:
        """The vector set of a modality, or of ``FUSED``."""
        return f"{self.tag(shard)}:vec:{self.model}:{target}"

    def item(self, shard: int, item_id: ItemId) -> str:
        """The hash with an item's versions, attributes and packed vectors, one field of each a model."""
        return f"{self.tag(shard)}:item:{item_id}"

    def calibration(self, part: str = "") -> str:
        """The hash with the model's measured backgrounds, or what lies beside it."""
        return f"{{{self.prefix}:0}}:calibration:{self.model}" + (f":{part}" if part else "")

    def record(self) -> str:
        """The hash that says which layouts there are; beside the first one's, for it leads to the others."""
        return f"{{{self.prefix}:0}}:layout"

    def followers(self) -> str:
        """The workers that read the record."""
        return f"{self.record()}:followers"

    def item_fields(self) -> tuple[str, ...]:
        """What an item's hash holds of the model."""
        return tuple(f"{name}:{self.model}" for name in ("version", "attributes", "vectors", "segments"))

    def meta(self, shard: int) -> str:
        """The hash that says how a shard is laid out, so that a wrong setting is noticed before it does harm."""
        return f"{self.tag(shard)}:meta"


def check_item_id(item_id: ItemId) -> None:
    """Refuse an id that cannot be a key: empty, too long, or not encodable.

    Raises:
        RejectEvent: ``INVALID_EVENT`` on ``item_id``.
    """
    try:
        size = len(item_id.encode())
    except UnicodeEncodeError as exc:
        raise RejectEvent(
            Reason.INVALID_EVENT, "holds half a surrogate pair: send valid Unicode", field="item_id"
        ) from exc
    if not 1 <= size <= MAX_ID_BYTES:
        message = f"must have 1 to {MAX_ID_BYTES} bytes in UTF-8, not {size}"
        raise RejectEvent(Reason.INVALID_EVENT, message, field="item_id")


def pack_vectors(vectors: Mapping[Modality, NDArray[np.float32]]) -> bytes:
    """Lay vectors of shape (dims,) out as a header that names them and their float32 values, little endian."""
    names = sorted(vectors)
    dims = len(vectors[names[0]])
    header = _HEAD.pack(_MAGIC, dims, len(names)) + b"".join(bytes([len(name)]) + name.encode() for name in names)
    return header + b"".join(np.asarray(vectors[name], _FLOAT32).tobytes() for name in names)


def unpack_vectors(packed: bytes) -> dict[Modality, NDArray[np.float32]]:
    """Read what ``pack_vectors`` wrote; the arrays are read-only views of ``packed``.

    Raises:
        ValueError: If the bytes are not such a layout, or a modality is unknown.
    """
    if len(packed) < _HEAD.size or not packed.startswith(_MAGIC):
        msg = "not packed vectors: the header is missing"
        raise ValueError(msg)
    _, dims, count = _HEAD.unpack_from(packed)
    start = len(packed) - count * dims * _FLOAT32.itemsize
    names, named_until = _names(packed[: max(start, 0)], count)
    if start != named_until:
        msg = f"packed vectors are {len(packed)} bytes long, their header says otherwise"
        raise ValueError(msg)
    rows = np.frombuffer(packed, _FLOAT32, offset=start).reshape(count, dims)
    return dict(zip(names, rows, strict=True))


@lru_cache(maxsize=256)  # a query reads hundreds of items, and nearly all have the same modalities
def _names(head: bytes, count: int) -> tuple[tuple[Modality, ...], int]:
    """The names that a header holds, and where they end; fewer than ``count`` when it is cut short."""
    names: list[Modality] = []
    at = _HEAD.size
    while len(names) < count and at < len(head):
        end = at + 1 + head[at]
        names.append(Modality(head[at + 1 : end].decode()))
        at = end
    return tuple(names), at if len(names) == count else -1


def dump_attributes(attributes: Attributes) -> str:
    """Attributes as the JSON that filters read: compact, Unicode as it is.

    Raises:
        RejectEvent: ``INVALID_EVENT`` when a value is not finite.
    """
    try:
        return json.dumps(attributes, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError as exc:
        raise RejectEvent(Reason.INVALID_EVENT, "numbers must be finite", field="attributes") from exc


def load_attributes(text: bytes | str) -> Attributes:
    """Read what ``dump_attributes`` wrote."""
    attributes: Attributes = json.loads(text)
    return attributes


def fused_vector(vectors: Mapping[Modality, NDArray[np.float32]]) -> NDArray[np.float32]:
    """The mean of an item's aligned vectors, of unit length: float32 of shape (dims,).

    Vectors that cancel out have no mean direction; the first by name stands for them then.
    """
    names = sorted(vectors)
    total = np.sum([np.asarray(vectors[name], np.float64) for name in names], axis=0)
    length = float(np.linalg.norm(total))
    if length < 1e-6:  # float32 noise around zero points anywhere
        return np.asarray(vectors[names[0]], np.float32)
    return np.asarray(total / length, np.float32)


def targets(modalities: Iterable[Modality]) -> tuple[str, ...]:
    """Every vector set of a shard, in a fixed order, ``FUSED`` last."""
    return (*(str(modality) for modality in sorted(modalities)), FUSED)
