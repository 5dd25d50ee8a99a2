"""The servers of ``crosscurrent up --data DIR``: Redis and Apache Kafka that find everything again when they start."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.errors import Misconfigured
from config.settings import Settings
from workers.operate.children import ChildError
from workers.operate.data_folder import DataFolder, open_data
from workers.operate.data_manifest import NAME
from workers.operate.durable_redis import DurableRedis, redis_release
from workers.operate.kafka_home import KafkaHome, find_kafka
from workers.operate.kafka_server import DEFAULT_HEAP_MB, KafkaServer, check_path
from workers.operate.lasting_ports import await_free
from workers.operate.servers import Servers

_LEAVING_S: Final = 10.0  # what was killed a moment ago gives its port back within this


@dataclass(frozen=True, slots=True, kw_only=True)
class Durable:
    """A data folder that is ours, and what runs on it.

    Args:
        data: Locked for as long as this lasts.
        home: The Kafka.
        heap_mb: Memory of its JVM, in mebibytes.
    """

    data: DataFolder
    home: KafkaHome
    heap_mb: int = DEFAULT_HEAP_MB

    @contextmanager
    def servers(self, logs: Path) -> Iterator[Servers]:
        """Both servers, up for as long as the ``with`` statement lasts.

        Raises:
            Misconfigured: A port is taken, or the folder cannot be written.
            ChildError: One does not start; the message holds the end of its log, and what may help.
        """
        ports = self.data.manifest.ports
        for port in (ports.redis, ports.broker, ports.controller):
            self._see_that_it_is_free(port)
        kafka = KafkaServer(
            self.home,
            self.data.kafka,
            port=ports.broker,
            controller_port=ports.controller,
            heap_mb=self.heap_mb,
            log=logs / "kafka.log",
        )
        self._prepare(kafka)
        redis = DurableRedis(self.data.redis, port=ports.redis, log=logs / "redis.log")
        with self._started(redis), kafka:
            yield Servers(broker=kafka.bootstrap_servers, redis=redis.url, children=(redis.child, kafka.child))

    def make_whole(self, settings: Settings, on_step: Callable[[str], object]) -> None:
        """Fill Redis again from the topics if its files were lost; again after a run that was ended half way.

        Raises:
            Misconfigured: A server does not fit the settings.
            RetryLater: A server is away.
        """
        if self.data.manifest.redis_whole:
            return
        from workers.operate.rebuild import rebuild

        on_step("filling Redis again from the topics: its own files were not there")
        asyncio.run(rebuild(settings, lambda *_: None))
        self.data.keep(redis_whole=True)

    def _prepare(self, kafka: KafkaServer) -> None:
        kafka.configure()
        if not self.data.manifest.formatted:
            kafka.format(self.data.manifest.cluster_id)
            self.data.keep(formatted=True)

    def _see_that_it_is_free(self, port: int) -> None:
        if not await_free(port, within_s=_LEAVING_S):
            raise Misconfigured(
                f"port {port}, where {self.data.path} is served, is taken by another program: stop that, or write a "
                f"free port into {self.data.path / NAME}"
            )

    @contextmanager
    def _started(self, redis: DurableRedis) -> Iterator[None]:
        try:
            redis.start()
        except ChildError as exc:
            way_out = f"if its files are damaged, remove {self.data.redis}: it is filled again from the topics"
            raise ChildError(f"{exc}\n{way_out}") from exc
        try:
            yield
        finally:
            redis.stop()


@contextmanager
def open_durable(folder: Path, *, heap_mb: int) -> Iterator[Durable]:
    """Everything that keeps a system's data in a folder, found and checked before the folder is touched.

    Raises:
        Misconfigured: Kafka, Java or Redis is missing, or the folder is not ours to use; with the way out.
    """
    home, redis = find_kafka(), redis_release()
    check_path(folder.expanduser().absolute())
    with open_data(folder, kafka=home.release, redis=redis) as data:
        yield Durable(data=data, home=home, heap_mb=heap_mb)
