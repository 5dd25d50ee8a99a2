"""The contract of a vector index, kept by Redis vector sets and by the exact index in memory alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Attributes, ItemId, Modality, ModelRef, Version

FUSED = "fused"
"""Name of the vector set that holds the mean of each item's aligned vectors (DESIGN.md section 4)."""


class WriteOutcome(StrEnum):
    """What became of a write."""

    APPLIED = "applied"
    STALE = "stale"
    """Older than, or the same as, what is stored: changed nothing. A replay ends here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A piece of an item that a summary may show: a passage of its text, a frame of its clip, a stretch of its sound.

    Args:
        modality: How it was encoded: as text, image or audio.
        source: What of the item its place counts in: a clip's frames and its track lie in ``video``.
        start: Where it begins, in characters of the text or in seconds; None for a still picture.
        end: Where it ends; where it begins, for a frame.
        text: A passage's words; empty for others.
        codes: One int8 a dimension, its direction (see ``segment_layout``); empty where it is all that the item has of
            the modality, whose vector then stands for it.
    """

    modality: Modality
    source: Modality
    start: float | None = None
    end: float | None = None
    text: str = ""
    codes: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An item as stored: its vectors, attributes and version belong together and are written together.

    Args:
        vectors: One float32 unit vector of shape (dims,) a modality; not empty.
        attributes: What filters see and results show.
        segments: What summaries are made of, in reading order; ``fetch`` leaves them out.
    """

    item_id: ItemId
    version: Version
    vectors: Mapping[Modality, NDArray[np.float32]]
    attributes: Attributes = field(default_factory=dict)
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """A deletion; outlives replays of older writes."""

    item_id: ItemId
    version: Version


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorSearch:
    """One nearest-neighbour search by cosine.

    Args:
        target: The modality whose vectors are searched, or ``FUSED``.
        vector: float32 of shape (dims,); any non-zero norm.
        count: How many neighbours, over all shards together.
        filter: Expression in the vector sets' filter language, such as ``.year > 2020``; empty for none.
        effort: Search effort (EF); the index's default when None.
        deadline: When an answer is worth nothing any more, on the event loop's clock; None for never.
    """

    target: Modality | str
    vector: NDArray[np.float32]
    count: int
    filter: str = ""
    effort: int | None = None
    deadline: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """An item found, with its cosine in [-1, 1] as the index computed it (approximate where vectors are quantised)."""

    item_id: ItemId
    cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchReport:
    """The neighbours of each search, best first, ties by item id, and what could not be asked.

    Args:
        neighbours: One list a search, in the order of the searches.
        failed_shards: Shards that did not answer; their items are missing from every list.
        unfilled: Places of filtered searches that may lack items because there was no time to look at all of them.
    """

    neighbours: Sequence[Sequence[Neighbour]]
    failed_shards: tuple[int, ...] = ()
    unfilled: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """Items read, and what could not be asked.

    Args:
        items: Those that are there.
        failed_shards: Shards that did not answer; their items are missing.
    """

    items: Mapping[ItemId, Item]
    failed_shards: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorSample:
    """Random items of one modality.

    Args:
        item_ids: Whose vectors they are; none twice.
        vectors: float32 of shape (items, dims), in full precision.
    """

    item_ids: tuple[ItemId, ...]
    vectors: NDArray[np.float32]

    @classmethod
    def of(cls, items: Sequence[Item], modality: Modality, dims: int) -> Self:
        """The vectors of items that all have the modality."""
        vectors = np.array([item.vectors[modality] for item in items], np.float32)
        return cls(item_ids=tuple(item.item_id for item in items), vectors=vectors.reshape(len(items), dims))


@runtime_checkable
class VectorIndex(Protocol):
    """Items by vector. All methods raise ``RetryLater`` for transient trouble and ``RejectEvent`` for bad filters."""

    @property
    def model(self) -> ModelRef:
        """The model whose vectors it holds."""
        ...

    @property
    def dims(self) -> int:
        """Length of its vectors."""
        ...

    @property
    def modalities(self) -> frozenset[Modality]:
        """The modalities it may hold: what a query searches that does not say."""
        ...

    async def write(self, changes: Sequence[Item | Tombstone]) -> list[WriteOutcome]:
        """Apply each change unless what is stored is as new; each item atomically, one outcome a change, in order."""
        ...

    async def search(self, searches: Sequence[VectorSearch]) -> SearchReport:
        """Run all searches, one round trip a shard; a filtered list is as long as it can be, whatever that takes.

        A shard that has not answered by the searches' deadline counts as failed.

        Raises:
            RejectEvent: With ``Reason.INVALID_FILTER`` when a filter does not parse.
            RetryLater: When no shard answered.
        """
        ...

    async def fetch(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """Read items with their full-precision vectors, one round trip a shard; unknown and deleted ids are absent."""
        ...

    async def fetch_whole(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """Read items as ``fetch`` does, and with them their segments, which are many times larger."""
        ...

    async def versions(self, item_ids: Sequence[ItemId]) -> dict[ItemId, Version]:
        """The versions of the last writes, deletions included; ids never written are absent."""
        ...

    async def read(self, item_ids: Sequence[ItemId], *, deadline: float | None = None) -> ReadReport:
        """The same as ``fetch`` from every shard that answers by the deadline, on the event loop's clock.

        Raises:
            RetryLater: When none of those asked did.
        """
        ...

    async def scan_ids(self, count: int) -> list[ItemId]:
        """Up to ``count`` item ids in no particular order, for sampling."""
        ...

    async def sample_vectors(self, modality: Modality, count: int) -> VectorSample:
        """Vectors of up to ``count`` random items that have the modality."""
        ...

    async def counts(self) -> dict[Modality, int]:
        """How many items have each modality."""
        ...

    async def check(self) -> None:
        """See that the store is there, of a fitting version, and holds vectors of this model and length.

        Raises:
            Misconfigured: If an operator must change something; says what.
            RetryLater: If it cannot be reached.
        """
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
