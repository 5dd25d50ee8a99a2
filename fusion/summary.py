"""What of some items to show: the passages, key frames and stretches of sound that cover them best.

All segments of all items lie in one space, whatever they are made of, so that one objective weighs them together (see
``fusion.submodular``): a passage that says what a frame shows covers it, and the frames then chosen show what the
passages do not say. Only the budgets are kept apart.

A query takes a share of the objective (query-focused summaries, Lin and Bilmes 2011, section 4.3): what answers it
counts more, as something to be covered and as something to be shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from config.vocabulary import Calibration, ItemId, Modality
from fusion.index.protocol import Item, Segment
from fusion.request import QueryPart, Ranking
from fusion.segment_table import KINDS, SegmentTable
from fusion.similarity import Matrix
from fusion.submodular import Objective, choose, exemplar_groups

MOST_SEGMENTS: Final = 1024
"""Segments compared with each other at a time, 8 MB of likeness. Where there are more, each item first chooses those
that cover it, and these stand for the rest: greedy on greedy choices (Mirzasoleiman et al. 2013, "Distributed
Submodular Maximization")."""

_FULL_STOPS: Final = "。！？…」』）"  # after these the next sentence follows without a space


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRequest:
    """How a summary is made.

    Args:
        parts: What it should be about; everything alike when empty.
        passages: Most passages of text.
        frames: Most frames and pictures.
        sounds: Most stretches of sound.
        relevance: Share of the objective in [0, 1] that the parts decide.
        diversity: Share of it in [0, 1] that rewards diversity; the rest is coverage.
    """

    parts: tuple[QueryPart, ...] = ()
    passages: int = 3
    frames: int = 3
    sounds: int = 2
    relevance: float = 0.3
    diversity: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A segment of the summary, and the share of everything that it covers and those chosen before it do not."""

    item_id: ItemId
    segment: Segment
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What to show, in reading order: items as they were given, and in each its segments as they lie.

    Args:
        coverage: How well it stands for everything, in [0, 1]: the sum of the scores.
        segments: How many there were to choose from.
    """

    shown: tuple[Shown, ...] = ()
    coverage: float = 0.0
    segments: int = 0

    def of(self, modality: Modality) -> list[Shown]:
        """The passages (text), the frames (image) or the sounds (audio)."""
        return [each for each in self.shown if each.segment.modality is modality]

    @property
    def text(self) -> str:
        """The passages, each item's on a line."""
        lines: dict[ItemId, str] = {}
        for each in self.of(Modality.TEXT):
            before, words = lines.get(each.item_id, ""), " ".join(each.segment.text.split())
            lines[each.item_id] = before + (" " if before and before[-1] not in _FULL_STOPS else "") + words
        return "\n".join(lines.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class SummarisedRanking(Ranking):
    """A ranking together with the summary of what it found."""

    summary: Summary


def summarise(items: Sequence[Item], request: SummaryRequest, calibration: Calibration) -> Summary:
    """Choose what to show of items.

    Args:
        items: With their segments, in the order in which they are to be read; those without any count for nothing.
        request: Budgets and shares.
        calibration: Background of each (query modality, item modality) pair.
    """
    told = sorted((item for item in items if item.segments), key=lambda item: item.item_id)
    if not told:
        return Summary()
    tables = [SegmentTable.of(item, 1.0 / len(told)) for item in told]
    count = sum(map(len, tables))
    if count > MOST_SEGMENTS:
        each = max(1, MOST_SEGMENTS // (len(KINDS) * len(tables)))
        tables = [_shortened(table, each, request, calibration) for table in tables]
    table = SegmentTable.joined(tables)
    objective = _objective(table, request, calibration)
    budgets = (request.passages, request.frames, request.sounds)
    chosen = choose(objective, table.first_of_duplicates(), table.kinds, budgets)
    covered = [objective.coverage(chosen[:number]) for number in range(len(chosen) + 1)]
    added = dict(zip(chosen, np.diff(covered).tolist(), strict=True))
    order = {item.item_id: place for place, item in enumerate(items)}
    reading = sorted(chosen, key=lambda place: (order[table.items[place].item_id], place))
    shown = (
        Shown(item_id=table.items[place].item_id, segment=table.segments[place], score=added[place])
        for place in reading
    )
    return Summary(shown=tuple(shown), coverage=covered[-1], segments=count)


def _objective(table: SegmentTable, request: SummaryRequest, calibration: Calibration) -> Objective:
    likeness = table.likeness(calibration)
    asked = table.answers(request.parts, calibration)
    share = request.relevance if asked.any() else 0.0  # where nothing answers, everything counts alike
    demand = table.demand / table.demand.sum()
    demand = (1.0 - share) * demand + share * _share_of(demand * asked)
    central = demand @ likeness
    return Objective(
        demand=demand,
        likeness=likeness,
        reward=(1.0 - share) * _share_of(central) + share * _share_of(asked),
        groups=exemplar_groups(demand, likeness),
        diversity=request.diversity,
    )


def _share_of(values: Matrix) -> Matrix:
    return np.asarray(values / (values.sum() or 1.0), np.float64)


def _shortened(table: SegmentTable, each: int, request: SummaryRequest, calibration: Calibration) -> SegmentTable:
    """The segments that cover an item best, so many of each kind, each with the demand of all that it stands for."""
    objective = _objective(table, request, calibration)
    kept = sorted(choose(objective, table.first_of_duplicates(), table.kinds, [each] * len(KINDS)))
    stands_for = np.argmax(objective.likeness[:, kept], axis=1)
    demand = np.bincount(stands_for, table.demand, minlength=len(kept)).astype(np.float64)
    return table.only(kept, demand)
