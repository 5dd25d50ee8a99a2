"""Keeping the compacted ``vectors`` topic and the index the same, whatever order events arrive in."""

from collections.abc import Sequence

from config.errors import RejectEvent
from config.vocabulary import ItemId
from fusion.index.protocol import Item, Tombstone, VectorIndex
from workers.contracts.vectors import ItemVectors, deletion_headers
from workers.streams.records import Publisher
from workers.streams.together import together

Change = Item | Tombstone


class VectorsTopic:
    """Publishes items and deletions before they are written, and corrects the topic where a write proved stale.

    Compaction keeps the last record of a key and knows nothing of versions: an old event that arrives late would
    otherwise shadow the newer one for whoever rebuilds from the topic.
    """

    def __init__(self, name: str, publisher: Publisher, index: VectorIndex) -> None:
        self._name = name
        self._publisher = publisher
        self._index = index

    async def publish(self, changes: Sequence[Change]) -> dict[int, RejectEvent]:
        """Send the newest change of each item and wait for all confirmations.

        Returns:
            Why a change can never be sent, by ``id`` of the change; it must not be written either.

        Raises:
            RetryLater: When something was not confirmed.
        """
        by_item: dict[ItemId, list[Change]] = {}
        for change in changes:
            by_item.setdefault(change.item_id, []).append(change)
        refused = await together(self._publish_newest(each) for each in by_item.values())
        return {place: error for each in refused for place, error in each.items()}

    async def _publish_newest(self, changes: list[Change]) -> dict[int, RejectEvent]:
        refused: dict[int, RejectEvent] = {}
        for change in sorted(changes, key=lambda one: one.version, reverse=True):
            try:
                await self._send(change)
            except RejectEvent as exc:
                refused[id(change)] = exc
            else:
                break
        return refused

    async def mend(self, stale: Sequence[Change]) -> None:
        """After stale writes: send again what the index holds of these items, where that is something else."""
        if not stale:
            return
        versions = {change.item_id: change.version for change in sorted(stale, key=lambda one: one.version)}
        # A deletion goes out with its own version: that of the stale write would let through what lies in between. Read
        # first, so that an item written meanwhile is not taken for deleted; one of which nothing is known (the index
        # was emptied) stays on the topic as it is.
        known = await self._index.versions(list(versions))
        held = await self._index.fetch_whole(list(versions))
        absent = [Tombstone(item_id=each, version=known[each]) for each in known if each not in held]
        other = [item for item_id, item in held.items() if item.version != versions[item_id]]
        mending: list[Change] = [*absent, *other]
        await together(self._send(change) for change in mending)

    async def _send(self, change: Change) -> None:
        key = change.item_id.encode()
        if isinstance(change, Tombstone):
            headers = deletion_headers(change.version)
            await self._publisher.send(self._name, key=key, value=None, headers=headers)
            return
        record = ItemVectors.of(
            change.item_id,
            change.version,
            self._index.model,
            dict(change.vectors),
            change.attributes,
            segments=change.segments,
        )
        await self._publisher.send(self._name, key=key, value=record.to_bytes())
