"""The composition root of a worker process: settings in, an exit status out.

Startup order: the pages first, so that probes see what is waited for; then broker, rights, topics, encoders, index,
group. What is away, or can be put right elsewhere, is waited for; what our settings say wrongly ends the process with
status 78 and every problem in the log.
"""

import asyncio
import json
import logging
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

from config.errors import Misconfigured
from config.settings import Settings
from config.vocabulary import Role
from encoders.device import keep_numpy_in_its_thread
from encoders.identity import identify
from workers.contracts.rights import rights_of
from workers.contracts.topics import INPUT_TOPIC, Topic
from workers.streams.broker_rights import rights_are_held
from workers.streams.broker_watch import BrokerWatch
from workers.streams.compose import Parts, compose
from workers.streams.health import HealthServer, Readiness
from workers.streams.logs import set_up_logging
from workers.streams.metrics import Metrics
from workers.streams.model_stream import stream_of
from workers.streams.publisher import KafkaPublisher, send_timeout_s
from workers.streams.startup import Startup, Stopped, topics_exist
from workers.streams.watchdog import Watchdog

log = logging.getLogger(__name__)

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_MISCONFIGURED = 78
"""``EX_CONFIG`` of sysexits.h."""

_OUTPUT_TOPICS = {
    Role.CONTENT: (Topic.VECTORS, Topic.DEAD_LETTERS),
    Role.INTERACTIONS: (Topic.PROFILES, Topic.DEAD_LETTERS),
    Role.QUERIES: (Topic.RESULTS, Topic.DEAD_LETTERS),
}


def run_worker(role: Role, settings: Settings, announce: Path | None = None) -> int:
    """Run one worker until SIGTERM or SIGINT.

    Args:
        role: What it does.
        settings: Read and validated.
        announce: File to write ``{"role", "port", "pid"}`` to as JSON, once the pages are served.

    Returns:
        0 after a stop in good order, 78 when an operator must change something, 1 after a failure.
    """
    set_up_logging(role, settings)
    keep_numpy_in_its_thread()
    try:
        asyncio.run(_Process(role, settings).run(announce))
    except Misconfigured as exc:
        problems = exc.problems
    except Exception:
        log.critical("the worker failed; what it had not finished is left for the next one", exc_info=True)
        return EXIT_FAILED
    else:
        return EXIT_OK
    for problem in problems:
        log.error("misconfigured: %s", problem)
    return EXIT_MISCONFIGURED


class _Process:
    """What lives as long as the process; the rest is opened in order and closed in reverse."""

    def __init__(self, role: Role, settings: Settings) -> None:
        self._role = role
        self._settings = settings
        self._metrics = Metrics(role)
        self._readiness = Readiness("broker", "rights", "topics", "encoders", "index", "group")
        self._watchdog = Watchdog(stall_after_s=settings.delivery.stall_after_s)

    async def run(self, announce: Path | None) -> None:
        """Serve the pages, and behind them everything else."""
        stop = _stop_on_signals()
        async with AsyncExitStack() as stack:
            health = HealthServer(
                self._settings.metrics,
                metrics=self._metrics.exposition,
                stalled=self._watchdog.stalled,
                readiness=self._readiness,
            )
            await health.start()
            stack.push_async_callback(health.stop)
            if announce is not None:
                _announce(announce, self._role, health.port)
            try:
                await self._serve(stop, stack)
            except Stopped:
                log.info("stopped before it was ready")

    async def _serve(self, stop: asyncio.Event, stack: AsyncExitStack) -> None:
        startup = Startup(self._readiness, self._settings.delivery, stop)
        publisher = KafkaPublisher(
            self._settings.kafka,
            client_id=f"crosscurrent-{self._role}",
            send_timeout_s=send_timeout_s(self._settings.delivery),
        )
        stack.push_async_callback(publisher.stop)
        await startup.until("broker", publisher.start)
        await startup.until("rights", lambda: self._rights_held(publisher))
        await startup.until("topics", lambda: topics_exist(publisher, _topics(self._role, self._settings)))
        stream = await self._stream(publisher)
        parts = await compose(
            self._role, self._settings, publisher=publisher, metrics=self._metrics, stack=stack, stream=stream
        )
        self._readiness.met("encoders")
        await startup.until("index", parts.check)
        await self._work(parts, publisher, stop, stream)

    async def _rights_held(self, publisher: KafkaPublisher) -> None:
        rights = rights_of(self._role, self._settings, await self._stream(publisher))
        await rights_are_held(self._settings.kafka, rights)

    async def _stream(self, publisher: KafkaPublisher) -> str:
        """Which content events are ours: a model that another one is exchanged for has a group of its own."""
        if self._role is not Role.CONTENT:
            return ""
        return await stream_of(publisher, self._settings.kafka, identify(self._settings.model).model)

    async def _work(self, parts: Parts, publisher: KafkaPublisher, stop: asyncio.Event, stream: str) -> None:
        # Faust is imported when everything else stands: it takes most of a second.
        from workers.streams.worker import Worker

        worker = Worker(
            self._role,
            self._settings,
            handler=parts.handler,
            publisher=publisher,
            metrics=self._metrics,
            readiness=self._readiness,
            watchdog=self._watchdog,
            ledger=parts.ledger,
            stream=stream,
        )
        watch = BrokerWatch(self._settings.kafka, self._readiness)
        looking = [asyncio.create_task(one) for one in (parts.look_after(), watch.run())]
        try:
            await worker.run(stop)
        finally:
            for one in looking:
                one.cancel()


def _topics(role: Role, settings: Settings) -> list[str]:
    topics = [INPUT_TOPIC[role], *_OUTPUT_TOPICS[role]]
    if role is Role.CONTENT and settings.tagging.label_sets():
        topics.append(Topic.TAG_COUNTS)
    return [topic.named(settings.kafka.topic_prefix) for topic in topics]


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stop.set)
    return stop


def _announce(path: Path, role: Role, port: int) -> None:
    """Tell whoever started us where the pages are; renamed into place, so that nobody reads half of it."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps({"role": role, "port": port, "pid": os.getpid()}), encoding="utf-8")
    fresh.replace(path)
