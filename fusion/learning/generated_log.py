"""A log of interactions with structure that can be learnt, and with what makes logs hard: made from a seed alone.

Items have a content vector around the centre of one of many themes, a popularity that falls as a power of its rank, and
a day from which they exist (some come late: cold items). Users like a few themes, one of which is replaced halfway
(drift). They come in visits of a few minutes, days apart. Each action is one of

- *next*: what follows the last item. Half of the time one of the item's three successors, which only co-occurrence can
  tell; else something of the theme that follows its theme, on the same side of that theme as the last item is of its
  own, which content can tell;
- *taste*: something of a theme they like;
- *popular*: by popularity alone;
- *chance*: anything.

Ratings follow the taste, with noise; nothing is acted on twice by the same user.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fusion.learning.interaction_log import InteractionLog, Vectors, make_log
from fusion.similarity import Matrix, unit_rows

_DAY_MS: Final = 86_400_000
_START_MS: Final = 1_700_000_000_000
_SHARPNESS: Final = 8.0
"""How strongly a theme's items are preferred by their likeness to what is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedShape:
    """How large the log is, and what drives it.

    Args:
        cold: Share of the items that appear in the last third of the days.
        skew: Power of the popularity's fall over ranks.
        shares: Of *next*, *taste*, *popular* and *chance* among the actions.
    """

    users: int = 1200
    items: int = 1500
    themes: int = 40
    dims: int = 64
    days: int = 60
    visits: int = 9
    cold: float = 0.15
    skew: float = 0.8
    shares: tuple[float, float, float, float] = (0.4, 0.35, 0.15, 0.1)


class _World:
    """Items and how they follow each other."""

    def __init__(self, shape: GeneratedShape, rng: np.random.Generator) -> None:
        self.shape, self.rng = shape, rng
        self.themes = rng.integers(shape.themes, size=shape.items)
        self.centres = unit_rows(rng.standard_normal((shape.themes, shape.dims)))
        self.sides = unit_rows(rng.standard_normal((shape.items, shape.dims)))
        self.vectors = unit_rows(self.centres[self.themes] + 0.7 * self.sides)
        ranks = rng.permutation(shape.items) + 1.0
        self.popularity: Matrix = np.asarray(ranks**-shape.skew, np.float64)
        self.from_day = np.where(
            rng.random(shape.items) < shape.cold, rng.uniform(2 / 3, 1, shape.items) * shape.days, 0.0
        )
        self.follows = rng.permutation(shape.themes)
        self.successors = rng.integers(shape.items, size=(shape.items, 3))

    def draw(self, weights: Matrix, day: float, seen: NDArray[np.bool_]) -> int | None:
        """An item that exists and was not seen, by weight; None when all were seen."""
        left = ~seen & (self.from_day <= day)
        if not left.any():
            return None
        weights = np.where(left, weights if weights[left].any() else 1.0, 0.0)
        return int(self.rng.choice(len(weights), p=weights / weights.sum()))

    def after(self, last: int) -> Matrix:
        """Weights of what follows an item."""
        if self.rng.random() < 0.5:
            weights = np.zeros(self.shape.items)
            weights[self.successors[last]] = (4.0, 2.0, 1.0)
            return weights
        wanted = self.centres[self.follows[self.themes[last]]] + 0.7 * self.sides[last]
        return self.like(wanted / np.linalg.norm(wanted))

    def like(self, wanted: Matrix) -> Matrix:
        """Weights by likeness to a direction, a little by popularity."""
        return np.asarray(np.exp(_SHARPNESS * (self.vectors @ wanted)) * self.popularity**0.5, np.float64)


def generate_log(seed: int, shape: GeneratedShape | None = None) -> tuple[InteractionLog, Vectors]:
    """The same seed and shape make the same log and content vectors, bit for bit."""
    shape = shape or GeneratedShape()
    rng = np.random.default_rng(seed)
    world = _World(shape, rng)
    rows = [row for user in range(shape.users) for row in _life(world, user)]
    users, items, ratings, times = zip(*rows, strict=True)
    log = make_log([f"u{user:05d}" for user in users], [f"i{item:05d}" for item in items], ratings, times)
    vectors = {f"i{item:05d}": row.astype(np.float32) for item, row in enumerate(world.vectors)}
    return log, vectors


def _life(world: _World, user: int) -> list[tuple[int, int, float, int]]:
    """Everything one user does."""
    rng, shape = world.rng, world.shape
    liked = rng.choice(shape.themes, 3, replace=False)
    later = np.array([liked[0], liked[1], rng.integers(shape.themes)])
    seen = np.zeros(shape.items, np.bool_)
    rows: list[tuple[int, int, float, int]] = []
    for day in np.sort(rng.uniform(rng.uniform(0, 0.8) * shape.days, shape.days, rng.poisson(shape.visits) + 1)):
        tastes = liked if day < shape.days / 2 else later
        rows += _visit(world, user, float(day), tastes, seen)
    return rows


def _visit(
    world: _World, user: int, day: float, tastes: NDArray[np.int64], seen: NDArray[np.bool_]
) -> list[tuple[int, int, float, int]]:
    rng = world.rng
    time_ms = _START_MS + day * _DAY_MS
    rows: list[tuple[int, int, float, int]] = []
    last: int | None = None
    theme = int(rng.choice(tastes))
    for _ in range(rng.geometric(0.2)):
        last = _act(world, day, theme, last, seen)
        if last is None:
            break
        seen[last] = True
        likes = float((world.centres[tastes] @ world.vectors[last]).max())
        rating = float(np.clip(np.round(2.9 + 2.4 * likes + 0.7 * rng.standard_normal()), 1, 5))
        rows.append((user, last, rating, round(time_ms)))
        time_ms += 1000.0 * rng.exponential(90.0) + 1.0
    return rows


def _act(world: _World, day: float, theme: int, last: int | None, seen: NDArray[np.bool_]) -> int | None:
    """What is acted on next."""
    kind = int(world.rng.choice(4, p=world.shape.shares))
    if kind == 0 and last is not None:
        return world.draw(world.after(last), day, seen)
    if kind <= 1:
        return world.draw(world.like(world.centres[theme]), day, seen)
    weights: Matrix = world.popularity if kind == 2 else np.ones(len(seen), np.float64)
    return world.draw(weights, day, seen)
