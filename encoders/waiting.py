"""Where inputs wait: the turnstile at the door, and a line for each modality: to be prepared, then for the device."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from config.errors import RejectEvent
from encoders.base import Encoder, EncoderInput, Vector

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


@runtime_checkable
class CrowdedEncoder(Protocol):
    """An encoder whose inputs are small: so many of them count as one towards the most in a batch."""

    @property
    def crowd(self) -> int:
        """How many."""
        ...


@dataclass(slots=True, eq=False)
class Job:
    """One input, and the future that its caller awaits. What follows the future is known once it is prepared."""

    item: EncoderInput
    outcome: "asyncio.Future[Outcome]"
    prepared: Any = None
    size: int = 1
    since: float = 0.0


class Turnstile:
    """Admits a bounded number of inputs; whoever comes later waits in turn. This is the back pressure on callers.

    Args:
        places: How many may be inside.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._in_turn = asyncio.Lock()  # fair: those who wait for several places are not overtaken
        self._left = asyncio.Event()

    def try_enter(self, count: int) -> bool:
        """Take ``count`` places if they are free and nobody waits for any."""
        if self._in_turn.locked() or self._free < count:
            return False
        self._free -= count
        return True

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
    """Inputs of one modality, in the order in which they came.

    Args:
        encoder: The modality's encoder.
        limit: Most inputs of common size in one batch; lowered when the device's memory turns out to be too small.
    """

    def __init__(self, encoder: Encoder, limit: int) -> None:
        self.encoder = encoder
        self.limit = limit * (encoder.crowd if isinstance(encoder, CrowdedEncoder) else 1)
        self.unprepared: deque[Job] = deque()
        self._padded = encoder if isinstance(encoder, PaddedEncoder) else None
        self._jobs: list[Job] = []

    def __len__(self) -> int:
        return sum(not job.outcome.done() for job in self._jobs)

    def __bool__(self) -> bool:
        return any(not job.outcome.done() for job in self._jobs)

    def take_unprepared(self, count: int) -> list[Job]:
        """Remove and return up to so many inputs that are to be prepared; what nobody awaits is passed over."""
        taken: list[Job] = []
        while self.unprepared and len(taken) < count:
            job = self.unprepared.popleft()
            if not job.outcome.done():
                taken.append(job)
        return taken

    def join(self, jobs: Sequence[Job], prepared: Sequence[Any]) -> None:
        """Let prepared inputs stand at the end of the line; those that were refused have their outcome."""
        since = time.perf_counter()
        for job, each in zip(jobs, prepared, strict=True):
            if job.outcome.done():
                continue
            if isinstance(each, RejectEvent):
                job.outcome.set_result(each)
                continue
            job.prepared, job.since = each, since
            if self._padded is not None:
                job.size = self._padded.size(each)
            self._jobs.append(job)

    def take(self) -> list[Job]:
        """Remove and return the next batch: the first in line, and those that fit with it; empty if nobody waits."""
        waiting = [job for job in self._jobs if not job.outcome.done()]  # nobody awaits what was cancelled
        chosen = waiting[: self.limit] if self._padded is None else self._fitting(waiting, self._padded.max_padded)
        taken = set(map(id, chosen))
        self._jobs = [job for job in waiting if id(job) not in taken]
        return chosen

    def clear(self) -> list[Job]:
        """Remove and return everybody."""
        waiting, self._jobs = [*self.unprepared, *self._jobs], []
        self.unprepared.clear()
        return [job for job in waiting if not job.outcome.done()]

    def _fitting(self, waiting: list[Job], max_padded: int) -> list[Job]:
        """Grow a batch around the first in line with the inputs nearest to it in size, so that little is padded."""
        if not waiting:
            return waiting
        by_size = sorted(waiting, key=lambda job: job.size)
        low = by_size.index(waiting[0])
        high = low + 1
        while high - low < self.limit:
            count = high - low + 1
            fits_below = low > 0 and count * by_size[high - 1].size <= max_padded
            fits_above = high < len(by_size) and count * by_size[high].size <= max_padded
            if not fits_below and not fits_above:
                break
            padding_below = by_size[high - 1].size - by_size[low - 1].size if fits_below else None
            padding_above = (count - 1) * (by_size[high].size - by_size[high - 1].size) if fits_above else None
            if padding_above is None or (padding_below is not None and padding_below <= padding_above):
                low -= 1
            else:
                high += 1
        return by_size[low:high]
