"""Sending dead letters, and what becomes of one that its topic does not take: it never blocks the stream.

A letter is waited for as everything is, but not for ever. When it was not confirmed within a time, for whatever reason
(no topic, no right, no room, a slow broker), and the broker still answers, then what the letter says goes to the log as
an error, ``dead_letters_unsent_total`` counts it, and its event ends: the bytes stay at the origin that the log names.
From then on a letter has one second, until one is confirmed again. A broker that does not answer holds up the stream
itself, so nothing is given up meanwhile.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from config.errors import Misconfigured, RejectEvent, RetryLater
from config.vocabulary import Role
from workers.streams.letters import facts_of, letters_of
from workers.streams.metrics import Metrics
from workers.streams.records import Publisher, Record, Refused

log = logging.getLogger(__name__)

_QUICK_S: Final = 1.0


class Burial:
    """Sends the dead letters of one worker.

    Args:
        dead_letters: Full name of the dead-letter topic.
        patience_s: How long a letter is tried. Below the watchdog's patience, or the worker would be restarted at the
            same letter again and again.
        clock: Seconds that only grow; passed in by tests.
    """

    def __init__(
        self,
        *,
        role: Role,
        publisher: Publisher,
        dead_letters: str,
        patience_s: float,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._role = role
        self._publisher = publisher
        self._topic = dead_letters
        self._patience_s = patience_s
        self._metrics = metrics
        self._full = False
        self.clock = clock

    async def send(self, record: Record, refused: Refused, since_s: float) -> None:
        """Try once; a letter that has been tried for long enough is given up.

        Args:
            record: What was refused.
            refused: Why.
            since_s: When it was tried first, by ``clock``.

        Raises:
            RetryLater: Not confirmed, and not tried for long enough.
            Misconfigured: The topic admits not even the reason, the same.
        """
        patience_s = min(_QUICK_S, self._patience_s) if self._full else self._patience_s
        try:
            async with asyncio.timeout(max(since_s + patience_s - self.clock(), 0.0)):
                await self._send(record, refused)
        except TimeoutError as exc:
            await self._give_up(record, refused, RetryLater(f"{self._topic}: no confirmation ({exc!r})"))
        except (RetryLater, Misconfigured) as exc:
            if self.clock() < since_s + patience_s:
                raise
            await self._give_up(record, refused, exc)
        else:
            self._full = False

    async def _send(self, record: Record, refused: Refused) -> None:
        """The fullest letter that the topic admits."""
        for letter in letters_of(self._role, record, refused):
            try:
                return await self._publisher.send(self._topic, key=letter.key, value=letter.value)
            except RejectEvent as exc:
                too_large = exc
        msg = f"{self._topic} admits no dead letter at all: raise its max.message.bytes ({too_large.message})"
        raise Misconfigured(msg)

    async def _give_up(self, record: Record, refused: Refused, trouble: RetryLater | Misconfigured) -> None:
        if not await self._publisher.answers():
            raise trouble
        self._full = True
        self._metrics.unsent(refused.reason)
        log.error("dead letter not sent (%s): %s", trouble, facts_of(self._role, record, refused))
