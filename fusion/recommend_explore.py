"""A share of a recommendation's places goes elsewhere, so that more is learnt of users than what they were shown.

Which places, no chance decides: with a share of 0.1 every tenth. Which items, a random direction does, drawn from the
user and the time window: all pages of a window fit together, and the next window brings others. A direction, and not
a draw from the candidates, because its order does not depend on how many candidates a page has, and because items that
nobody has touched yet have the same chance.
"""

import math
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from fusion.ranking import Places
from fusion.similarity import Matrix

STEP_ASIDE: Final = 0.5
"""How far chance moves an item, as the standard deviation of its cosine: the taste spans about 0.9, so what is liked
comes more often, and nothing is ruled out."""

EXPLORED_BECAUSE: Final = "a step aside, to learn what else this user likes (drawn anew every {})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explore:
    """Places given away.

    Args:
        direction: float32 unit vector of shape (dims,): what is nearest to it gets them, in this order.
        share: Of the places, in [0, 1].
        because: The reason in words.
    """

    direction: NDArray[np.float32]
    share: float
    because: str

    @classmethod
    def of(cls, direction: NDArray[np.float32], share: float, window_s: float, wanted: int) -> Self | None:
        """None when the first ``wanted`` places hold none that is explored."""
        if not any(is_explored(rank, share) for rank in range(1, wanted + 1)):
            return None
        every = "hour" if window_s == 3600 else f"{window_s:g} s"
        return cls(direction=direction, share=share, because=EXPLORED_BECAUSE.format(every))


def explored_direction(
    seed: str, now_ms: int, window_s: float, dims: int, taste: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """A direction that only the seed and the window decide, drawn towards the taste: unit, of shape (dims,).

    Args:
        seed: For whom; the same for all who are cold, so that these get the same.
        now_ms: In milliseconds since 1970.
        window_s: For how long the direction stays.
        dims: Length of the space's vectors.
        taste: Unit vector; None for who has none.
    """
    window = math.floor(now_ms / (window_s * 1000))
    digest = sha256(f"{window}:{seed}".encode()).digest()
    drawn = np.random.default_rng(int.from_bytes(digest[:8])).standard_normal(dims)  # each cosine deviates by 1
    direction = STEP_ASIDE * drawn + (0.0 if taste is None else taste.astype(np.float64))
    return np.asarray(direction / np.linalg.norm(direction), np.float32)


def is_explored(rank: int, share: float) -> bool:
    """Whether a place, counted from 1, is an explored one: so that the share holds up to every place."""
    return math.floor(rank * share + 1e-9) > math.floor((rank - 1) * share + 1e-9)


def with_explored(order: Places, explore: Explore, fused: Matrix) -> tuple[Places, frozenset[int]]:
    """Give explored candidates their places; what they push down follows, and none comes twice.

    Args:
        order: Candidates by rank.
        explore: Which places, and what gets them.
        fused: The candidates' unit rows, shape (candidates, dims).

    Returns:
        As many candidates as in ``order``, and those among them that were explored.
    """
    aside = iter(np.argsort(-(fused @ explore.direction.astype(np.float64)).round(9), kind="stable").tolist())
    ranked = iter(order.tolist())
    taken: dict[int, bool] = {}
    for rank in range(1, len(order) + 1):
        explores = is_explored(rank, explore.share)
        place = next(place for place in (aside if explores else ranked) if place not in taken)
        taken[place] = explores
    return np.fromiter(taken, np.intp, len(taken)), frozenset(place for place, explores in taken.items() if explores)
