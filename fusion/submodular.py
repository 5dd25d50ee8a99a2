"""Choosing a few that stand for many: coverage and diversity as one monotone submodular function, maximised greedily.

Lin and Bilmes, "A Class of Submodular Functions for Document Summarization", ACL 2011: a summary is worth what it
covers plus a reward for diversity. Here a set S of segments covers another as well as its most alike member does
(facility location), and the reward is theirs, the sum over groups of the square root of what S holds of each::

    F(S) = (1 - d) · Σ_i demand_i · max_{j ∈ S} likeness_ij  +  d · Σ_k √(Σ_{j ∈ S ∩ P_k} reward_j) / R(everything)

Both parts gain less from a segment the more is chosen already. So taking the best one each time gives at least 1 - 1/e
of what the best set of that size is worth (Nemhauser, Wolsey, Fisher 1978), and at least half where several kinds have
budgets of their own (Fisher, Nemhauser, Wolsey 1978).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fusion.ranking import Places
from fusion.similarity import Matrix

_DECIMALS: Final = 12  # gains that differ by less are equal: sums in another order must not change a summary
_ROUNDS: Final = 8  # of exchange; each ends better than it began, and most choices need one
_AT_ONCE: Final = 32  # gains computed together: enough that numpy is quick, few enough that most are never computed

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The function that a summary maximises over n segments.

    Args:
        demand: Shape (n,), how much each one counts; none negative, their sum is 1.
        likeness: Shape (n, n), symmetric, in [0, 1]: how well one stands for another; 1 for itself.
        reward: Shape (n,), none negative: what each is worth by itself.
        groups: Shape (n,), the group that each belongs to, from 0.
        diversity: d, in [0, 1].
    """

    demand: Matrix
    likeness: Matrix
    reward: Matrix
    groups: Places
    diversity: float

    def coverage(self, chosen: Sequence[int]) -> float:
        """What a set covers, in [0, 1]."""
        return float(self._covered(chosen) @ self.demand)

    def worth(self, chosen: Sequence[int]) -> float:
        """F of a set, in [0, 1]."""
        spread = float(np.sqrt(self._held(chosen)).sum()) / self._all_rewards
        return (1.0 - self.diversity) * self.coverage(chosen) + self.diversity * spread

    def gains(self, chosen: Sequence[int], places: Places) -> Matrix:
        """What each of these places adds to F of a set, shape (places,)."""
        covers = np.maximum(self.likeness[places] - self._covered(chosen), 0.0) @ self.demand
        held = self._held(chosen)[self.groups[places]]
        spreads = (np.sqrt(held + self.reward[places]) - np.sqrt(held)) / self._all_rewards
        return np.asarray(((1.0 - self.diversity) * covers + self.diversity * spreads).round(_DECIMALS), np.float64)

    def _covered(self, chosen: Sequence[int]) -> Matrix:
        """How well each is covered, shape (n,)."""
        return np.asarray(self.likeness[list(chosen)].max(axis=0, initial=0.0), np.float64)

    def _held(self, chosen: Sequence[int]) -> Matrix:
        """Rewards that a set holds of each group."""
        places = list(chosen)
        groups = int(self.groups.max()) + 1
        return np.bincount(self.groups[places], self.reward[places], minlength=groups).astype(np.float64)

    @property
    def _all_rewards(self) -> float:
        return float(np.sqrt(self._held(range(len(self.demand)))).sum()) or 1.0


def choose(objective: Objective, may_choose: Mask, kinds: Places, budgets: Sequence[int]) -> list[int]:
    """Choose greedily, the one that adds most each time until nothing adds anything, the first of equals.

    Under several budgets greed may take a frame for what a passage could have said, and then has none left for what
    only a frame shows. So kinds are filled together and one after another in every order, the best of these choices is
    taken, and each of its places is exchanged as long as that adds something.

    Args:
        objective: What to maximise.
        may_choose: Shape (n,).
        kinds: Shape (n,), the kind of each, from 0.
        budgets: How many of each kind may be chosen.

    Returns:
        Places in the order of choice.
    """
    search = _Search(objective)
    wanted = [kind for kind, most in enumerate(budgets) if most and (may_choose & (kinds == kind)).any()]
    orders = [[wanted], *([[kind] for kind in order] for order in permutations(wanted) if len(wanted) > 1)]
    starts = []
    for order in orders:
        chosen: list[int] = []
        left = np.array(budgets, np.intp)
        for stage in order:
            chosen += search.greedy(chosen, may_choose & np.isin(kinds, stage), kinds, left)
        starts.append(chosen)
    best = max(starts, key=lambda chosen: round(objective.worth(chosen), _DECIMALS))
    return search.exchanged(best, may_choose, kinds)


class _Search:
    """Lazy greedy (Minoux 1978): what a segment added to less is a bound of what it adds to more."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._alone = objective.gains([], np.arange(len(objective.demand)))

    def greedy(self, chosen: Sequence[int], may_choose: Mask, kinds: Places, left: Places) -> list[int]:
        """Go on from a choice; ``left`` is what may still be chosen of each kind, and is counted down."""
        added: list[int] = []
        bounds = self._alone.copy()
        while (place := self._most([*chosen, *added], may_choose & (left[kinds] > 0), bounds)) is not None:
            added.append(place)
            left[kinds[place]] -= 1
        return added

    def exchanged(self, chosen: list[int], may_choose: Mask, kinds: Places) -> list[int]:
        """Exchange each for another of its kind that adds more to the rest, until none does."""
        for _ in range(_ROUNDS):
            before = list(chosen)
            for number, place in enumerate(before):
                rest = [*chosen[:number], *chosen[number + 1 :]]
                other = self._most(rest, may_choose & (kinds == kinds[place]), self._alone.copy())
                if other is not None:
                    worth, other_worth = self._objective.gains(rest, np.array([place, other]))
                    chosen[number] = other if other_worth > worth else place
            if chosen == before:
                break
        return chosen

    def _most(self, chosen: Sequence[int], open_: Mask, bounds: Matrix) -> int | None:
        """Which adds most to a set, the first of equals; None when none adds anything. Bounds are brought down."""
        limits = np.where(open_, bounds, 0.0)
        limits[list(chosen)] = 0.0
        known = np.zeros(len(limits), np.bool_)
        while limits[most := int(np.argmax(limits))] > 0.0:
            if known[most]:
                return most
            places = np.argsort(-limits, kind="stable")[:_AT_ONCE]
            places = places[~known[places] & (limits[places] > 0.0)]
            bounds[places] = limits[places] = self._objective.gains(chosen, places)
            known[places] = True
        return None


def exemplar_groups(demand: Matrix, likeness: Matrix) -> Places:
    """Part n segments into about √n groups, each around one that coverage alone would choose.

    The number is a trade: with one group there is no diversity, with n all of it is coverage.
    """
    one_kind = np.zeros(len(demand), np.intp)
    alone = Objective(demand=demand, likeness=likeness, reward=demand, groups=one_kind, diversity=0.0)
    left = np.array([max(1, round(math.sqrt(len(demand))))], np.intp)
    chosen = _Search(alone).greedy([], np.ones(len(demand), np.bool_), one_kind, left)
    return np.asarray(np.argmax(likeness[:, chosen], axis=1), np.intp) if chosen else one_kind
