"""Sequences of items acted on as arrays: what a sequence model is trained and validated on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured

FEWEST_SEQUENCES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """Who acted on what when, in the order of time.

    Args:
        users: Any numbering, int64 of shape (n,).
        items: Rows of ``vectors``, int64 of shape (n,).
        liked: Whether they liked it, shape (n,).
        times_ms: int64 of shape (n,), ascending.
        vectors: Unit rows of shape (items, dims), float32.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    liked: NDArray[np.bool_]
    times_ms: NDArray[np.int64]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Stretches of sequences, padded behind.

    Args:
        items: Rows of the items' vectors, int64 of shape (windows, length).
        liked: 1 where they were liked, int64 of the same shape.
        targets: What came next, int64 of the same shape; -1 where nothing is to be foretold.
    """

    items: NDArray[np.int64]
    liked: NDArray[np.int64]
    targets: NDArray[np.int64]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.items)

    def take(self, rows: NDArray[np.intp] | slice) -> "Windows":
        """Some of them, without the padding that all share."""
        used = int(np.flatnonzero((self.targets[rows] >= 0).any(axis=0)).max()) + 1
        return Windows(items=self.items[rows, :used], liked=self.liked[rows, :used], targets=self.targets[rows, :used])


def acts_of(rows: Sequence[tuple[str, str, int, bool]], vectors: Mapping[str, NDArray[np.float32]]) -> Acts:
    """Actions as (user, item, time in ms, liked), in any order; those on items without a vector are passed over.

    Raises:
        Misconfigured: Nothing is left.
    """
    kept = sorted((row for row in rows if row[1] in vectors), key=lambda row: row[2])
    if not kept:
        raise Misconfigured("no item acted on has a vector: index the items first, or give the file that holds them")
    users = {user: number for number, user in enumerate(dict.fromkeys(row[0] for row in kept))}
    items = {item: number for number, item in enumerate(sorted({row[1] for row in kept}))}
    return Acts(
        users=np.array([users[row[0]] for row in kept], np.int64),
        items=np.array([items[row[1]] for row in kept], np.int64),
        liked=np.array([row[3] for row in kept], np.bool_),
        times_ms=np.array([row[2] for row in kept], np.int64),
        vectors=np.stack([vectors[item] for item in items]).astype(np.float32),
    )


def split_windows(acts: Acts, length: int, validation: float) -> tuple[Windows, Windows]:
    """Windows of training and of validation: one moment parts them, before which lies all that is trained on.

    A validation window reads what came before the moment, too; only what came after it is foretold.

    Raises:
        Misconfigured: There are too few sequences.
    """
    moment = acts.times_ms[min(int((1.0 - validation) * len(acts.times_ms)), len(acts.times_ms) - 1)]
    training: list[_Window] = []
    validating: list[_Window] = []
    order = np.argsort(acts.users, kind="stable")
    for places in np.split(order, np.flatnonzero(np.diff(acts.users[order])) + 1):
        before = int((acts.times_ms[places] < moment).sum())
        training += _cut(acts, places[:before], length, first=1)
        validating += _cut(acts, places, length, first=before) if before else []
    training = [window for window in training if (window.targets >= 0).any()]
    validating = [window for window in validating if (window.targets >= 0).any()]
    if len(training) < FEWEST_SEQUENCES:
        message = f"only {len(training)} sequences with something liked: at least {FEWEST_SEQUENCES} are needed"
        raise Misconfigured(message)
    if not validating:
        raise Misconfigured(f"nobody with a past liked anything in the latest {validation:.0%} of the actions")
    return _padded(training, length), _padded(validating, length)


@dataclass(frozen=True, slots=True)
class _Window:
    items: NDArray[np.int64]
    liked: NDArray[np.bool_]
    targets: NDArray[np.int64]


def _cut(acts: Acts, places: NDArray[np.intp], length: int, *, first: int) -> list[_Window]:
    """Stretches of at most ``length`` actions before each target from place ``first`` on, the last one full."""
    wanted = np.where(acts.liked[places], acts.items[places], -1)
    windows = []
    end = len(places) - 1
    while end > 0 and end >= first:
        start = max(0, end - length)
        targets = wanted[start + 1 : end + 1].copy()
        targets[: max(0, first - start - 1)] = -1
        read = places[start:end]
        windows.append(_Window(acts.items[read], acts.liked[read], targets))
        end = start
    return windows


def _padded(windows: Sequence[_Window], length: int) -> Windows:
    shape = (len(windows), length)
    items, liked, targets = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
    for row, window in enumerate(windows):
        size = len(window.items)
        items[row, :size], liked[row, :size], targets[row, :size] = window.items, window.liked, window.targets
    return Windows(items=items, liked=liked, targets=targets)
