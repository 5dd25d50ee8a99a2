"""One list for all pages: made stretch by stretch, so that a page is the same slice of it whoever asks for which.

The list is a function of the question and of the index, never of ``offset`` and ``k``. Its n-th stretch (25 places, a
quarter of ``candidates``) is chosen from what the first n · ``candidates`` neighbours of every vector set hold, less
what earlier stretches placed; a later stretch never moves an earlier one. So pages do not overlap and leave no gap,
under every method, and an item inserted elsewhere, which is not among those neighbours, changes nothing.

In a stretch all methods choose from the best ``candidates`` that are still open: not placed, not collapsed into a hit,
not of a group that is full.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from config.vocabulary import FusionStrategy, RankingMethod
from fusion.arrangement import categories_of, codes_of
from fusion.candidates import Candidates
from fusion.coverage import Categories
from fusion.ranking import Aims, Mask, Places, Pool, decode, top_k
from fusion.request import RankingRequest
from fusion.scoring import Scored
from fusion.similarity import Matrix

_DECIMALS = 9
"""Sameness is rounded to this, as cosines are: equal items tie wherever in a matrix they lie."""


BY_ITEM: Final = frozenset(
    {FusionStrategy.WEIGHTED_MEAN, FusionStrategy.MAX, FusionStrategy.ATTENTION, FusionStrategy.NONE}
)
"""Strategies under which an item's score is its own; under the others it depends on the item's rank among all."""


class Stage(NamedTuple):
    """What a stretch is chosen from.

    Args:
        scores: Of all candidates; -inf for those found too deep for this stretch.
        candidates: Those that were scored for it.
        scored: Their scores, taken apart.
        places: Of each of them among all candidates.
    """

    scores: Matrix
    candidates: Candidates
    scored: Scored
    places: Places


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The list.

    Args:
        order: Places among all candidates, best first.
        stages: What each stretch was chosen from.
        stage_of: The stretch, from 0, in which each place of ``order`` was chosen.
        collapsed: Places that a hit stands for, by the hit's place.
    """

    order: Places
    stages: Sequence[Stage]
    stage_of: Mapping[int, int]
    collapsed: dict[int, list[int]]

    def seen(self, place: int) -> tuple[Candidates, Scored, int]:
        """The candidates and scores that a hit was chosen by, and its place there; the last ones for what is no hit."""
        stage = self.stages[self.stage_of.get(place, -1)]
        return stage.candidates, stage.scored, int(np.searchsorted(stage.places, place))


@dataclass(slots=True)
class _State:
    """The list so far; arrays are over all candidates.

    Args:
        closed: Placed, or collapsed into what is.
        nearest: Sameness to the nearest hit.
        summed: Sameness to all hits, summed.
        room: Hits that each group may still have.
    """

    closed: Mask
    nearest: Matrix
    summed: Matrix
    room: Places
    order: list[int] = field(default_factory=list)
    stage_of: dict[int, int] = field(default_factory=dict)
    scores: list[float] = field(default_factory=list)
    collapsed: dict[int, list[int]] = field(default_factory=dict)


class ListMaker:
    """Makes one list.

    Args:
        request: How.
        candidates: All that may come into it, in the order of their ids.
    """

    def __init__(self, request: RankingRequest, candidates: Candidates) -> None:
        self._request = request
        self._candidates = candidates
        self._aims = _aims(request)
        plain = request.group_by is None and request.collapse is None
        self._by_score = plain and self._aims.diversity == 0 and self._aims.coverage == 0
        self._groups = self._codes(request.group_by.attribute if request.group_by else None)
        self._kinds = self._codes(request.collapse.attribute if request.collapse else None)
        covered = request.coverage.attribute if request.coverage else ""
        self._categories = [categories_of(each, covered) for each in candidates.attributes] if covered else []
        most = request.group_by.most if request.group_by else 0
        items = len(candidates.ids)
        self._state = _State(
            closed=np.zeros(items, np.bool_),
            nearest=np.zeros(items),
            summed=np.zeros(items),
            room=np.full(int(self._groups.max(initial=-1)) + 1, most, np.intp),
        )

    def _codes(self, attribute: str | None) -> Places:
        return np.array([] if attribute is None else codes_of(self._candidates.attributes, attribute), np.intp)

    def make(self, stage_at: Callable[[int], Stage], stretches: int) -> Listing:
        """Make the list.

        Args:
            stage_at: What the stretch of this number, from 1, is chosen from.
            stretches: How many.
        """
        stages = []
        for number in range(1, stretches + 1):
            stages.append(stage_at(number))
            self._extend(stages[-1], number - 1)
        state = self._state
        order = np.array(state.order, np.intp)
        return Listing(order=order, stages=stages, stage_of=state.stage_of, collapsed=state.collapsed)

    def _extend(self, stage: Stage, number: int) -> None:
        left = self._request.stretch
        while left > 0 and len(chosen := self._choose(stage.scores, left)):
            self._place(chosen, stage.scores, number)
            left -= len(chosen)

    def _choose(self, scores: Matrix, count: int) -> Places:
        state = self._state
        open_ = np.isfinite(scores) & ~state.closed
        if self._groups.size:
            open_ &= (self._groups < 0) | (state.room[self._groups] > 0)
        best = top_k(np.where(open_, scores, -np.inf), min(self._request.pool, int(open_.sum())))
        return best[:count] if self._by_score else best[decode(self._pool(scores, best), count, self._aims)]

    def _pool(self, scores: Matrix, places: Places) -> Pool:
        state, fused = self._state, self._candidates.fused[places]
        sameness = _sameness(fused, fused)
        asked = self._asked(scores, places)
        return Pool(
            scores=scores[places],
            sameness=sameness,
            nearest=state.nearest[places],
            summed=state.summed[places],
            before=len(state.order),
            serves=np.zeros((0, 0)) if asked is None else asked.serves,
            unserved=np.zeros(0) if asked is None else asked.unserved,
            groups=self._groups[places] if self._groups.size else self._groups,
            room=state.room,
            duplicates=self._duplicates(sameness, places, places),
        )

    def _asked(self, scores: Matrix, places: Places) -> Categories | None:
        if not self._categories:
            return None
        state = self._state
        of = [self._categories[place] for place in [*state.order, *places.tolist()]]
        return Categories(of, [*state.scores, *scores[places].tolist()], len(state.order))

    def _duplicates(self, sameness: Matrix, rows: Places, columns: Places) -> Mask:
        collapse = self._request.collapse
        if collapse is None:
            return np.zeros((0, 0), np.bool_)
        alike = sameness >= collapse.similarity
        if self._kinds.size:
            alike &= (self._kinds[rows][:, None] == self._kinds[columns][None, :]) & (self._kinds[rows] >= 0)[:, None]
        return np.asarray(alike, np.bool_)

    def _place(self, chosen: Places, scores: Matrix, stage: int) -> None:
        state = self._state
        state.order += chosen.tolist()
        state.scores += scores[chosen].tolist()
        state.stage_of |= dict.fromkeys(chosen.tolist(), stage)
        state.closed[chosen] = True
        if self._groups.size:
            grouped = self._groups[chosen]
            np.subtract.at(state.room, grouped[grouped >= 0], 1)
        if not self._by_score:
            self._note_sameness(chosen, scores)

    def _note_sameness(self, chosen: Places, scores: Matrix) -> None:
        state, fused = self._state, self._candidates.fused
        sameness = _sameness(fused, fused[chosen])
        state.nearest = np.maximum(state.nearest, sameness.max(axis=1))
        state.summed = state.summed + sameness.sum(axis=1)
        if self._request.collapse is None:
            return
        alike = self._duplicates(sameness, np.arange(len(fused)), chosen)
        hidden = alike.any(axis=1) & ~state.closed
        for place in np.flatnonzero(hidden & np.isfinite(scores)).tolist():
            state.collapsed.setdefault(int(chosen[alike[place].argmax()]), []).append(place)
        state.closed |= hidden


def stages_of(
    request: RankingRequest,
    candidates: Candidates,
    first: Places,
    scorer: Callable[[RankingRequest, Candidates], Scored],
) -> Callable[[int], Stage]:
    """What each stretch is chosen from, by its number from 1.

    Scores that do not depend on who else is a candidate are made once. Where an item's rank among the others counts,
    each stretch has scores of its own, among what was found by then and with the ranks that count then.

    Args:
        request: The question.
        candidates: All that were found.
        first: The stretch from which on each may be chosen.
        scorer: Scores candidates.
    """
    if request.strategy in BY_ITEM:
        scored = scorer(request, candidates)
        places = np.arange(len(first))
        return lambda number: Stage(np.where(first <= number, scored.total, -np.inf), candidates, scored, places)

    def stage_at(number: int) -> Stage:
        places = np.flatnonzero(first <= number)
        found = candidates.taken(places)
        scored = scorer(request.reaching(number), found)
        scores = np.full(len(first), -np.inf)
        scores[places] = scored.total
        return Stage(scores, found, scored, places)

    return stage_at


def _aims(request: RankingRequest) -> Aims:
    if request.ranking is RankingMethod.TOP_K:
        return Aims()
    coverage = 0.0 if request.coverage is None else request.coverage.weight
    if request.ranking is RankingMethod.MMR:
        return Aims(diversity=request.diversity, coverage=coverage)
    return Aims(diversity=request.diversity, coverage=coverage, nearest=False, width=request.beam_width)


def _sameness(one: Matrix, other: Matrix) -> Matrix:
    """(1 + cosine) / 2 of rows of unit length."""
    return np.asarray((1.0 + one @ other.T).round(_DECIMALS) / 2.0, np.float64)
