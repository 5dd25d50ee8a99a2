"""Items read lately, kept in this process so that the next query need not be sent their vectors again.

Nothing here is believed unseen. Whoever reads sends the versions it holds along, and the store answers each with "still
so" or with the whole item: one round trip either way, and never an old answer. A version names an item's content only
within one life of the store, so that life has a name too (``epoch``): after a flush and a refill nothing held counts.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from config.vocabulary import ItemId
from fusion.index.protocol import Item

_OVERHEAD_BYTES: Final = 1500
"""What the objects around an item's vectors and attributes weigh: arrays, dictionaries, strings."""


@dataclass(frozen=True, slots=True)
class Held:
    """An item, and the marks by which the store knows it: as stored, not parsed again."""

    item: Item
    version: bytes
    epoch: bytes


class ItemCache:
    """Holds items up to a bound of memory; the least lately used goes first. One event loop.

    Args:
        max_bytes: Bound; 0 holds nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held: OrderedDict[ItemId, tuple[Held, int]] = OrderedDict()
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, item_id: ItemId, epoch: bytes) -> Held | None:
        """What is held of an item from this life of the store."""
        entry = self._held.get(item_id)
        if entry is None or entry[0].epoch != epoch:
            return None
        self._held.move_to_end(item_id)
        return entry[0]

    def put(self, held: Held, payload_bytes: int) -> None:
        """Hold an item whose vectors and attributes have this many bytes."""
        self.drop(held.item.item_id)
        size = payload_bytes + _OVERHEAD_BYTES
        if size > self._max_bytes:
            return
        self._held[held.item.item_id] = (held, size)
        self.held_bytes += size
        while self.held_bytes > self._max_bytes:
            _, (_, given_up) = self._held.popitem(last=False)
            self.held_bytes -= given_up

    def drop(self, item_id: ItemId) -> None:
        """Hold an item no more."""
        entry = self._held.pop(item_id, None)
        if entry is not None:
            self.held_bytes -= entry[1]
