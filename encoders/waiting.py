"""Where inputs wait: the turnstile in front of preparation, and one line a modality in front of the device."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from config.errors import RejectEvent
from encoders.base import Encoder, Vector

Outcome = Vector | RejectEvent
"""What becomes of one input."""


@runtime_checkable
class PaddedEncoder(Protocol):
    """An encoder whose batch costs its length times its largest input."""

    @property
    def max_padded(self) -> int:
        """Most that the number of inputs times the largest size may be in one forward pass."""
        ...

    def size(self, prepared: Any) -> int:
        """Return the size of one prepared input: samples, tokens, windows."""
        ...


@dataclass(slots=True, eq=False)
class Job:
    """One prepared input, and the future that its caller awaits."""

    prepared: Any
    size: int
    outcome: "asyncio.Future[Outcome]"
    since: float = field(default_factory=time.perf_counter)


class Turnstile:
    """Admits a bounded number of inputs; whoever comes later waits in turn. This is the back pressure on callers.

    Args:
        places: How many may be inside.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._in_turn = asyncio.Lock()  # fair: those who wait for several places are not overtaken
        self._left = asyncio.Event()

    async def enter(self, count: int) -> None:
        """Wait for ``count`` places at once; taking them one by one, two callers could wait for each other forever."""
        async with self._in_turn:
            while self._free < count:
                self._left.clear()
                await self._left.wait()
            self._free -= count

    def leave(self, count: int) -> None:
        """Give places back."""
        self._free += count
        self._left.set()


class WaitingLine:
    """Prepared inputs of one modality, in the order in which they came.

    Args:
        encoder: The modality's encoder.
        limit: Most inputs in one batch; lowered when the device's memory turns out to be too small for it.
    """

    def __init__(self, encoder: Encoder, limit: int) -> None:
        self.encoder = encoder
        self.limit = limit
        self._jobs: list[Job] = []

    def __len__(self) -> int:
        return sum(not job.outcome.done() for job in self._jobs)

    def join(self, prepared: Any) -> Job:
        """Add an input at the end of the line."""
        size = self.encoder.size(prepared) if isinstance(self.encoder, PaddedEncoder) else 1
        job = Job(prepared, size, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        return job

    def take(self) -> list[Job]:
        """Remove and return the next batch: the first in line, and those that fit with it; empty if nobody waits."""
        waiting = [job for job in self._jobs if not job.outcome.done()]  # nobody awaits what was cancelled
        chosen = self._fitting(waiting) if isinstance(self.encoder, PaddedEncoder) else waiting[: self.limit]
        taken = set(map(id, chosen))
        self._jobs = [job for job in waiting if id(job) not in taken]
        return chosen

    def clear(self) -> list[Job]:
        """Remove and return everybody."""
        waiting, self._jobs = self._jobs, []
        return [job for job in waiting if not job.outcome.done()]

    def _fitting(self, waiting: list[Job]) -> list[Job]:
        """Grow a batch around the first in line with the inputs nearest to it in size, so that little is padded."""
        if not waiting or not isinstance(self.encoder, PaddedEncoder):
            return waiting
        by_size = sorted(waiting, key=lambda job: job.size)
        low = by_size.index(waiting[0])
        high = low + 1
        while high - low < self.limit:
            count = high - low + 1
            fits_below = low > 0 and count * by_size[high - 1].size <= self.encoder.max_padded
            fits_above = high < len(by_size) and count * by_size[high].size <= self.encoder.max_padded
            if not fits_below and not fits_above:
                break
            padding_below = by_size[high - 1].size - by_size[low - 1].size if fits_below else None
            padding_above = (count - 1) * (by_size[high].size - by_size[high - 1].size) if fits_above else None
            if padding_above is None or (padding_below is not None and padding_below <= padding_above):
                low -= 1
            else:
                high += 1
        return by_size[low:high]
