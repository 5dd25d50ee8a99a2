"""The three endings of an event, written once: done, dead-lettered, or left because this worker lets go of it.

Guarantee: at least once, in offset order within a partition. The steps, in this order and no other:

1. **Handle** the records together. Transient trouble (``RetryLater``) waits and tries again for as long as it takes;
   the partition waits with it, and it never becomes a dead letter.
2. **Isolate**: a batch that raises anything else, or takes longer than the deadline, is handled one record at a time,
   so that one bad event costs its neighbours nothing. The record that raises alone is refused as ``internal``.
3. **Settle**: every refusal is sent to the dead-letter topic and its confirmation awaited, retried like step 1. A
   letter that is larger than the topic admits goes without the event's bytes, which stay at the origin; one that the
   topic does not take for ``letter_patience_s`` goes to the log instead (``burial.py``).
4. **Report** which records ended. Only these may be committed; the others are left for the partition's next owner.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from config.errors import Misconfigured, Reason, RetryLater
from config.settings import DeliverySettings
from config.vocabulary import Role
from workers.streams.burial import Burial
from workers.streams.metrics import Metrics
from workers.streams.records import Done, Handler, Outcome, Publisher, Record, Refused
from workers.streams.retry import Backoff, pause

log = logging.getLogger(__name__)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What delivery is waiting for, told to readiness and to the watchdog; None in its place when it waits no more."""

    message: str


class Delivery:
    """Takes records through a handler to one of the three endings.

    Args:
        handler: The worker's work.
        publisher: Sends dead letters.
        dead_letters: Full name of the dead-letter topic.
        on_trouble: Called with each transient trouble before waiting, and with None once it is over.
        deadline_s: Longest time for one call of the handler. Below the watchdog's patience, so that an event that hangs
            for ever ends as a dead letter instead of having the worker restarted again and again.
    """

    def __init__(
        self,
        *,
        role: Role,
        handler: Handler,
        publisher: Publisher,
        dead_letters: str,
        settings: DeliverySettings,
        metrics: Metrics,
        on_trouble: Callable[[Trouble | None], None] = lambda trouble: None,
        deadline_s: float | None = None,
    ) -> None:
        self._role = role
        self._handler = handler
        self._settings = settings
        self._metrics = metrics
        self._on_trouble = on_trouble
        self._deadline_s = deadline_s or settings.stall_after_s / 2
        self._burial = Burial(
            role=role,
            publisher=publisher,
            dead_letters=dead_letters,
            patience_s=min(settings.letter_patience_s, settings.stall_after_s / 2),
            metrics=metrics,
        )

    async def deliver(self, records: Sequence[Record], halt: asyncio.Event) -> list[bool]:
        """Take records to their endings; ``halt`` makes whatever waits for better times let go.

        Returns:
            Whether each record ended, in order; False for one that is left.
        """
        outcomes = await self._handle(records, halt)  # steps 1 and 2
        return await asyncio.gather(*map(lambda r, o: self._settle(r, o, halt), records, outcomes))  # steps 3 and 4

    async def _handle(self, records: Sequence[Record], halt: asyncio.Event) -> list[Outcome | None]:
        try:
            return list(await self._patiently(lambda: self._attempt(records), halt))
        except _Halted:
            return [None] * len(records)
        except Exception as exc:
            if len(records) == 1:
                return [self._defect(records[0], exc)]
            log.warning("a batch of %d failed (%r): handling its events one by one", len(records), exc)
        return await self._one_by_one(records, halt)

    async def _attempt(self, records: Sequence[Record]) -> Sequence[Outcome]:
        async with asyncio.timeout(self._deadline_s):
            outcomes = await self._handler.handle(records)
        if len(outcomes) != len(records):
            msg = f"the handler returned {len(outcomes)} outcomes for {len(records)} records"
            raise RuntimeError(msg)
        return outcomes

    async def _one_by_one(self, records: Sequence[Record], halt: asyncio.Event) -> list[Outcome | None]:
        outcomes: list[Outcome | None] = []
        for record in records:
            # Once one is left, the rest is left too: a later write of the same key must not overtake it.
            left = halt.is_set() or None in outcomes
            outcomes += [None] if left else await self._handle([record], halt)
        return outcomes

    def _defect(self, record: Record, error: Exception) -> Refused:
        """Refuse a record that raises alone; the traceback goes to the log and nowhere else."""
        log.error("%s raised in the handler", _name(record), exc_info=error, extra=_ids(record))
        message = f"the {self._role} worker failed on this event ({type(error).__name__}): report it with this letter"
        if isinstance(error, TimeoutError):
            message = f"handling took longer than {self._deadline_s:.0f} s"
        return Refused(reason=Reason.INTERNAL, stage="handle", message=message)

    async def _settle(self, record: Record, outcome: Outcome | None, halt: asyncio.Event) -> bool:
        if outcome is None:
            return False
        if isinstance(outcome, Done):
            self._metrics.ended(outcome.label)
            return True
        since_s = self._burial.clock()
        try:
            await self._patiently(lambda: self._burial.send(record, outcome, since_s), halt)
        except _Halted:
            return False
        self._metrics.dead_lettered(outcome.reason)
        log.warning("refused %s: %s: %s", _name(record), outcome.reason, outcome.message, extra=_ids(record))
        return True

    async def _patiently(self, attempt: Callable[[], Awaitable[_T]], halt: asyncio.Event) -> _T:
        """Try until it works; waits longer each time.

        Raises:
            _Halted: This worker lets go.
        """
        backoff = Backoff(initial_s=self._settings.retry_initial_s, max_s=self._settings.retry_max_s)
        tried = False
        while True:
            try:
                result = await attempt()
            except RetryLater as exc:
                await self._wait(exc, backoff.next_pause_s(exc.retry_after_s), halt)
            except Misconfigured as exc:
                # Somebody must change a server's settings; until then no event is to blame for it.
                await self._wait(exc, self._settings.retry_max_s, halt)
            else:
                if tried:
                    self._on_trouble(None)
                return result
            tried = True

    async def _wait(self, trouble: Exception, pause_s: float, halt: asyncio.Event) -> None:
        self._metrics.retries.inc()
        self._on_trouble(Trouble(message=str(trouble)))
        log.warning("%s; trying again in %.1f s", trouble, pause_s)
        if not await pause(pause_s, halt):
            # Nobody tries this any more. Were the trouble left standing, a worker that goes on with other partitions
            # would never be ready again: only whoever was in trouble tells that it is over.
            self._on_trouble(None)
            raise _Halted


class _Halted(Exception):  # noqa: N818 - not an error: the worker lets go
    pass


def _name(record: Record) -> str:
    key = (record.key or b"").decode("utf-8", "replace")
    return f"{record.topic}[{record.partition}]@{record.offset} key={key[:80]!r}"


def _ids(record: Record) -> dict[str, object]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
