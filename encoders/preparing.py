"""Preparation in a few threads: handfuls of whatever came, the modalities in turn, while the device runs.

A hop to a thread and back costs 50 µs, more than preparing a text does. So inputs are gathered for one turn of the
event loop, in which all callers of a finished batch come back, and go in handfuls.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from config.errors import CrosscurrentError, RetryLater
from config.vocabulary import Modality
from encoders.forwarding import prepare_each
from encoders.waiting import Job, WaitingLine

_THREADS: Final = 2

HANDFULS: Final = {Modality.TEXT: 64, Modality.LOCATION: 64, Modality.SENSOR: 16}
"""Inputs prepared in one hop: about as many as take a tenth of a millisecond or two."""

HANDFUL: Final = 2
"""Of pictures and sounds, which take a millisecond each: more would leave the other thread idle."""


class Preparation:
    """Takes inputs from the lines, prepares them, and lets them stand in line for the device.

    Everything but ``prepare`` happens in the event loop's thread.

    Args:
        lines: One a modality.
        on_ready: Called when inputs stand in line.
    """

    def __init__(self, lines: Sequence[WaitingLine], on_ready: Callable[[], None]) -> None:
        self._turns = list(lines)
        self._on_ready = on_ready
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="prepare")
        self._free = _THREADS
        self._gathering = False

    def add(self, line: WaitingLine, jobs: Sequence[Job]) -> None:
        """Prepare these as soon as a thread is free."""
        line.unprepared.extend(jobs)
        if self._free and not self._gathering:
            self._gathering = True
            asyncio.get_running_loop().call_soon(self._start)

    async def close(self) -> None:
        """End the threads; what they have in hand is finished first."""
        await asyncio.to_thread(self._threads.shutdown)

    def _start(self) -> None:
        """Hand out work until no thread is free or nothing is left."""
        self._gathering = False
        while self._free and (found := self._next()):
            line, jobs = found
            self._free -= 1
            items = [job.item for job in jobs]
            hop = asyncio.get_running_loop().run_in_executor(self._threads, prepare_each, line.encoder, items)
            hop.add_done_callback(partial(self._finished, line, jobs))

    def _next(self) -> tuple[WaitingLine, list[Job]] | None:
        """The next handful, of the line whose turn it is; that line is the last next time."""
        for line in self._turns:
            modality = line.encoder.modality
            if jobs := line.take_unprepared(HANDFULS.get(modality, HANDFUL)):
                self._turns.remove(line)
                self._turns.append(line)
                return line, jobs
        return None

    def _finished(self, line: WaitingLine, jobs: Sequence[Job], hop: "asyncio.Future[list[Any]]") -> None:
        self._free += 1
        if (error := hop.exception()) is not None:
            failure = error if isinstance(error, CrosscurrentError) else RetryLater(f"preparation failed: {error}")
            for job in jobs:
                if not job.outcome.done():
                    job.outcome.set_exception(failure)
        else:
            line.join(jobs, hop.result())
            self._on_ready()
        self._start()
