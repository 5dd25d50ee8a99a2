"""Keeps the query workers' backgrounds in step with the index, beside the queries and never on their path.

Whichever worker finds the stored table old, or the index grown, claims the measuring, samples the index, and announces
what it found; all workers read the announcement and change at the same moment. A worker that cannot reach Redis goes on
with what it has: a wrong background bends a ranking a little, none at all would end it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np

from config.errors import CrosscurrentError, Misconfigured
from config.vocabulary import Calibration, Modality
from encoders.base import Vector
from fusion.background import estimate_table
from fusion.index.calibration import QUERIES_KEPT, CalibrationStore, StoredCalibration
from fusion.index.protocol import VectorIndex, WriteOutcome
from fusion.recalibration import Timetable, in_effect, is_due, succeed
from fusion.request import QueryPart
from workers.streams.metrics import Metrics
from workers.streams.timing import now_ms

log = logging.getLogger(__name__)

SAMPLE: Final = 512
"""Items sampled of each modality: estimates then agree within 0.03 deviations, and Redis is read for some 10 ms."""

# Looks a refresh interval, and the longest time between two: one cheap read each.
_LOOKS: Final = 10
_LONGEST_LOOK_S: Final = 10.0
_LEAD_LOOKS: Final = 3  # a new table is announced so many looks ahead: one may fail
_CLAIM_LOOKS: Final = 6  # and measured by one worker at a time; if that one dies, by another after so many


class CalibrationSource(Protocol):
    """What answers are calibrated with."""

    def table(self) -> Calibration:
        """The backgrounds that count now; asked once a query."""
        ...

    def asked(self, parts: Sequence[QueryPart]) -> None:
        """Told what people ask with. Called on the event loop; returns at once and never raises."""
        ...


class FixedCalibration:
    """What the model shipped with, for ever."""

    def __init__(self, table: Calibration) -> None:
        self._table = table

    def table(self) -> Calibration:
        """Always the same."""
        return self._table

    def asked(self, parts: Sequence[QueryPart]) -> None:
        """Pass over it."""


class CalibrationKeeper:
    """The table that all query workers share.

    Args:
        index: Sampled.
        store: Where the table is kept.
        prior: What the model shipped with: counts until something was measured, and weighs in what is.
        refresh_s: Age at which a table is measured anew.
        clock: Milliseconds since 1970.
    """

    def __init__(
        self,
        *,
        index: VectorIndex,
        store: CalibrationStore,
        prior: Calibration,
        refresh_s: float,
        metrics: Metrics,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._index = index
        self._store = store
        self._prior = prior
        self._look_s = min(refresh_s / _LOOKS, _LONGEST_LOOK_S)
        self._timetable = Timetable(refresh_ms=int(refresh_s * 1000), lead_ms=int(_LEAD_LOOKS * self._look_s * 1000))
        self._metrics = metrics
        self._clock = clock
        self._stored: StoredCalibration | None = None
        self._asked: dict[Modality, deque[Vector]] = {modality: deque(maxlen=QUERIES_KEPT) for modality in Modality}

    def table(self) -> Calibration:
        """The backgrounds that count now."""
        current = in_effect(self._stored, self._clock())
        return self._prior if current is None else current.backgrounds

    def asked(self, parts: Sequence[QueryPart]) -> None:
        """Keep what was asked with until the next look."""
        for part in parts:
            self._asked[part.modality].append(part.vector)

    async def load(self) -> None:
        """Read what is stored, so that the first answer is that of every other worker.

        Raises:
            RetryLater: The store is away.
        """
        try:
            self._stored = await self._store.read()
        except Misconfigured as exc:
            self._failed(exc)
        self._show()

    async def run(self) -> None:
        """Look regularly until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._look_s)

    async def look(self) -> None:
        """Hand over what was asked, read what is stored, and measure if it is time; trouble leaves all as it was."""
        try:
            await self._hand_over()
            self._stored = await self._store.read()
            await self._measure_if_due()
        except CrosscurrentError as exc:
            self._failed(exc)
        except Exception as exc:
            log.exception("a defect in calibration; queries are answered with the table at hand")
            self._failed(exc)
        self._show()

    async def _hand_over(self) -> None:
        asked = {modality: np.stack(vectors) for modality, vectors in self._asked.items() if vectors}
        for vectors in self._asked.values():
            vectors.clear()
        await self._store.remember(asked, now_ms=self._clock())

    async def _measure_if_due(self) -> None:
        counts = await self._index.counts()
        if not is_due(self._stored, counts, self._clock(), self._timetable):
            return
        if not await self._store.claim(_CLAIM_LOOKS * self._look_s):
            return
        samples = {
            modality: await self._index.sample_vectors(modality, SAMPLE) for modality, count in counts.items() if count
        }
        queries = await self._store.remembered(now_ms=self._clock())
        found = await asyncio.to_thread(estimate_table, samples, queries, self._prior)
        following = succeed(self._stored, found, counts, self._clock(), self._timetable)
        if await self._store.write(following) is WriteOutcome.STALE:
            return  # another worker's claim came in between; its table is read at the next look
        announced = following.tables[-1].measured_at_ms < following.tables[-1].effective_at_ms
        self._stored = following
        self._metrics.calibration_refreshes.labels("replaced" if announced else "kept").inc()
        log.info(
            "calibration measured on %s: %s", dict(counts), "a new table follows" if announced else "it still fits"
        )

    def _failed(self, error: Exception) -> None:
        self._metrics.calibration_refreshes.labels("failed").inc()
        log.warning("calibration is not refreshed, the table at hand stays: %s", error)

    def _show(self) -> None:
        current = in_effect(self._stored, self._clock())
        self._metrics.calibration_timestamp.set(0.0 if current is None else current.measured_at_ms / 1000)
