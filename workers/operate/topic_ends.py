"""Where partitions end: as fetches tell it, for the embedded broker's own answer may lie up to a batch before that."""

from collections.abc import Sequence
from typing import Any, Final

_POLL_MS: Final = 200
_POLLS: Final = 25


async def ends_of(consumer: Any, partitions: Sequence[Any]) -> dict[Any, int]:
    """The offset that the next record of each partition gets. Moves the consumer: seek afterwards.

    Asked for the latest offset, the embedded broker gives that behind the first record of the last batch; what it
    sends with a fetch is right.

    Args:
        consumer: An aiokafka consumer that is assigned the partitions.
        partitions: Which ones.
    """
    begins, ends = await consumer.beginning_offsets(partitions), dict(await consumer.end_offsets(partitions))
    asked = [each for each in partitions if ends[each] > begins[each]]
    for each in asked:
        consumer.seek(each, ends[each] - 1)
    for _ in range(_POLLS):
        waiting = [each for each in asked if consumer.highwater(each) is None]
        if not waiting:
            break
        await consumer.getmany(*waiting, timeout_ms=_POLL_MS)
    return {each: max(ends[each], consumer.highwater(each) or 0) if each in asked else ends[each] for each in ends}
