"""Filling an index from records of the compacted ``vectors`` topic: nothing is encoded, and versions decide.

Content workers may go on writing: what they wrote since is newer and stays. So it may be run twice, or ended half way
and begun anew; what is there already costs one comparison.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from config.errors import CrosscurrentError, Misconfigured, RejectEvent
from config.vocabulary import ItemId, ModelRef, Version
from fusion.index.checks import check_change
from fusion.index.protocol import Item, Tombstone, VectorIndex, WriteOutcome
from workers.contracts.parse import parse_event
from workers.contracts.vectors import ITEM_VECTORS, deletion_version
from workers.operate.past_records import PastRecord
from workers.operate.patience import Patience
from workers.streams.vectors_topic import VectorsTopic

_TOGETHER: Final = 64
"""Items of one call: a tenth of a second of Redis, so that queries get in between."""

Change = Item | Tombstone


@dataclass(slots=True, kw_only=True)
class Refilled:
    """What became of the records.

    Args:
        items: Written.
        deletions: Written, so that what is older than they are stays refused.
        kept: Changed nothing: what the index holds is as new.
        mended: Sent again, for the topic ended with something older than what the index holds.
        passed_over: Records that are no change of this model's items, by why.
    """

    items: int = 0
    deletions: int = 0
    kept: int = 0
    mended: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)


class Refill:
    """Writes records into an index.

    Args:
        index: Of the model whose records are wanted.
        patience: How long to bear with an index that is away.
    """

    def __init__(self, index: VectorIndex, patience: Patience) -> None:
        self._index = index
        self._patience = patience
        self.done = Refilled()
        # Items of which the newest record may not be the last: what compaction would leave is looked at in the end.
        self._doubtful: dict[ItemId, Version] = {}

    async def add(self, records: Sequence[PastRecord]) -> None:
        """Write what records say, the newest of each item.

        Raises:
            Misconfigured: The index is not made for these vectors.
            RetryLater: The index was away for too long.
        """
        newest: dict[ItemId, Change] = {}
        last: dict[ItemId, Version] = {}
        for change in self._changes(records):
            last[change.item_id] = change.version
            held = newest.get(change.item_id)
            if held is None or held.version < change.version:
                newest[change.item_id] = change
        changes = list(newest.values())
        for start in range(0, len(changes), _TOGETHER):
            await self._write(changes[start : start + _TOGETHER], last)
            await asyncio.sleep(0)

    async def mend(self, topic: VectorsTopic) -> None:
        """Once all was added: send again what the index holds of items whose last record is older than that.

        An old event that came while the index was empty was taken for new and sent; compaction would leave it alone.

        Raises:
            RetryLater: The index or the broker was away for too long.
        """
        doubtful, self._doubtful = list(self._doubtful.items()), {}
        for start in range(0, len(doubtful), _TOGETHER):
            last = dict(doubtful[start : start + _TOGETHER])
            held = await self._patience.bear(partial(self._index.versions, list(last)))
            older = [
                Tombstone(item_id=each, version=last[each]) for each, version in held.items() if version != last[each]
            ]
            await self._patience.bear(partial(topic.mend, older))
            self.done.mended += len(older)

    async def _write(self, changes: Sequence[Change], last: Mapping[ItemId, Version]) -> None:
        outcomes = await self._patience.bear(lambda: self._index.write(changes))
        for change, outcome in zip(changes, outcomes, strict=True):
            if outcome is WriteOutcome.STALE or change.version != last[change.item_id]:
                self._doubtful[change.item_id] = last[change.item_id]
            else:
                self._doubtful.pop(change.item_id, None)
            if outcome is WriteOutcome.STALE:
                self.done.kept += 1
            elif isinstance(change, Item):
                self.done.items += 1
            else:
                self.done.deletions += 1

    def _changes(self, records: Iterable[PastRecord]) -> Iterable[Change]:
        for record in records:
            try:
                yield self._checked(change_of(record, self._index.model, self._index.dims))
            except PassedOver as exc:
                self.done.passed_over[str(exc)] += 1

    def _checked(self, change: Change) -> Change:
        """A record is sent before the index sees it: what the index refused then was refused for good."""
        try:
            check_change(change, self._index.dims, self._index.modalities)
        except (RejectEvent, ValueError) as exc:
            raise PassedOver("an item that the index refuses") from exc
        return change


class PassedOver(CrosscurrentError):  # noqa: N818 - what happens to the record
    """A record that changes nothing of this model's index; says why, alike for all of a kind."""


def change_of(record: PastRecord, model: ModelRef, dims: int) -> Change:
    """What a record of the topic says of its item.

    Raises:
        PassedOver: It is no record of the topic, a deletion without a version, or another model's.
        Misconfigured: Its vectors are of another length than the model's.
    """
    if record.value is None:
        return _deletion(record)
    try:
        read = parse_event(record.value, ITEM_VECTORS)
    except RejectEvent as exc:
        raise PassedOver("no record of item vectors") from exc
    if read.model != str(model):
        raise PassedOver(f"vectors of {read.model}, and the settings name {model}")
    if read.dims != dims:
        raise Misconfigured(
            f"the vectors topic holds vectors of length {read.dims} of {model}, which makes {dims}: two models have "
            "one name; give one of them another name or version"
        )
    return Item(
        item_id=read.item_id,
        version=read.version(),
        vectors=read.unpacked(),
        attributes=read.attributes,
        segments=read.unpacked_segments(),
    )


def _deletion(record: PastRecord) -> Tombstone:
    version = deletion_version(record.headers)
    if record.key is None or version is None:
        raise PassedOver("a deletion without a version")
    try:
        return Tombstone(item_id=ItemId(record.key.decode()), version=version)
    except UnicodeDecodeError as exc:
        raise PassedOver("a deletion of no item") from exc
