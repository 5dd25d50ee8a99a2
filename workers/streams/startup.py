"""Waiting at the start for what is not there yet: a broker or a Redis that comes up later is no reason to crash."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from config.errors import RetryLater
from config.settings import DeliverySettings
from workers.streams.health import Readiness
from workers.streams.publisher import KafkaPublisher
from workers.streams.retry import Backoff, pause

log = logging.getLogger(__name__)


class Stopped(Exception):  # noqa: N818 - not an error: somebody asked us to stop while we waited
    """The worker was told to stop before it was ready."""


class Startup:
    """Meets one condition after the other, as long as that takes.

    Args:
        readiness: Shows what is waited for.
        stop: Ends every wait.
    """

    def __init__(self, readiness: Readiness, settings: DeliverySettings, stop: asyncio.Event) -> None:
        self._readiness = readiness
        self._settings = settings
        self._stop = stop

    async def until(self, condition: str, attempt: Callable[[], Awaitable[None]]) -> None:
        """Try until it works; a log line and ``/ready`` say why it does not.

        Raises:
            Stopped: Told to stop meanwhile.
            Misconfigured: What the attempt raised: waiting would not help.
        """
        backoff = Backoff(initial_s=self._settings.retry_initial_s, max_s=self._settings.retry_max_s)
        while not self._stop.is_set():
            try:
                await attempt()
            except RetryLater as exc:
                await self._wait(condition, exc, backoff)
            else:
                self._readiness.met(condition)
                return
        raise Stopped

    async def _wait(self, condition: str, trouble: RetryLater, backoff: Backoff) -> None:
        self._readiness.lost(condition, str(trouble))
        pause_s = backoff.next_pause_s()
        log.warning("not ready: %s; trying again in %.1f s", trouble, pause_s)
        await pause(pause_s, self._stop)


async def topics_exist(publisher: KafkaPublisher, topics: Collection[str]) -> None:
    """See that the topics are there: a broker that makes them up would give them its own partitions and no compaction.

    Raises:
        RetryLater: Some are missing, or the broker does not answer.
    """
    if missing := await publisher.missing(topics):
        raise RetryLater(f"topics missing: {', '.join(missing)}: create them with `crosscurrent topics create`")
