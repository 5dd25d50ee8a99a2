"""From fused scores to a list: by score alone, or traded against sameness. Loops run over places, never candidates.

Candidates lie in the order of their ids, and the first of equals is taken, so ties break by item id.
"""

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import RankingMethod
from fusion.similarity import Matrix, unit_rows

Places = NDArray[np.intp]


def rank(
    method: RankingMethod,
    scores: Matrix,
    vectors: NDArray[np.floating],
    *,
    wanted: int,
    pool: int,
    diversity: float,
    beam_width: int,
) -> Places:
    """Places of the best candidates, best first.

    Args:
        method: How the list is made.
        scores: Shape (candidates,), in [0, 1].
        vectors: Shape (candidates, dims), each item's mean: what sameness is measured on.
        wanted: Length of the list, if there are as many candidates.
        pool: How many of the best the diverse methods choose from: fixed, so that a later page goes on where the
            first one ended.
        diversity: 0 for score alone, 1 for difference alone.
        beam_width: Slates that ``beam`` keeps.
    """
    if method is RankingMethod.TOP_K or diversity == 0:
        return top_k(scores, wanted)
    best = top_k(scores, max(pool, wanted))
    sameness = (1.0 + unit_rows(vectors[best]) @ unit_rows(vectors[best]).T).round(9) / 2.0
    if method is RankingMethod.MMR:
        return best[mmr(scores[best], sameness, wanted, diversity)]
    return best[beam(scores[best], sameness, wanted, diversity, beam_width)]


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
    chosen: list[int] = []
    nearest = np.zeros_like(scores)
    gain = (1.0 - diversity) * scores
    for _ in range(min(count, len(scores))):
        marginal = gain - diversity * nearest
        marginal[chosen] = -np.inf
        chosen.append(int(np.argmax(marginal)))
        nearest = np.maximum(nearest, sameness[chosen[-1]])
    return np.array(chosen, np.intp)


def beam(scores: Matrix, sameness: Matrix, count: int, diversity: float, width: int) -> Places:
    """The best slate that a beam search finds (as Bello et al. 2018 decode slates), greedy where ``mmr`` is.

    A slate is worth the sum over its places of (1 - diversity) · score - diversity · mean sameness to those before,
    each place discounted as in nDCG (Järvelin, Kekäläinen 2002), so that the best still come first.

    Args:
        scores: Shape (n,).
        sameness: Shape (n, n), in [0, 1].
        count: How many to choose.
        diversity: Weight of sameness in [0, 1].
        width: Slates kept after each place.
    """
    items, length = len(scores), min(count, len(scores))
    slates = np.zeros((1, 0), np.intp)
    worth = np.zeros(1)
    taken = np.zeros((1, items), np.bool_)
    likeness = np.zeros((1, items))
    for place in range(length):
        step = (1.0 - diversity) * scores[None, :] - diversity * likeness / max(place, 1)
        grown = np.where(taken, -np.inf, worth[:, None] + step / np.log2(place + 2.0))
        keep = np.argsort(-grown.ravel(), kind="stable")[: min(width, int(np.isfinite(grown).sum()))]
        parents, added = np.divmod(keep, items)
        slates = np.column_stack([slates[parents], added])
        worth = grown[parents, added]
        taken = taken[parents]
        taken[np.arange(len(keep)), added] = True
        likeness = likeness[parents] + sameness[added]
    return np.asarray(slates[0], np.intp)
