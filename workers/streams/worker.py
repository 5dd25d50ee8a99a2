"""One worker: a handler on a role's topic, from joining the group to leaving it in good order."""

import asyncio
import contextlib
import logging
from collections.abc import Collection

from config.settings import Settings
from config.vocabulary import Role
from workers.contracts.topics import Topic
from workers.streams.delivery import Delivery, Trouble
from workers.streams.dispatch import Dispatcher
from workers.streams.faust_app import StreamConsumer
from workers.streams.health import Readiness
from workers.streams.lag import Committer, LagMonitor
from workers.streams.metrics import Metrics
from workers.streams.offsets import OffsetTracker, TopicPartition
from workers.streams.records import Handler, Ledger, NoLedger, Publisher, Record
from workers.streams.watchdog import Watchdog

log = logging.getLogger(__name__)

_LEAVE_TIMEOUT_S = 10.0


class Worker:
    """Runs a handler with every guarantee of delivery.

    Args:
        handler: The role's work.
        publisher: Sends dead letters; started already.
        readiness: Learns of the group, and of trouble while it lasts.
        watchdog: Learns of lag and of waiting.
        ledger: What the handler must have on Kafka before its records are committed.
        stream: Of the consumer group; empty for the role's own.
    """

    def __init__(
        self,
        role: Role,
        settings: Settings,
        *,
        handler: Handler,
        publisher: Publisher,
        metrics: Metrics,
        readiness: Readiness,
        watchdog: Watchdog,
        ledger: Ledger | None = None,
        stream: str = "",
    ) -> None:
        self._settings = settings.delivery
        self._metrics = metrics
        self._readiness = readiness
        self._watchdog = watchdog
        self._ledger = ledger or NoLedger()
        self._tracker = OffsetTracker()
        delivery = Delivery(
            role=role,
            handler=handler,
            publisher=publisher,
            dead_letters=Topic.DEAD_LETTERS.named(settings.kafka.topic_prefix),
            settings=settings.delivery,
            metrics=metrics,
            on_trouble=self._trouble,
        )
        self._dispatcher = Dispatcher(
            delivery.deliver,
            self._tracker,
            batch_events=settings.delivery.batch_events,
            batch_wait_s=settings.delivery.batch_wait_ms / 1000,
        )
        self._consumer = StreamConsumer(
            role,
            settings,
            on_record=self._offer,
            on_assigned=self._assigned,
            on_revoked=self._revoked,
            stream=stream,
        )
        self._committer = Committer(self._consumer, self._tracker, metrics, ledger=self._ledger)
        self._lag = LagMonitor(self._consumer, self._tracker, metrics, watchdog)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then finish what is in flight, commit, leave the group.

        Raises:
            Exception: A defect or a consumer that gave up; nothing unfinished was committed.
        """
        tasks = [asyncio.create_task(one) for one in (self._consumer.run(stop), self._look_after(), self._lag.run())]
        try:
            # Whichever ends first decides: the consumer because it was told to, anything else because it failed.
            done, _ = await asyncio.wait([*tasks, self._dispatcher.failed], return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._leave()

    async def _leave(self) -> None:
        """Drain, commit, leave: in this order, so that the next owner starts behind all that was done."""
        log.info("stopping: %d events in hand", self._tracker.unfinished)
        await self._dispatcher.close(timeout_s=self._settings.drain_timeout_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_TIMEOUT_S):
                await self._committer.commit()
        left = self._tracker.unfinished
        await self._consumer.close(timeout_s=_LEAVE_TIMEOUT_S)
        log.info("stopped: %d events left for the next worker", left)

    async def _look_after(self) -> None:
        """Commit and show what waits, regularly."""
        while True:
            await asyncio.sleep(self._settings.commit_interval_s)
            self._metrics.queue_depth.labels("delivery").set(self._dispatcher.waiting)
            await self._committer.commit()

    async def _offer(self, record: Record) -> None:
        await self._dispatcher.offer(record)

    def _assigned(self, partitions: Collection[TopicPartition]) -> None:
        self._readiness.met("group")

    async def _revoked(self) -> None:
        await self._dispatcher.let_go(timeout_s=self._settings.drain_timeout_s)
        await self._committer.commit()
        self._tracker.forget()
        self._ledger.forget()
        self._watchdog.forget()

    def _trouble(self, trouble: Trouble | None) -> None:
        if trouble is None:
            self._readiness.met("dependencies")
            return
        self._watchdog.waiting()
        self._readiness.lost("dependencies", trouble.message)
