"""What a query asks of categories, and what hits serve of it (Santos, Macdonald, Ounis 2010; Agrawal et al. 2009)."""

from collections.abc import Hashable, Sequence

import numpy as np

from fusion.ranking import Places
from fusion.similarity import Matrix


class Categories:
    """The categories of one stretch of a list.

    A query asks for a category as much as its candidates match: P(category | query) is the sum of their scores over
    that of all categories. A candidate serves a category it is in as well as it matches: P(candidate | category) is its
    score; others not at all. Both are scaled by one factor, so that nothing gains more than 1.

    Args:
        of: The categories that each candidate is in.
        scores: Shape (candidates,); -inf where one does not count yet.
    """

    def __init__(self, of: Sequence[Sequence[Hashable]], scores: Matrix) -> None:
        self._of = of
        self._scores = scores
        counted = np.flatnonzero(np.isfinite(scores)).tolist()
        known = dict.fromkeys(category for place in counted for category in of[place])
        self._number = {category: number for number, category in enumerate(known)}
        asked = np.zeros(len(known))
        for place in counted:
            asked[self._numbers(place)] += scores[place]
        most = max((asked[self._numbers(place)].sum() for place in counted), default=0.0)
        self._asked = asked / most if most > 0 else asked

    def serves(self, places: Places) -> Matrix:
        """How well candidates serve each category, shape (places, categories)."""
        served = np.zeros((len(places), len(self._asked)))
        for row, place in enumerate(places.tolist()):
            served[row, self._numbers(place)] = self._scores[place]
        return served

    def unserved(self, hits: Sequence[int], scores: Sequence[float]) -> Matrix:
        """What is asked for each category, less what hits serve of it, shape (categories,)."""
        left = self._asked.copy()
        for place, score in zip(hits, scores, strict=True):
            left[self._numbers(place)] *= 1.0 - score
        return left

    def _numbers(self, place: int) -> list[int]:
        return [self._number[category] for category in self._of[place] if category in self._number]
