"""Interaction logs in the form that public data sets have: ``user,item,rating,timestamp``, one a line."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured

_DELIMITERS = ("::", "\t", ";", ",")
_COLUMNS = 4
_MILLISECONDS_FROM = 1e11
"""Larger timestamps are milliseconds: as seconds they would lie beyond the year 5000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionLog:
    """Interactions in the order of their times; those of one time in the order of the file.

    Args:
        users: Place of each interaction's user in ``user_ids``, int64 of shape (n,).
        items: The same for items.
        ratings: float64 of shape (n,), in the file's own scale.
        times_ms: int64 of shape (n,), milliseconds since 1970, ascending.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    ratings: NDArray[np.float64]
    times_ms: NDArray[np.int64]
    user_ids: Sequence[str]
    item_ids: Sequence[str]

    def __len__(self) -> int:
        """How many interactions there are."""
        return len(self.users)

    @property
    def is_rated(self) -> bool:
        """Whether ratings differ; where they do not, an interaction alone says that somebody wanted the item."""
        return len(self) > 0 and float(np.ptp(self.ratings)) > 0

    def on_five(self) -> NDArray[np.float64]:
        """Ratings stretched to 1 … 5, shape (n,), by the lowest and highest of the log."""
        low, high = float(self.ratings.min()), float(self.ratings.max())
        return 1.0 + 4.0 * (self.ratings - low) / (high - low)

    def positives(self) -> NDArray[np.bool_]:
        """Which interactions say that the item was liked: 4 of 5 and above where ratings differ, else all."""
        return self.on_five() >= 4.0 if self.is_rated else np.ones(len(self), np.bool_)

    def rows(self, until: int | None = None) -> list[tuple[str, str, int, bool]]:
        """(user, item, time in ms, whether it was liked) of the first ``until`` interactions, or of all."""
        columns = (self.users, self.items, self.times_ms, self.positives())
        return [
            (self.user_ids[user], self.item_ids[item], int(time_ms), bool(liked))
            for user, item, time_ms, liked in zip(*(column[:until].tolist() for column in columns), strict=True)
        ]


def make_log(
    user_ids: Sequence[str], item_ids: Sequence[str], ratings: Sequence[float], times_ms: Sequence[int]
) -> InteractionLog:
    """Make a log of columns of equal length, in any order."""
    times = np.asarray(times_ms, np.int64)
    order = np.argsort(times, kind="stable")
    users, user_names = _numbered(user_ids)
    items, item_names = _numbered(item_ids)
    return InteractionLog(
        users=users[order],
        items=items[order],
        ratings=np.asarray(ratings, np.float64)[order],
        times_ms=times[order],
        user_ids=user_names,
        item_ids=item_names,
    )


def _numbered(names: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    numbers: dict[str, int] = {}
    places = np.fromiter((numbers.setdefault(name, len(numbers)) for name in names), np.int64, len(names))
    return places, list(numbers)


def read_log(path: Path) -> InteractionLog:
    """Read ``user,item,rating,timestamp``, parted by commas, tabs, semicolons or ``::``; a header may come first.

    Timestamps are seconds or milliseconds since 1970.

    Raises:
        Misconfigured: The file cannot be read, or a line is not of this form; names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(_rows(file, path))
    except (OSError, UnicodeDecodeError) as exc:
        raise Misconfigured(f"{path}: cannot be read ({exc})") from exc
    if not rows:
        raise Misconfigured(f"{path}: holds no interaction; a line is user,item,rating,timestamp")
    users, items, ratings, times = zip(*rows, strict=True)
    return make_log(users, items, ratings, times)


def _rows(lines: Iterator[str], path: Path) -> Iterator[tuple[str, str, float, int]]:
    delimiter = ""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        delimiter = delimiter or next((each for each in _DELIMITERS if each in line), ",")
        cells = _cells(line, delimiter)
        try:
            user, item, rating, time = cells[:_COLUMNS]
            seconds = float(time)
            yield user, item, float(rating), round(seconds if seconds >= _MILLISECONDS_FROM else seconds * 1000)
        except ValueError as exc:
            if number == 1 and len(cells) >= _COLUMNS:
                continue  # a header
            message = f"{path}:{number}: a line is user,item,rating,timestamp with two numbers at the end, not {line!r}"
            raise Misconfigured(message) from exc


def _cells(line: str, delimiter: str) -> list[str]:
    if len(delimiter) > 1:  # csv knows delimiters of one character only
        return line.strip().split(delimiter)
    return next(csv.reader([line.strip("\r\n")], delimiter=delimiter))


def write_log(log: InteractionLog, path: Path) -> None:
    """Write what ``read_log`` reads, with a header; timestamps in seconds with three decimals."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item", "rating", "timestamp"])
        for user, item, rating, time_ms in zip(log.users, log.items, log.ratings, log.times_ms, strict=True):
            writer.writerow([log.user_ids[user], log.item_ids[item], f"{rating:g}", f"{time_ms / 1000:.3f}"])


Vectors = Mapping[str, NDArray[np.float32]]


def write_vectors(vectors: Vectors, path: Path) -> None:
    """Write items' vectors of shape (dims,) as ``ids`` and ``vectors`` of one ``.npz`` file."""
    np.savez_compressed(path, ids=np.array(list(vectors)), vectors=np.stack(list(vectors.values())).astype(np.float32))


def read_vectors(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read what ``write_vectors`` wrote, rows brought to unit length.

    Raises:
        Misconfigured: It is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as read:
            ids, rows = read["ids"].tolist(), np.asarray(read["vectors"], np.float32)
    except (OSError, KeyError, ValueError) as exc:
        message = f"{path}: must be an .npz with 'ids' (strings) and 'vectors' of shape (items, dims): {exc}"
        raise Misconfigured(message) from exc
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if len(ids) != len(rows) or not np.isfinite(rows).all() or not lengths.all():
        raise Misconfigured(f"{path}: needs one finite vector other than 0 for each id")
    return dict(zip(map(str, ids), rows / lengths, strict=True))
