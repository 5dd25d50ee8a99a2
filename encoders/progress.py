"""Progress bars of long work, on standard error: standard output belongs to reports, which may be JSON."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

_T = TypeVar("_T")


def track(
    sequence: Iterable[_T] | Sequence[_T], description: str, total: float | None = None, *, disable: bool = False
) -> Iterable[_T]:
    """Yield what is in ``sequence`` and show how far it has got.

    Args:
        sequence: What is worked through.
        description: What the bar is called.
        total: Length, where the sequence does not tell.
        disable: Show nothing.
    """
    return rich_track(sequence, description, total=total, console=Console(stderr=True), disable=disable)
