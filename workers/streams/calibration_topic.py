"""Measured backgrounds beside Redis on the compacted ``calibration`` topic, and back from there when Redis was lost.

A table measured anew on the same index differs a little, for its sample is drawn at random, and by more where the
queries it knew are gone. So it is not measured anew but kept: after a loss scores are what they were.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from config.errors import RejectEvent
from config.settings import KafkaSettings
from config.vocabulary import Modality, ModelRef
from fusion.index.calibration import CalibrationStore, StoredCalibration
from fusion.index.protocol import WriteOutcome
from workers.contracts.calibration import MODEL_CALIBRATIONS, ModelCalibration
from workers.contracts.parse import parse_event
from workers.streams.records import Publisher
from workers.streams.timing import now_ms
from workers.streams.topic_reader import TopicReader

log = logging.getLogger(__name__)


class CalibrationHistory(Protocol):
    """What was sent of a model before."""

    async def read(self, model: ModelRef) -> StoredCalibration | None:
        """The latest revision; None when there is none. Raises ``RetryLater`` when it cannot be read."""
        ...


class KafkaCalibrationHistory:
    """The topic itself.

    Args:
        topic: Full name of the topic.
    """

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._settings = settings
        self._topic = topic

    async def read(self, model: ModelRef) -> StoredCalibration | None:
        """The latest revision of a model.

        Raises:
            RetryLater: The broker is away, or has no such topic.
        """
        async with TopicReader(self._settings, self._topic) as reader:
            found = [each for value in await reader.to_the_end() if (each := _parsed(value)) is not None]
        own = [each for each in found if each.model == str(model)]
        return max(own, key=lambda each: each.revision).unpacked() if own else None


def _parsed(value: bytes) -> ModelCalibration | None:
    try:
        return parse_event(value, MODEL_CALIBRATIONS)
    except RejectEvent as exc:
        log.warning("a record among the calibrations is none: %s", exc)
        return None


async def bring_back(
    store: CalibrationStore, history: CalibrationHistory, model: ModelRef, *, now_ms: int
) -> StoredCalibration | None:
    """Put what was sent last into a store that lost it, and give what the store holds then.

    It counts as found to fit just now: measured at once, without the queries that went with the store, it would be
    replaced by something worse.

    Raises:
        RetryLater: The store or the history is away.
    """
    sent = await history.read(model)
    if sent is None:
        return None
    latest = replace(sent.tables[-1], measured_at_ms=now_ms)
    await store.restore(replace(sent, tables=(*sent.tables[:-1], latest)))
    return await store.read()


class KeptCalibrationStore:
    """A store whose tables are sent to the topic too, and come back from it.

    Args:
        store: Where query workers look.
        history: Read when the store holds nothing.
        topic: Full name of the topic.
        clock: Milliseconds since 1970.
    """

    def __init__(
        self,
        store: CalibrationStore,
        *,
        model: ModelRef,
        history: CalibrationHistory,
        publisher: Publisher,
        topic: str,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._model = model
        self._history = history
        self._publisher = publisher
        self._topic = topic
        self._clock = clock
        self._owed: StoredCalibration | None = None
        self._is_new = False

    async def read(self) -> StoredCalibration | None:
        """What was written last, by whoever; what was sent last when the store has lost it."""
        stored = await self._store.read()
        if stored is not None:
            self._is_new = False
            await self._pay(stored)
            return stored
        if not self._is_new:  # where nothing was ever measured, the topic is read once
            stored = await bring_back(self._store, self._history, self._model, now_ms=self._clock())
            self._is_new = stored is None
        return stored

    async def write(self, calibration: StoredCalibration) -> WriteOutcome:
        """Replace what is kept, here and on the topic."""
        outcome = await self._store.write(calibration)
        if outcome is WriteOutcome.APPLIED:
            self._owed = calibration
            await self._pay(calibration)
        return outcome

    async def _pay(self, stored: StoredCalibration) -> None:
        """Send what was written and not confirmed yet, unless another worker has written since."""
        if self._owed is not None and self._owed.revision == stored.revision:
            value = ModelCalibration.of(self._model, self._owed).to_bytes()
            await self._publisher.send(self._topic, key=str(self._model).encode(), value=value)
        self._owed = None

    async def restore(self, calibration: StoredCalibration) -> WriteOutcome:
        """Put back what was sent before; see ``CalibrationStore.restore``."""
        return await self._store.restore(calibration)

    async def claim(self, seconds: float) -> bool:
        """Whether the caller may measure now."""
        return await self._store.claim(seconds)

    async def remember(self, queries: Mapping[Modality, NDArray[np.float32]], *, now_ms: int) -> None:
        """Note query vectors, in the store alone: they go after a day."""
        await self._store.remember(queries, now_ms=now_ms)

    async def remembered(self, *, now_ms: int) -> dict[Modality, NDArray[np.float32]]:
        """Recent query vectors."""
        return await self._store.remembered(now_ms=now_ms)

    async def close(self) -> None:
        """Give back the store's connections."""
        await self._store.close()
