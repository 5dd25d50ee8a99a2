"""The thin Faust app of a role: group membership and fetching are Faust's, everything that can lose an event is ours.

Faust joins the group, fetches, and survives rebalances. It keeps no books of acknowledged events here (the topic has
acks off): ``OffsetTracker`` alone says what may be committed, because Faust 0.15.3 commits past an event that was never
acknowledged. It has no tables, no web server, no topics and no files of its own.

Guarantee: at least once. When partitions are given away, what is in flight is finished, committed and only then let go.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import faust
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from aiokafka.structs import TopicPartition as KafkaPartition
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver

from config.errors import Misconfigured, RetryLater
from config.settings import KafkaSettings, Settings
from config.vocabulary import Role
from workers.contracts.topics import INPUT_TOPIC, consumer_group
from workers.streams.broker_probe import probe
from workers.streams.broker_rights import refused_right
from workers.streams.offsets import TopicPartition
from workers.streams.records import Record
from workers.streams.security import faust_credentials, servers_of

log = logging.getLogger(__name__)

# aiokafka leaves the group when nothing was polled for this long, and under Faust it never comes back: polling stops
# while a partition waits for Redis, and always in a spare worker that owns no partition. Liveness is the watchdog's.
_MAX_POLL_INTERVAL_S = 10 * 365 * 86_400.0
# How long the broker may hold an empty fetch. Apache Kafka answers as soon as there is a record; the embedded broker
# only at the end of the wait, which with Faust's 1,500 ms made 430 ms from record to searchable, with this 40 ms.
# The price is 3 % of a core in an idle worker.
_FETCH_WAIT_MS = 25
# A record of the largest size admitted, with its key, headers and framing, must fit into one fetch.
_FRAMING_BYTES = 2**16
_MIN_FETCH_BYTES = 2**20


# How often a broker that is away at the start is asked again.
_AGAIN_S = 1.0


class _ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc] # faust has no types
    """Faust's consumer thread: patient at its start, a short wait in the broker, commits that survive a rebalance."""

    async def on_start(self) -> None:
        """Connect; a broker that is away is waited for, where Faust's own would end the process."""
        while not self.should_stop:
            self._consumer = self._create_consumer(loop=self.thread_loop)
            self.time_started = time.monotonic()
            try:
                await self._consumer.start()
            except (KafkaError, OSError) as exc:
                why = await _why(exc, self.app.kafka)
                log.warning("the consumer cannot start (%s); trying again in %.0f s", why, _AGAIN_S)
            else:
                return
            await self._consumer.stop()
            await self.sleep(_AGAIN_S)

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS  # noqa: SLF001 - Faust fixes 1.5 s and names no setting
        return consumer

    async def commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> bool:
        """Commit from any loop; False when it was refused or failed, which is no reason to end.

        Faust's own commit crashes the app when the group rebalances at that moment: it looks for "already rebalanced"
        in a message that aiokafka breaks over two lines.
        """
        return bool(await self.call_thread(self._commit_offsets, offsets))

    async def _commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> bool:
        wanted = {KafkaPartition(*one): OffsetAndMetadata(offset, "") for one, offset in offsets.items()}
        try:
            consumer = self._ensure_consumer()
            ours = consumer.assignment()
            await consumer.commit({one: offset for one, offset in wanted.items() if one in ours})
        except (CommitFailedError, IllegalStateError) as exc:
            log.info("the group moved on before a commit (%s): the next owner reads these again", type(exc).__name__)
            return False
        except KafkaError as exc:
            log.warning("a commit failed (%r); it is tried again", exc)
            return False
        return all(one in ours for one in wanted)


async def _why(error: Exception, settings: KafkaSettings) -> str:
    """What the broker says to a new connection; the consumer's own error when that is well."""
    try:
        await probe(settings)
    except (Misconfigured, RetryLater) as exc:
        return str(exc)
    return refused_right(error, settings, "Read") or repr(error)


class _Consumer(driver.Consumer):  # type: ignore[misc]
    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class _Producer(driver.Producer):  # type: ignore[misc]
    """Faust's own producer, which nobody sends with."""

    async def on_start(self) -> None:
        """Connect to nothing: one connection less, and one way less to end when the broker is away."""


class _Transport(driver.Transport):  # type: ignore[misc]
    Consumer = _Consumer
    Producer = _Producer


class _App(faust.App):  # type: ignore[misc]
    kafka: KafkaSettings

    def _new_transport(self) -> _Transport:
        return _Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> _Transport:
        return _Transport(self.conf.broker_producer, self)

    def _create_directories(self) -> None:
        """Keep no files: there are no tables, and a pod's file system is read-only."""


for _service in (_ConsumerThread, _Consumer, _Producer, _App):
    # Faust names a subclass's logger after its module, and its chatter would come under our name.
    _service.logger = driver.logger


class StreamConsumer:
    """A member of a role's consumer group that hands over every record as it comes.

    Args:
        on_record: Awaited for each record, in offset order within a partition; may wait, which holds fetching back.
        on_assigned: Told the partitions that are ours from now on.
        on_revoked: Awaited before partitions are given away; they may still be committed then.
        stream: Of the consumer group; see ``consumer_group``.
    """

    def __init__(
        self,
        role: Role,
        settings: Settings,
        *,
        on_record: Callable[[Record], Awaitable[None]],
        on_assigned: Callable[[Collection[TopicPartition]], None],
        on_revoked: Callable[[], Awaitable[None]],
        stream: str = "",
    ) -> None:
        self._on_record = on_record
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._app = _App(consumer_group(settings.kafka.topic_prefix, role, stream), **_app_settings(role, settings))
        self._app.kafka = settings.kafka
        name = INPUT_TOPIC[role].named(settings.kafka.topic_prefix)
        raw = {"key_serializer": "raw", "value_serializer": "raw", "key_type": bytes, "value_type": bytes}
        self._topic = self._app.topic(name, **raw, acks=False, internal=False, allow_empty=True)
        self._app.agent(self._topic, concurrency=1, name=f"crosscurrent-{role}")(self._consume)
        self._app.on_partitions_assigned.connect(self._assigned)
        self._app.on_partitions_revoked.connect(self._revoked)
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Raises what ``on_record`` raised: a defect, after which this process must not go on."""

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until ``stop`` is set; the caller then drains, commits, and calls ``close``.

        Raises:
            RuntimeError: Faust gave up; the process should end with an error and be started anew.
        """
        starting = asyncio.create_task(self._app.start())
        watching = [starting, asyncio.create_task(stop.wait()), asyncio.create_task(self._crash()), self.failed]
        try:
            while not stop.is_set():
                done, _ = await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    one.result()
                watching = [one for one in watching if one not in done]
        finally:
            for one in watching:
                if one is not self.failed:
                    one.cancel()

    async def _crash(self) -> None:
        await self._app.wait_until_stopped()
        if self._app.crashed:
            msg = f"the consumer gave up ({self._app.crash_reason!r})"
            raise RuntimeError(msg) from self._app.crash_reason

    async def close(self, *, timeout_s: float) -> None:
        """Leave the group and disconnect."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._app.stop()
        except TimeoutError:
            log.warning("the consumer did not leave the group within %.0f s: the session timeout ends it", timeout_s)

    async def _consume(self, stream: Any) -> None:
        async for event in stream.events():  # acknowledges nothing: the topic has acks off
            try:
                await self._on_record(_record(event.message))
            except Exception as exc:
                if not self.failed.done():
                    self.failed.set_exception(exc)
                raise

    async def _assigned(self, app: Any, assigned: Collection[Any], **_: Any) -> None:
        partitions = sorted(TopicPartition(one.topic, one.partition) for one in assigned)
        log.info("partitions assigned: %s", [one.partition for one in partitions] or "none (a spare worker)")
        self._on_assigned(partitions)

    async def _revoked(self, app: Any, revoked: Collection[Any], **_: Any) -> None:
        log.info("partitions given away: %s", sorted(one.partition for one in revoked))
        await self._on_revoked()

    # What commits and lag need: see ``workers.streams.lag.Source``.

    @property
    def _thread(self) -> _ConsumerThread:
        thread: _ConsumerThread = self._app.consumer._thread  # noqa: SLF001 - ours; Faust has no public way to it
        return thread

    def assignment(self) -> Collection[TopicPartition]:
        """The partitions that are ours now; none during a rebalance."""
        if self._app.rebalancing:
            return []
        try:
            return [TopicPartition(one.topic, one.partition) for one in self._app.consumer.assignment()]
        except ConsumerNotStarted:
            return []

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> bool:
        """Commit the next offsets to read; False when they were refused."""
        return await self._thread.commit_offsets(offsets)

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offset that the next record of each partition will get."""
        try:
            found = await self._app.consumer.highwaters(*(KafkaPartition(*one) for one in partitions))
        except KafkaError as exc:
            raise RetryLater(f"no end offsets ({exc!r})") from exc
        return {TopicPartition(one.topic, one.partition): offset for one, offset in found.items()}

    async def positions(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offset that would be fetched next from each partition."""
        try:
            return {one: await self._app.consumer.position(KafkaPartition(*one)) for one in partitions}
        except KafkaError as exc:
            raise RetryLater(f"no positions ({exc!r})") from exc


def _app_settings(role: Role, settings: Settings) -> dict[str, Any]:
    """Faust's settings, each against its default for a reason."""
    kafka, delivery = settings.kafka, settings.delivery
    session_s = kafka.session_timeout_s
    return {
        "broker": [f"kafka://{server}" for server in servers_of(kafka)],
        "broker_client_id": f"crosscurrent-{role}",
        "broker_credentials": faust_credentials(kafka),
        "broker_session_timeout": session_s,
        "broker_heartbeat_interval": min(3.0, session_s / 3),
        "broker_request_timeout": max(40.0, 2 * session_s),  # Faust refuses one below the session timeout
        # The group waits this long for a member that drains before it gives its partitions away.
        "broker_rebalance_timeout": session_s + delivery.drain_timeout_s,
        "broker_max_poll_interval": _MAX_POLL_INTERVAL_S,
        "broker_max_poll_records": 2 * delivery.batch_events,
        "broker_commit_interval": 60.0,  # commits nothing (acks are off); it also paces Faust's complaints
        "broker_commit_livelock_soft_timeout": 365 * 86_400.0,  # the watchdog's concern
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": max(_MIN_FETCH_BYTES, kafka.max_event_bytes + _FRAMING_BYTES),
        "stream_buffer_maxsize": delivery.batch_events,  # events may be megabytes; 4,096 of them would be the memory
        "stream_wait_empty": False,  # waits for ever when Redis is away; ``on_revoked`` waits with a limit
        "stream_processing_timeout": 365 * 86_400.0,
        "table_standby_replicas": 0,  # no tables: Kafka's own round robin assigns
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "reply_create_topic": False,
        "web_enabled": False,
        "autodiscover": False,
    }


def _record(message: Any) -> Record:
    headers = dict(message.headers or ())
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        timestamp_ms=round((message.timestamp or 0.0) * 1000),
        headers={name: value or b"" for name, value in headers.items()},  # Kafka has headers without a value
    )
