"""The worker's own small web server: ``/metrics``, ``/live`` and ``/ready``, in the worker's event loop.

Living in the same loop is meant: a loop that is blocked answers no probe, which is what a liveness probe is for.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from config.errors import Misconfigured
from config.settings import MetricsSettings

log = logging.getLogger(__name__)


class Readiness:
    """What a worker still waits for before it can do its work; ready when there is nothing.

    Args:
        awaited: Names of the conditions, all unmet at first.
    """

    def __init__(self, *awaited: str) -> None:
        self._missing: dict[str, str] = dict.fromkeys(awaited, "starting")

    def met(self, condition: str) -> None:
        """A condition holds now."""
        self._missing.pop(condition, None)

    def lost(self, condition: str, why: str) -> None:
        """A condition does not hold (any more)."""
        self._missing[condition] = why

    @property
    def missing(self) -> Mapping[str, str]:
        """Each unmet condition and why; empty when ready."""
        return dict(self._missing)


class HealthServer:
    """Serves the three pages until stopped.

    Args:
        settings: Where to listen.
        metrics: Writes the page for Prometheus.
        stalled: Says what stands still; liveness fails when it says anything.
        readiness: What is still missing.
    """

    def __init__(
        self,
        settings: MetricsSettings,
        *,
        metrics: Callable[[], bytes],
        stalled: Callable[[], Sequence[str]],
        readiness: Readiness,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._stalled = stalled
        self._readiness = readiness
        self._runner: web.AppRunner | None = None
        self.port = 0
        """The port it listens on, once started."""

    async def start(self) -> None:
        """Listen.

        Raises:
            Misconfigured: The address or port cannot be had.
        """
        app = web.Application()
        app.add_routes([
            web.get("/metrics", self._serve_metrics),
            web.get("/live", self._serve_live),
            web.get("/ready", self._serve_ready),
        ])  # fmt: skip
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        host, port = self._settings.host, self._settings.port
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as exc:
            await self.stop()
            raise Misconfigured(
                f"metrics.port: cannot listen on {host}:{port} ({exc.strerror}); 0 picks a free one"
            ) from exc
        self.port = int(self._runner.addresses[0][1])
        log.info("serving metrics on http://%s:%d", host, self.port)

    async def stop(self) -> None:
        """Stop listening; harmless when not started."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _serve_metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _serve_live(self, request: web.Request) -> web.Response:
        stalled = list(self._stalled())
        return _verdict({"live": not stalled, "stalled": stalled}, ok=not stalled)

    async def _serve_ready(self, request: web.Request) -> web.Response:
        missing = self._readiness.missing
        return _verdict({"ready": not missing, "waiting_for": missing}, ok=not missing)


def _verdict(body: Mapping[str, object], *, ok: bool) -> web.Response:
    return web.Response(text=json.dumps(body), status=200 if ok else 503, content_type="application/json")
