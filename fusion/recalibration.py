"""When backgrounds are measured anew, and from when on the new ones count. Pure: the clock is passed in.

All workers must answer alike, so a new table is announced ahead: it says from when on it counts, every worker has read
it by then, and all change at once. A table that says nearly the same replaces nothing: pages of one list would differ.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from config.vocabulary import Background, Calibration, Modality
from fusion.background import FEWEST
from fusion.index.calibration import MeasuredTable, StoredCalibration

WORTH_Z: Final = 0.1
"""A background has moved when its mean did by this many deviations, or its deviation by this ratio: above the noise of
two samples of 512 (0.03), and a calibrated value moves by at most 0.025."""

GROWN: Final = 2
"""Measured early when a modality has so many times the items: a young index changes faster than the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """How often, in milliseconds.

    Args:
        refresh_ms: Age at which a table is measured anew.
        lead_ms: How long ahead it is announced; longer than any worker takes to look.
    """

    refresh_ms: int
    lead_ms: int


def in_effect(stored: StoredCalibration | None, now_ms: int) -> MeasuredTable | None:
    """The table that counts now; None while what the model shipped with does."""
    if stored is None:
        return None
    return next((table for table in reversed(stored.tables) if table.effective_at_ms <= now_ms), None)


def is_due(stored: StoredCalibration | None, items: Mapping[Modality, int], now_ms: int, timetable: Timetable) -> bool:
    """Whether to measure now, given how many items have each modality."""
    if stored is None:
        return max(items.values(), default=0) >= FEWEST
    newest = stored.tables[-1]
    if newest.effective_at_ms > now_ms:  # one change at a time
        return False
    if now_ms - newest.measured_at_ms >= timetable.refresh_ms:
        return True
    return any(count >= max(FEWEST, GROWN * newest.items.get(modality, 0)) for modality, count in items.items())


def succeed(
    stored: StoredCalibration | None,
    backgrounds: Calibration,
    items: Mapping[Modality, int],
    now_ms: int,
    timetable: Timetable,
) -> StoredCalibration:
    """What to store after measuring: the new table behind the one that counts, or only the news that it still fits."""
    revision = 1 if stored is None else stored.revision + 1
    current = in_effect(stored, now_ms)
    if current is not None and not has_moved(current.backgrounds, backgrounds):
        fits = replace(current, measured_at_ms=now_ms, items=items)
        return StoredCalibration(revision=revision, tables=(fits,))
    follows = MeasuredTable(
        backgrounds=backgrounds, measured_at_ms=now_ms, effective_at_ms=now_ms + timetable.lead_ms, items=items
    )
    return StoredCalibration(revision=revision, tables=(follows,) if current is None else (current, follows))


def has_moved(old: Calibration, new: Calibration) -> bool:
    """Whether any pair's background differs enough to be worth a change."""
    return old.keys() != new.keys() or any(_moved(old[pair], new[pair]) for pair in new)


def _moved(old: Background, new: Background) -> bool:
    return abs(new.mean - old.mean) > WORTH_Z * old.std or abs(math.log(new.std / old.std)) > WORTH_Z
