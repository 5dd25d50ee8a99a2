"""Segments of many items as arrays, what each counts, how they stand for each other, and what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Background, Calibration, Modality
from fusion.calibration import background_of, calibrate
from fusion.index.protocol import Item, Segment
from fusion.index.segment_layout import directions
from fusion.ranking import Places
from fusion.request import QueryPart
from fusion.similarity import Matrix, unit_rows

KINDS: Final = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)
"""What passages, frames and sounds are encoded as."""

DUPLICATE: Final = 0.98
"""Cosine from which on two segments of one modality are the same thing: a sentence that two items share, two frames of
a picture that stands still. Only the first may be shown."""

_DECIMALS: Final = 9  # of likeness: sums in another order must not part equals


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentTable:
    """n segments in the order of their items' ids and of their places: which of equals is first is nobody's choice.

    Args:
        items: The item that each belongs to.
        rows: Unit vectors, shape (n, dims).
        kinds: Shape (n,), place in ``KINDS``.
        demand: Shape (n,), how much each counts.
    """

    items: Sequence[Item]
    segments: Sequence[Segment]
    rows: Matrix
    kinds: Places
    demand: Matrix

    def __len__(self) -> int:
        return len(self.segments)

    @classmethod
    def of(cls, item: Item, demand: float) -> "SegmentTable":
        """Lay an item out; its modalities share its demand alike, and in each all segments do."""
        held = [segment.modality for segment in item.segments]
        return cls(
            items=[item] * len(held),
            segments=item.segments,
            rows=directions(item),
            kinds=np.array([KINDS.index(modality) for modality in held], np.intp),
            demand=np.array([demand / (len(set(held)) * held.count(modality)) for modality in held]),
        )

    @classmethod
    def joined(cls, tables: Sequence["SegmentTable"]) -> "SegmentTable":
        """One below the other."""
        return cls(
            items=[item for table in tables for item in table.items],
            segments=[segment for table in tables for segment in table.segments],
            rows=np.concatenate([table.rows for table in tables]),
            kinds=np.concatenate([table.kinds for table in tables]),
            demand=np.concatenate([table.demand for table in tables]),
        )

    def only(self, places: Sequence[int], demand: Matrix) -> "SegmentTable":
        """Some of them, with other demands."""
        return SegmentTable(
            items=[self.items[place] for place in places],
            segments=[self.segments[place] for place in places],
            rows=self.rows[list(places)],
            kinds=self.kinds[list(places)],
            demand=demand,
        )

    def likeness(self, calibration: Calibration) -> Matrix:
        """How well each stands for each other, shape (n, n): the mean of both directions; 1 for itself."""
        found = np.zeros((len(self), len(self)))
        for one, mine in enumerate(KINDS):
            for other, others in enumerate(KINDS):
                cosines = self.rows[self.kinds == one] @ self.rows[self.kinds == other].T
                background = background_of(calibration, mine, others, self.rows.shape[1])
                found[np.ix_(self.kinds == one, self.kinds == other)] = above_chance(cosines, background)
        found = (found + found.T) / 2.0
        np.fill_diagonal(found, 1.0)
        return np.asarray(found.round(_DECIMALS), np.float64)

    def answers(self, parts: Sequence[QueryPart], calibration: Calibration) -> Matrix:
        """How well each answers a query's parts, shape (n,), in [0, 1]: their mean by weight.

        What lies nearer to what the query steers away from than to what it asks for answers nothing.
        """
        found = np.zeros(len(self))
        for part in parts:
            cosines = self.rows @ unit_rows(part.vector)
            for kind, modality in enumerate(KINDS):
                mine = self.kinds == kind
                background = background_of(calibration, part.modality, modality, self.rows.shape[1])
                found[mine] += part.weight * above_chance(cosines[mine], background)
        total = sum(abs(part.weight) for part in parts) or 1.0
        return np.asarray(np.clip(found / total, 0.0, 1.0).round(_DECIMALS), np.float64)

    def first_of_duplicates(self) -> NDArray[np.bool_]:
        """Which may be shown, shape (n,): all but those that an earlier one of their modality shows already."""
        first = np.zeros(len(self), np.bool_)
        for place, (row, kind) in enumerate(zip(self.rows, self.kinds, strict=True)):
            first[place] = not (self.rows[first & (self.kinds == kind)] @ row >= DUPLICATE).any()
        return first


def above_chance(cosines: Matrix, background: Background) -> Matrix:
    """Calibrated cosines on a scale from 0, where the pair's background lies on average, to 1, where both are one."""
    chance, same = calibrate(np.array([[background.mean, 1.0]]), [background])[0].tolist()
    calibrated = calibrate(cosines[None], [background])[0]
    return np.asarray(np.clip((calibrated - chance) / (same - chance), 0.0, 1.0), np.float64)
