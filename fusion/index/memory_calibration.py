"""A model's measured backgrounds in memory, for tests and for one process without Redis."""

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Modality
from fusion.index.calibration import QUERIES_KEPT, QUERIES_KEPT_MS, StoredCalibration
from fusion.index.protocol import WriteOutcome


class MemoryCalibrationStore:
    """One process, one event loop; nothing survives it.

    Args:
        dims: Length of the model's vectors.
        clock: Seconds, for claims.
    """

    def __init__(self, dims: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._dims = dims
        self._clock = clock
        self._stored: StoredCalibration | None = None
        self._claimed_until = float("-inf")
        self._queries: dict[Modality, dict[bytes, int]] = {}

    async def read(self) -> StoredCalibration | None:
        """What was written last."""
        return self._stored

    async def write(self, calibration: StoredCalibration) -> WriteOutcome:
        """Replace what is kept if it is the next revision."""
        if calibration.revision != (self._stored.revision if self._stored else 0) + 1:
            return WriteOutcome.STALE
        self._stored = calibration
        return WriteOutcome.APPLIED

    async def restore(self, calibration: StoredCalibration) -> WriteOutcome:
        """Put back what is later than what is kept."""
        if calibration.revision <= (self._stored.revision if self._stored else 0):
            return WriteOutcome.STALE
        self._stored = calibration
        return WriteOutcome.APPLIED

    async def claim(self, seconds: float) -> bool:
        """Whether the caller may measure now."""
        now = self._clock()
        if now < self._claimed_until:
            return False
        self._claimed_until = now + seconds
        return True

    async def remember(self, queries: Mapping[Modality, NDArray[np.float32]], *, now_ms: int) -> None:
        """Note query vectors; see ``CalibrationStore.remember``."""
        for modality, vectors in queries.items():
            kept = self._queries.setdefault(modality, {}) | {row.tobytes(): now_ms for row in vectors}
            latest = sorted(kept, key=lambda row: (kept[row], row))[-QUERIES_KEPT:]
            self._queries[modality] = {row: kept[row] for row in latest}

    async def remembered(self, *, now_ms: int) -> dict[Modality, NDArray[np.float32]]:
        """Recent query vectors; see ``CalibrationStore.remembered``."""
        oldest = now_ms - QUERIES_KEPT_MS
        recent = {
            modality: b"".join(row for row, at_ms in kept.items() if at_ms > oldest)
            for modality, kept in self._queries.items()
        }
        return {
            modality: np.frombuffer(rows, np.float32).reshape(-1, self._dims)
            for modality, rows in recent.items()
            if rows
        }

    async def close(self) -> None:
        """Nothing to give back."""
