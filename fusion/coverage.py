"""What a query asks of categories, and what hits serve of it (Santos, Macdonald, Ounis 2010; Agrawal et al. 2009)."""

from collections.abc import Hashable, Sequence

import numpy as np

from fusion.similarity import Matrix


class Categories:
    """The categories of a list's hits so far and of the candidates that its next places are chosen from.

    An item serves a category it is in as well as it matches: P(item | category) is its score over the best score, so
    that the best serves it whole; others do not serve it. A query asks for a category as much as its items match:
    P(category | query) is the sum of what they serve over that of all categories, scaled so that nothing gains more
    than 1.

    Args:
        of: The categories that each item is in: hits first, then candidates.
        scores: Of each item.
        hits: How many of them are hits.
    """

    def __init__(self, of: Sequence[Sequence[Hashable]], scores: Sequence[float], hits: int = 0) -> None:
        known = dict.fromkeys(category for categories in of for category in categories)
        number = {category: place for place, category in enumerate(known)}
        best = max(scores, default=0.0)
        served = np.zeros((len(of), len(known)))
        for row, categories in enumerate(of):
            served[row, [number[category] for category in categories]] = scores[row] / best if best > 0 else 0.0
        asked = served.sum(axis=0)
        most = float(((served > 0) @ asked).max(initial=0.0))
        self._asked = asked / most if most > 0 else asked
        self._served, self._hits = served, hits

    @property
    def serves(self) -> Matrix:
        """How well each candidate serves each category, shape (candidates, categories)."""
        return self._served[self._hits :]

    @property
    def unserved(self) -> Matrix:
        """What is asked for each category, less what the hits serve of it, shape (categories,)."""
        return np.asarray(self._asked * np.prod(1.0 - self._served[: self._hits], axis=0), np.float64)
