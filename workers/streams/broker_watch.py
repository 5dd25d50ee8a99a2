"""Tells while a worker runs that the broker would not take it anew: credentials that change are refused only then."""

import asyncio
import logging
from typing import Final

from config.errors import Misconfigured, RetryLater
from config.settings import KafkaSettings
from workers.streams.broker_probe import probe
from workers.streams.health import Readiness

log = logging.getLogger(__name__)

# With the probe's own time under ten seconds; costs one connection, a few milliseconds of a core with SCRAM.
_EVERY_S: Final = 4.0


class BrokerWatch:
    """Shows on ``/ready`` and in the log why a new connection is refused, for as long as it is; ends nothing.

    The clients themselves keep their connections, and once those are lost only say that none can be had.

    Args:
        settings: Where the broker is, and who we are; without protection there is nothing that changes, and no watch.
        readiness: Learns of it as the condition ``broker``.
    """

    def __init__(self, settings: KafkaSettings, readiness: Readiness, *, every_s: float = _EVERY_S) -> None:
        self._settings = settings
        self._readiness = readiness
        self._every_s = every_s

    async def run(self) -> None:
        """Look regularly until cancelled."""
        if self._settings.security_protocol == "PLAINTEXT":
            return
        known = ""
        while True:
            await asyncio.sleep(self._every_s)
            why = await self._why()
            if why:
                self._readiness.lost("broker", why)
            else:
                self._readiness.met("broker")
            if why and why != known:
                log.warning("the broker does not take a new connection: %s", why)
            known = why

    async def _why(self) -> str:
        try:
            await probe(self._settings)
        except (Misconfigured, RetryLater) as exc:
            return str(exc)
        return ""
