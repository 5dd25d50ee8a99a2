"""Apache Kafka itself, one KRaft broker on free ports, from the folder that ``KAFKA_HOME`` names."""

import shutil
import socket
import subprocess
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from workers.operate.children import Child, free_port

_START_TIMEOUT_S = 60.0
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller}
log.dirs={folder}/data
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""


class ApacheKafka:
    """A context manager around one broker.

    Args:
        home: Folder with ``libs/*.jar``, as Apache's archive unpacks.
        folder: Where its data and log go.
    """

    def __init__(self, home: Path, folder: Path) -> None:
        java = shutil.which("java")
        if java is None or not list((home / "libs").glob("kafka*.jar")):
            pytest.exit(f"KAFKA_HOME={home} needs libs/kafka*.jar there and a Java 17 runtime on PATH", returncode=2)
        self._java = [java, "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{home}/libs/*"]
        self._folder = folder
        self._port = free_port()

    @property
    def bootstrap_servers(self) -> str:
        """Address of the broker."""
        return f"127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        properties = self._folder / "server.properties"
        properties.write_text(_PROPERTIES.format(port=self._port, controller=free_port(), folder=self._folder))
        storage = ["kafka.tools.StorageTool", "format", "-t", uuid.uuid4().hex[:22], "-c", str(properties)]
        subprocess.run([*self._java, *storage], check=True, capture_output=True)
        command = [*self._java, "kafka.Kafka", str(properties)]
        self._child = Child("Apache Kafka", command, self._folder / "kafka.log")
        self._child.wait_until(self._answers, timeout_s=_START_TIMEOUT_S)
        return self

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.stop()
