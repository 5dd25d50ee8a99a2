"""The contract of where a model's measured backgrounds are kept: one table for all workers, under the model's own key.

Beside the table lie the vectors of recent queries, of all workers: nobody is named with them, and they go after a day,
as the queries' own records do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Background, Modality
from fusion.index.protocol import WriteOutcome

Pair = tuple[Modality, Modality]
"""A query's modality and an item's."""

QUERIES_KEPT: Final = 512
"""Different query vectors remembered of each modality, the latest."""

QUERIES_KEPT_MS: Final = 86_400_000
"""How long: as long as the queries topic keeps the queries themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredTable:
    """Backgrounds as they were measured at some time.

    Args:
        backgrounds: By (query modality, item modality).
        measured_at_ms: When the index was last found to be like this.
        effective_at_ms: From when on they count; announced ahead, so that all workers change at once.
        items: How many items had each modality then.
    """

    backgrounds: Mapping[Pair, Background]
    measured_at_ms: int
    effective_at_ms: int
    items: Mapping[Modality, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCalibration:
    """What is kept of a model.

    Args:
        revision: 1 at the first write, one more at each.
        tables: One or two, by the time from which they count: the one that counts now, and the one that follows.
    """

    revision: int
    tables: tuple[MeasuredTable, ...]


@runtime_checkable
class CalibrationStore(Protocol):
    """Keeps a model's measured backgrounds. All methods raise ``RetryLater`` for transient trouble."""

    async def read(self) -> StoredCalibration | None:
        """What was written last; None before that.

        Raises:
            Misconfigured: If it is not understood.
        """
        ...

    async def write(self, calibration: StoredCalibration) -> WriteOutcome:
        """Replace what is kept, whole; stale unless the revision is one more than that of what is kept."""
        ...

    async def restore(self, calibration: StoredCalibration) -> WriteOutcome:
        """Put back what was read before a loss; stale unless its revision is later than that of what is kept."""
        ...

    async def claim(self, seconds: float) -> bool:
        """Whether the caller may measure now; nobody else may for so long."""
        ...

    async def remember(self, queries: Mapping[Modality, NDArray[np.float32]], *, now_ms: int) -> None:
        """Note vectors (q, dims) that people asked with; of each modality the latest are kept, each once."""
        ...

    async def remembered(self, *, now_ms: int) -> dict[Modality, NDArray[np.float32]]:
        """Those of at most a day ago, (q, dims) by modality, in a fixed order; modalities without any are absent."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
