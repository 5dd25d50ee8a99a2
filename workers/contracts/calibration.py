"""Records of the compacted ``calibration`` topic: a model's measured backgrounds, as all query workers use them.

The key is the model, as ``name@version``. Redis holds the same; from here it comes back after Redis was lost, so that
scores are what they were.
"""

from typing import Annotated, Self

from pydantic import Field, TypeAdapter

from config.vocabulary import Background, Modality, ModelRef
from fusion.index.calibration import MeasuredTable, StoredCalibration
from workers.contracts.base import Event, Wire


class PairBackground(Wire):
    """How similar what does not match is, for one pair of modalities."""

    query: Modality
    """The query part's modality."""
    item: Modality
    """The item's."""
    mean: float
    """Mean of the cosines."""
    std: float = Field(gt=0)
    """Their standard deviation."""


class CalibrationTable(Wire):
    """Backgrounds as they were measured at some time."""

    measured_at_ms: int
    """When the index was last found to be like this, in milliseconds since 1970."""
    effective_at_ms: int
    """From when on they count."""
    items: dict[Modality, Annotated[int, Field(ge=0)]]
    """How many items had each modality then."""
    backgrounds: tuple[PairBackground, ...]
    """One a pair."""

    @classmethod
    def of(cls, table: MeasuredTable) -> Self:
        """Write a table."""
        return cls(
            measured_at_ms=table.measured_at_ms,
            effective_at_ms=table.effective_at_ms,
            items=dict(table.items),
            backgrounds=tuple(
                PairBackground(query=query, item=item, mean=each.mean, std=each.std)
                for (query, item), each in table.backgrounds.items()
            ),
        )

    def unpacked(self) -> MeasuredTable:
        """Read it back, to the last digit."""
        return MeasuredTable(
            backgrounds={
                (each.query, each.item): Background(mean=each.mean, std=each.std) for each in self.backgrounds
            },
            measured_at_ms=self.measured_at_ms,
            effective_at_ms=self.effective_at_ms,
            items=self.items,
        )


class ModelCalibration(Event):
    """What all query workers calibrate with. ``occurred_at`` is when the record was sent."""

    model: str = Field(pattern=r"^[^@]+@[^@]+$")
    """Whose backgrounds, as ``name@version``; also the record's key."""
    revision: int = Field(ge=1)
    """One more at each measurement. Of two records the one with the larger revision holds."""
    tables: Annotated[tuple[CalibrationTable, ...], Field(min_length=1, max_length=2)]
    """By the time from which they count: the one that counts, and the one that follows."""

    @classmethod
    def of(cls, model: ModelRef, stored: StoredCalibration) -> Self:
        """Write what is stored."""
        tables = tuple(CalibrationTable.of(table) for table in stored.tables)
        return cls(model=str(model), revision=stored.revision, tables=tables)

    def unpacked(self) -> StoredCalibration:
        """Read it back."""
        return StoredCalibration(revision=self.revision, tables=tuple(table.unpacked() for table in self.tables))


MODEL_CALIBRATIONS: TypeAdapter[ModelCalibration] = TypeAdapter(ModelCalibration)
"""Reads a record of the calibration topic."""
