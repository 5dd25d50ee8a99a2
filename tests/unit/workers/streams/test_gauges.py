"""Slow gauges follow what they look at, and stand while it cannot be seen."""

from config.errors import RetryLater
from config.vocabulary import Modality, ModelRef, Role
from fusion.index.memory_index import MemoryVectorIndex
from workers.streams.gauges import Gauges
from workers.streams.metrics import Metrics


class _Counted(MemoryVectorIndex):
    """An index whose count is set by hand; None when it is away."""

    def __init__(self) -> None:
        super().__init__(ModelRef("test", "1"), 4)
        self.texts: int | None = 7

    async def counts(self) -> dict[Modality, int]:
        """What was set."""
        if self.texts is None:
            raise RetryLater("redis is away")
        return {Modality.TEXT: self.texts}


async def test_it_shows_items_queues_and_memory() -> None:
    """And an index that is away leaves the last count standing."""
    metrics, index = Metrics(Role.CONTENT), _Counted()
    waiting = {Modality.TEXT: 3, Modality.IMAGE: 2}
    gauges = Gauges(metrics, index, encode_depth=lambda: waiting, device_memory=lambda: 123)
    await gauges.look()
    index.texts = None
    waiting.clear()
    await gauges.look()

    read = metrics.registry.get_sample_value
    assert read("crosscurrent_index_items", {"modality": "text"}) == 7
    assert read("crosscurrent_queue_depth", {"stage": "encode"}) == 0
    assert read("crosscurrent_device_memory_bytes") == 123
