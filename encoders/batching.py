"""Dynamic micro-batching: many callers, one device, and a batch is whatever was waiting when the device became free.

The device is never kept idle to fill a batch, so a lone query pays no waiting time, and under load batches grow by
themselves. Three stages overlap: inputs are prepared in a small thread pool while the device runs the batch before,
and results are brought back while it runs the next.

Everything but ``prepare``, ``forward`` and ``finish`` happens in the event loop's thread: the queues need no locks.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

from config.errors import CrosscurrentError, Reason, RejectEvent, RetryLater
from config.settings import ModelSettings
from config.vocabulary import Modality
from encoders.base import Encoder, EncoderInput, EncoderSet, Vector
from encoders.forwarding import is_out_of_memory, outcomes_of, recover
from encoders.preparing import HANDFUL, HANDFULS, Preparation
from encoders.waiting import Job, Outcome, Turnstile, WaitingLine

log = logging.getLogger(__name__)

_IN_FLIGHT: Final = 2  # one batch on the device, one on its way back


class BatchObserver(Protocol):
    """Is told of every batch; metrics listen here."""

    def observe(self, modality: Modality, size: int, wait_s: float, encode_s: float) -> None:
        """Note a batch.

        Args:
            modality: What was encoded.
            size: Inputs in the batch.
            wait_s: How long the one that came first had waited for the device.
            encode_s: Forward and finish together.
        """
        ...


class DeviceBatcher:
    """Encodes inputs of any modality in batches, on one device, for any number of callers in one event loop.

    Args:
        encoders: The profile's encoders.
        settings: ``max_batch`` and ``max_waiting``.
        observer: Told of every batch.
    """

    def __init__(self, encoders: EncoderSet, settings: ModelSettings, observer: BatchObserver | None = None) -> None:
        self._encoders = encoders
        self._observer = observer
        self._lines = {
            modality: WaitingLine(encoder, settings.max_batch) for modality, encoder in encoders.encoders.items()
        }
        self._turnstile = Turnstile(settings.max_waiting)
        self._handfuls = {each: min(HANDFULS.get(each, HANDFUL), settings.max_waiting) for each in self._lines}
        self._preparation = Preparation(list(self._lines.values()), on_ready=self._wake)
        self._device = ThreadPoolExecutor(1, thread_name_prefix="device")
        self._finishing = ThreadPoolExecutor(1, thread_name_prefix="finish")
        self._turns = list(self._lines)
        self._in_flight = asyncio.Semaphore(_IN_FLIGHT)
        self._returning: set[asyncio.Task[None]] = set()
        self._work = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def encoders(self) -> EncoderSet:
        """The profile's encoders."""
        return self._encoders

    @property
    def waiting(self) -> Mapping[Modality, int]:
        """Prepared inputs that wait for the device, by modality."""
        return {modality: len(line) for modality, line in self._lines.items()}

    async def encode(self, modality: Modality, item: EncoderInput) -> Vector:
        """Encode one input.

        Returns:
            A float32 unit vector of shape (dims,).

        Raises:
            RejectEvent: If this input can never be encoded.
            RetryLater: If the device is broken or this batcher is closing.
        """
        if (line := self._lines.get(modality)) is None:
            raise self._unsupported(modality)
        [job] = await self._admit(line, [item])
        vector = await job.outcome
        if isinstance(vector, RejectEvent):
            raise vector
        return vector

    async def encode_many(self, requests: Sequence[tuple[Modality, EncoderInput]]) -> list[Outcome]:
        """Encode inputs of any modalities; one that cannot be encoded becomes its refusal and fails alone.

        Returns:
            One vector (dims,) or refusal for each request, in order.

        Raises:
            RetryLater: If the device is broken or this batcher is closing: none of the inputs is to blame.
        """
        places: dict[Modality, list[int]] = {}
        for place, (modality, _) in enumerate(requests):
            places.setdefault(modality, []).append(place)
        jobs: dict[int, Job] = {}
        try:
            for modality, mine in places.items():
                if (line := self._lines.get(modality)) is None:
                    continue
                for handful in _slices(mine, self._handfuls[modality]):
                    admitted = await self._admit(line, [requests[place][1] for place in handful])
                    jobs.update(zip(handful, admitted, strict=True))
            # One after the other: those of one batch are done together, and awaiting what is done costs nothing.
            return [
                await jobs[place].outcome if place in jobs else self._unsupported(requests[place][0])
                for place in range(len(requests))
            ]
        except BaseException:  # a failure or a cancellation: nobody waits for the rest
            for job in jobs.values():
                _abandon(job)
            raise

    async def close(self) -> None:
        """Finish the batch on the device, refuse what still waits with ``RetryLater``, and end the threads."""
        self._closed = True
        self._work.set()
        if self._runner is not None:
            await self._runner
        self._turn_away()
        await self._preparation.close()
        self._turn_away()  # what was being prepared meanwhile
        for executor in (self._device, self._finishing):
            await asyncio.to_thread(executor.shutdown)

    def _unsupported(self, modality: Modality) -> RejectEvent:
        known = ", ".join(self._lines)
        message = f"the model {self._encoders.model} does not encode {modality}; it encodes {known}"
        return RejectEvent(Reason.UNSUPPORTED_MODALITY, message)

    async def _admit(self, line: WaitingLine, items: Sequence[EncoderInput]) -> list[Job]:
        """Let inputs in when there is room, to be prepared and then encoded; each gives its place back when it ends."""
        if not self._turnstile.try_enter(len(items)):
            await self._turnstile.enter(len(items))
        if self._closed:
            self._turnstile.leave(len(items))
            raise _closing()
        loop = asyncio.get_running_loop()
        jobs = [Job(item, loop.create_future()) for item in items]
        for job in jobs:
            job.outcome.add_done_callback(self._leave)
        self._preparation.add(line, jobs)
        return jobs

    def _leave(self, _: "asyncio.Future[Outcome]") -> None:
        self._turnstile.leave(1)

    def _wake(self) -> None:
        if self._closed:
            return
        if self._runner is None:
            self._runner = asyncio.get_running_loop().create_task(self._run(), name="device-batcher")
        self._work.set()

    async def _run(self) -> None:
        """Serve the lines in turn until closed; a defect here is told to everybody who waits."""
        try:
            while not self._closed:
                self._work.clear()
                while not self._closed and any(self._lines.values()):
                    await self._serve_next()
                if not self._closed:
                    await self._work.wait()
        except Exception:
            log.exception("the batcher failed; those who wait are told to try again")
            self._runner = None  # the next input starts it anew
        await asyncio.gather(*self._returning, return_exceptions=True)
        self._turn_away()

    def _turn_away(self) -> None:
        for line in self._lines.values():
            _fail(line.clear(), _closing())

    async def _serve_next(self) -> None:
        """Run one batch of the next modality that has any, as soon as the device can take it."""
        await self._in_flight.acquire()
        line = self._next_line()
        jobs = line.take() if line is not None else []
        if line is None or not jobs:  # all were cancelled meanwhile
            self._in_flight.release()
            return
        batch = _Batch(line, jobs)
        loop = asyncio.get_running_loop()
        output, error = await loop.run_in_executor(self._device, _forward, line.encoder, batch.prepared)
        task = loop.create_task(self._bring_back(batch, output, error))
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)

    def _next_line(self) -> WaitingLine | None:
        """Return the line whose turn it is, and let its modality stand last next time; None if nobody waits."""
        modality = next((each for each in self._turns if self._lines[each]), None)
        if modality is None:
            return None
        self._turns.remove(modality)
        self._turns.append(modality)
        return self._lines[modality]

    async def _bring_back(self, batch: "_Batch", output: Any, error: Exception | None) -> None:
        """Finish a batch while the device runs the next, recover it if it failed, and hand everybody their outcome."""
        loop = asyncio.get_running_loop()
        encoder, size = batch.line.encoder, len(batch.jobs)
        outcomes: list[Outcome] = []
        try:
            if error is None:
                outcomes, error = await loop.run_in_executor(self._finishing, _finish, encoder, output, size)
            if error is not None:
                _learn(batch.line, error, size)
                outcomes = await loop.run_in_executor(self._device, recover, encoder, batch.prepared, error)
            if self._observer is not None:
                self._observer.observe(encoder.modality, size, batch.wait_s, time.perf_counter() - batch.began)
            for job, outcome in zip(batch.jobs, outcomes, strict=True):
                if not job.outcome.done():
                    job.outcome.set_result(outcome)
        except Exception as exc:
            if not isinstance(exc, CrosscurrentError):
                log.exception("a batch of %s was lost", encoder.modality)
            _fail(batch.jobs, exc if isinstance(exc, CrosscurrentError) else RetryLater(f"the batcher failed: {exc}"))
        finally:
            self._in_flight.release()


class _Batch:
    """Inputs on their way through the device together."""

    def __init__(self, line: WaitingLine, jobs: list[Job]) -> None:
        self.line = line
        self.jobs = jobs
        self.prepared = [job.prepared for job in jobs]
        self.began = time.perf_counter()
        self.wait_s = self.began - min(job.since for job in jobs)


def _learn(line: WaitingLine, error: Exception, size: int) -> None:
    """Make later batches smaller after running out of memory; otherwise only say what is tried next."""
    modality = line.encoder.modality
    if is_out_of_memory(error) and size > 1:
        line.limit = max(1, size // 2)
        log.warning("%s: out of memory with %d inputs; batches of %d from now on", modality, size, line.limit)
    else:
        log.warning("%s: a batch of %d failed and is tried one by one: %s", modality, size, error)


def _forward(encoder: Encoder, prepared: Sequence[Any]) -> tuple[Any, Exception | None]:
    """Run the network; a failure is returned, to be dealt with while the device goes on."""
    try:
        return encoder.forward(prepared), None
    except Exception as exc:
        return None, exc


def _finish(encoder: Encoder, output: Any, count: int) -> tuple[list[Outcome], Exception | None]:
    try:
        return outcomes_of(encoder, encoder.finish(output), count), None
    except Exception as exc:
        return [], exc


def _slices(places: Sequence[int], length: int) -> list[Sequence[int]]:
    return [places[start : start + length] for start in range(0, len(places), length)]


def _abandon(job: Job) -> None:
    """Take an input out, wherever it is; a failure that nobody will look at is looked at here."""
    if not job.outcome.cancel() and not job.outcome.cancelled():
        job.outcome.exception()


def _fail(jobs: Sequence[Job], error: CrosscurrentError) -> None:
    for job in jobs:
        if not job.outcome.done():
            job.outcome.set_exception(error)


def _closing() -> RetryLater:
    return RetryLater("the encoders are shutting down with this worker; another one will take the event")
