"""From fused scores to a list: by score alone, or traded against sameness and for coverage.

Loops run over places, never candidates. Candidates lie in the order of their ids, and the first of equals is taken, so
ties break by item id.

One decoder makes every kind of list: a beam search over slates (as Bello et al. 2018 decode slates), whose objective
at each place is

    (1 - diversity - coverage) · score - diversity · likeness + coverage · gain

discounted by the place as in nDCG (Järvelin, Kekäläinen 2002), so that the best still come first. For ``mmr`` the beam
is one slate wide and likeness is to the nearest hit before (Carbonell, Goldstein 1998); for ``beam`` it is the mean
over all hits before. The gain is what a candidate adds to the probability that some hit serves a category, summed over
categories by how much the query asks for each: the marginal of xQuAD (Santos, Macdonald, Ounis 2010) and of IA-Select
(Agrawal et al. 2009). That sum is monotone and submodular: for it alone greedy is within 1 - 1/e of the best.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fusion.similarity import Matrix

Places = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What the next places of a list are chosen from: n candidates, and what the places before them left behind.

    Args:
        scores: Shape (n,), in [0, 1].
        sameness: Shape (n, n), in [0, 1]: likeness of candidates to one another.
        nearest: Shape (n,): sameness to the nearest hit before.
        summed: Shape (n,): sameness to all hits before, summed.
        before: How many hits that are.
        serves: Shape (n, categories), in [0, 1]: how well each candidate serves each category.
        unserved: Shape (categories,): how much is asked for each, less what the hits before serve of it.
        groups: Shape (n,): each candidate's group, -1 for none.
        room: Shape (groups,): hits that each group may still have.
        duplicates: Shape (n, n): who stands for whom.
    """

    scores: Matrix
    sameness: Matrix
    nearest: Matrix
    summed: Matrix
    before: int = 0
    serves: Matrix = field(default_factory=lambda: np.zeros((0, 0)))
    unserved: Matrix = field(default_factory=lambda: np.zeros(0))
    groups: Places = field(default_factory=lambda: np.zeros(0, np.intp))
    room: Places = field(default_factory=lambda: np.zeros(0, np.intp))
    duplicates: Mask = field(default_factory=lambda: np.zeros((0, 0), np.bool_))

    @classmethod
    def of(cls, scores: Matrix, sameness: Matrix) -> "Pool":
        """The start of a list, with neither categories nor groups nor duplicates."""
        nothing = np.zeros(len(scores))
        return cls(scores=scores, sameness=sameness, nearest=nothing, summed=nothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aims:
    """What a place is worth.

    Args:
        diversity: Weight of sameness in [0, 1].
        coverage: Weight of newly served categories in [0, 1]; the score has the rest.
        nearest: Whether likeness is to the nearest hit before, or to all of them.
        width: Slates kept after each place.
    """

    diversity: float = 0.0
    coverage: float = 0.0
    nearest: bool = True
    width: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slates:
    """Partial lists; every array begins with the axis of slates.

    Args:
        chosen: Places in the pool, in order.
        closed: Who can no longer be chosen: chosen already, collapsed, or of a full group.
    """

    worth: Matrix
    chosen: Places
    closed: Mask
    nearest: Matrix
    summed: Matrix
    unserved: Matrix
    room: Places


def top_k(scores: Matrix, count: int) -> Places:
    """Places of the ``count`` highest scores, highest first, the earlier of equals first."""
    return np.argsort(-scores, kind="stable")[:count]


def mmr(scores: Matrix, sameness: Matrix, count: int, diversity: float) -> Places:
    """Maximal marginal relevance (Carbonell, Goldstein 1998): next is the best but for its likeness to one chosen.

    Args:
        scores: Shape (n,).
        sameness: Shape (n, n), in [0, 1].
        count: How many to choose.
        diversity: Weight of sameness in [0, 1]; 1 - diversity is that of the score.
    """
    return decode(Pool.of(scores, sameness), count, Aims(diversity=diversity))


def beam(scores: Matrix, sameness: Matrix, count: int, diversity: float, width: int) -> Places:
    """The best slate that a beam search finds; greedy where ``width`` is 1.

    A slate is worth the sum over its places of (1 - diversity) · score - diversity · mean sameness to those before,
    each place discounted.

    Args:
        scores: Shape (n,).
        sameness: Shape (n, n), in [0, 1].
        count: How many to choose.
        diversity: Weight of sameness in [0, 1].
        width: Slates kept after each place.
    """
    return decode(Pool.of(scores, sameness), count, Aims(diversity=diversity, nearest=False, width=width))


def decode(pool: Pool, count: int, aims: Aims) -> Places:
    """Choose up to ``count`` of a pool: places of the best slate found, in order; fewer when no more may be chosen."""
    slates = _start(pool)
    for place in range(count):
        grown = slates.worth[:, None] + _step(pool, slates, aims, pool.before + place)
        grown[slates.closed] = -np.inf
        keep = np.argsort(-grown.ravel(), kind="stable")[: min(aims.width, int(np.isfinite(grown).sum()))]
        if not len(keep):
            break
        parents, added = np.divmod(keep, len(pool.scores))
        slates = _grow(pool, slates, parents, added, grown[parents, added])
    return np.asarray(slates.chosen[0], np.intp)


def _start(pool: Pool) -> _Slates:
    return _Slates(
        worth=np.zeros(1),
        chosen=np.zeros((1, 0), np.intp),
        closed=np.zeros((1, len(pool.scores)), np.bool_),
        nearest=pool.nearest[None],
        summed=pool.summed[None],
        unserved=pool.unserved[None],
        room=pool.room[None],
    )


def _step(pool: Pool, slates: _Slates, aims: Aims, place: int) -> Matrix:
    """What each candidate is worth at this place of each slate, shape (slates, n)."""
    likeness = slates.nearest if aims.nearest else slates.summed / max(place, 1)
    worth = (1.0 - aims.diversity - aims.coverage) * pool.scores[None, :] - aims.diversity * likeness
    if aims.coverage and pool.serves.size:
        worth = worth + aims.coverage * (slates.unserved @ pool.serves.T)
    return np.asarray(worth / np.log2(place + 2.0), np.float64)


def _grow(pool: Pool, slates: _Slates, parents: Places, added: Places, worth: Matrix) -> _Slates:
    grown = _Slates(
        worth=worth,
        chosen=np.column_stack([slates.chosen[parents], added]),
        closed=slates.closed[parents],
        nearest=np.maximum(slates.nearest[parents], pool.sameness[added]),
        summed=slates.summed[parents] + pool.sameness[added],
        unserved=slates.unserved[parents],
        room=slates.room[parents],
    )
    grown.closed[np.arange(len(added)), added] = True
    if pool.serves.size:
        grown = replace(grown, unserved=grown.unserved * (1.0 - pool.serves[added]))
    if pool.duplicates.size:
        grown.closed[:] |= pool.duplicates[added]
    if pool.groups.size:
        _close_full_groups(pool, grown, added)
    return grown


def _close_full_groups(pool: Pool, slates: _Slates, added: Places) -> None:
    rows = np.flatnonzero(pool.groups[added] >= 0)
    groups = pool.groups[added[rows]]
    slates.room[rows, groups] -= 1
    full = rows[slates.room[rows, groups] <= 0]
    slates.closed[full] |= pool.groups[None, :] == pool.groups[added[full]][:, None]
