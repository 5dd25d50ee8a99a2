"""What is looked up now and then instead of counted as it happens: items, queues, memory."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from config.errors import CrosscurrentError
from config.vocabulary import Modality
from fusion.index.protocol import VectorIndex
from workers.streams.metrics import Metrics

log = logging.getLogger(__name__)

# Prometheus usually asks every 15 to 60 s; counting items is one cheap command a shard and modality.
_INTERVAL_S = 5.0


class Gauges:
    """Keeps the slow gauges current.

    Args:
        index: Counted for ``index_items``.
        encode_depth: How many inputs wait for the device, by modality; None in a worker without one.
        device_memory: Bytes that the model holds on the accelerator; None in a worker without one.
    """

    def __init__(
        self,
        metrics: Metrics,
        index: VectorIndex,
        *,
        encode_depth: Callable[[], Mapping[Modality, int]] | None = None,
        device_memory: Callable[[], int] | None = None,
    ) -> None:
        self._metrics = metrics
        self._index = index
        self._encode_depth = encode_depth
        self._device_memory = device_memory

    async def run(self) -> None:
        """Look regularly until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_INTERVAL_S)

    async def look(self) -> None:
        """Look once; a server that is away leaves the last numbers standing."""
        if self._encode_depth is not None:
            self._metrics.queue_depth.labels("encode").set(sum(self._encode_depth().values()))
        if self._device_memory is not None:
            self._metrics.device_memory.set(self._device_memory())
        try:
            counts = await self._index.counts()
        except CrosscurrentError as exc:
            log.debug("items are not counted: %s", exc)
            return
        for modality, count in counts.items():
            self._metrics.index_items.labels(modality).set(count)
