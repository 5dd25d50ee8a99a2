"""What a recommender must beat: popularity, and item-kNN and matrix factorisation from the library ``implicit``.

Weak baselines make anything look good (Ferrari Dacrema, Cremonesi, Jannach 2019), so these are tuned on the validation
part, refit during the test, and given each user's history up to the moment that is asked for.
"""

import warnings
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured

Places = NDArray[np.int64]

KNN_GRID: Final[Mapping[str, Sequence[Any]]] = {"weighting": ("cosine", "bm25"), "K": (20, 50, 100, 200)}
"""Cosine (Sarwar et al. 2001), and the same on BM25 weights, which damp popularity."""

MF_GRID: Final[Mapping[str, Sequence[Any]]] = {
    "factors": (32, 64, 128),
    "regularization": (0.01, 0.1, 1.0),
    "alpha": (1.0, 10.0),
}
"""Of implicit-feedback alternating least squares (Hu, Koren, Volinsky 2008)."""


class Baseline(Protocol):
    """Ranks items by nothing but who liked what."""

    def fit(self, users: Places, items: Places, shape: tuple[int, int]) -> None:
        """Learn from likes, one user and item each; ``shape`` is (users, items) of the whole log."""
        ...

    def top(self, liked: Places, seen: Places, count: int) -> Places:
        """The best items for someone who liked some items and saw some; none that was seen, at most ``count``."""
        ...


class Popularity:
    """How many liked it, up to now: ``learn`` counts every like as it happens."""

    def __init__(self) -> None:
        self._counts = np.zeros(0)

    def fit(self, users: Places, items: Places, shape: tuple[int, int]) -> None:
        """Count anew."""
        self._counts = np.bincount(items, minlength=shape[1]).astype(np.float64)

    def learn(self, item: int) -> None:
        """One more like."""
        self._counts[item] += 1

    def top(self, liked: Places, seen: Places, count: int) -> Places:
        """See ``Baseline.top``."""
        counts = self._counts.copy()
        counts[seen] = -1.0
        best = np.argsort(-counts, kind="stable")[:count]
        return np.asarray(best[counts[best] > 0], np.int64)


class ItemNeighbours:
    """Items that the same users liked.

    Args:
        weighting: ``cosine`` or ``bm25``.
        K: Neighbours kept of each item.
    """

    def __init__(self, weighting: str, K: int) -> None:  # noqa: N803 - the library's name, as in reports
        from implicit.nearest_neighbours import BM25Recommender, CosineRecommender

        kind = {"cosine": CosineRecommender, "bm25": BM25Recommender}[weighting]
        self._model = kind(K=K, num_threads=1)
        self._items = 0

    def fit(self, users: Places, items: Places, shape: tuple[int, int]) -> None:
        """See ``Baseline.fit``."""
        self._items = shape[1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library warns of its own conversions
            self._model.fit(_matrix(users, items, shape), show_progress=False)

    def top(self, liked: Places, seen: Places, count: int) -> Places:
        """See ``Baseline.top``."""
        return _recommended(self._model, liked, seen, count, self._items)


class Factors:
    """Users and items as vectors whose products tell likes; a user is folded in from what they liked up to now.

    Args:
        factors: Length of the vectors.
        regularization: Weight of their lengths.
        alpha: Weight of a like against none.
        seed: Of the start.
    """

    def __init__(self, factors: int, regularization: float, alpha: float, seed: int = 0) -> None:
        from implicit.als import AlternatingLeastSquares

        self._model = AlternatingLeastSquares(
            factors=factors, regularization=regularization, alpha=alpha, random_state=seed, num_threads=1, iterations=15
        )
        self._items = 0

    def fit(self, users: Places, items: Places, shape: tuple[int, int]) -> None:
        """See ``Baseline.fit``."""
        self._items = shape[1]
        self._model.fit(_matrix(users, items, shape), show_progress=False)

    def top(self, liked: Places, seen: Places, count: int) -> Places:
        """See ``Baseline.top``."""
        return _recommended(self._model, liked, seen, count, self._items, recalculate_user=True)


def require_library() -> None:
    """See that the library is there.

    Raises:
        Misconfigured: It is not; names the extra.
    """
    from importlib.util import find_spec

    if find_spec("implicit") is None:
        raise Misconfigured("implicit is not installed: pip install 'crosscurrent[train]'")


def grid(kind: type[Any], choices: Mapping[str, Sequence[Any]]) -> list[tuple[str, Any]]:
    """Every combination of choices as (description, baseline)."""
    made = [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]
    return [(", ".join(f"{name}={value}" for name, value in each.items()), kind(**each)) for each in made]


def _matrix(users: Places, items: Places, shape: tuple[int, int]) -> Any:
    from scipy.sparse import csr_matrix

    made = csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=shape)
    made.data[:] = 1.0  # one who liked an item twice likes it once
    return made


def _recommended(model: Any, liked: Places, seen: Places, count: int, items: int, **options: Any) -> Places:
    if not len(liked):
        return np.zeros(0, np.int64)
    row = _matrix(np.zeros(len(liked), np.int64), liked, (1, items))
    ids, scores = model.recommend(0, row, N=count, filter_already_liked_items=True, filter_items=seen, **options)
    found = (scores > 0) & (ids >= 0)  # the library fills up with items that it knows nothing of
    return np.asarray(ids[found][:count], np.int64)  # item filters make it return more than it was asked for
