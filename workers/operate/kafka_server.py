"""Apache Kafka in KRaft mode: one node that is broker and controller, on loopback ports and a folder that stay."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

from config.errors import Misconfigured
from workers.operate.children import ChildError
from workers.operate.kafka_home import KafkaHome
from workers.operate.server import Server, broker_answers

DEFAULT_HEAP_MB: Final = 384
LEAST_HEAP_MB: Final = 192  # below, the broker comes up and falls over with its first large batches

_FORMAT_TIMEOUT_S: Final = 120.0


class KafkaServer(Server):
    """A broker that keeps what it confirms.

    Args:
        home: What runs it.
        folder: Its own; ``data`` in it holds the events, and moves with it.
        port: Where clients find it, at every start.
        controller_port: Where its own two halves meet.
        heap_mb: Memory of the JVM for objects, in mebibytes; it takes some 200 beside it.
        log: File for its output.
    """

    name = "Apache Kafka"
    program = "java"
    # Unclean logs are read through at a start: minutes where there are gigabytes.
    start_timeout_s = 600.0
    # It writes down what is whole; killed before, it reads its logs through at the next start.
    grace_s = 60.0
    environment: ClassVar[Mapping[str, str]] = {"LC_ALL": "C.UTF-8"}  # Java names files in the locale's encoding

    def __init__(
        self, home: KafkaHome, folder: Path, *, port: int, controller_port: int, heap_mb: int, log: Path
    ) -> None:
        super().__init__(folder, port=port, log=log)
        self._home = home
        self._heap_mb = heap_mb
        self._controller_port = controller_port
        self._properties = folder / "server.properties"

    @property
    def bootstrap_servers(self) -> str:
        """Address as ``kafka.bootstrap_servers`` in the settings takes it."""
        return f"127.0.0.1:{self.port}"

    def configure(self) -> None:
        """Write the broker's own configuration, which follows from ours at every start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(properties_text(self._settings()), encoding="ascii")

    def format(self, cluster_id: str) -> None:
        """Make an empty folder a broker's; what is there already is left as it is.

        Raises:
            ChildError: Kafka's tool refuses; the message is its own.
        """
        words = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self._properties)]
        done = subprocess.run(  # noqa: S603 - the Java and the Kafka that the operator has chosen
            self._java(*words, "--ignore-formatted"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_FORMAT_TIMEOUT_S,
            check=False,
            env={**os.environ, **self.environment},
        )
        if done.returncode:
            raise ChildError(f"{self.name} cannot format {self.folder}:\n{(done.stdout + done.stderr).strip()}")

    def found_program(self) -> Path:
        """Path of Java."""
        return self._home.java

    def command(self, program: Path) -> Sequence[str]:
        """Command line of the broker."""
        return self._java("kafka.Kafka", str(self._properties))

    def answers(self) -> bool:
        """Whether it serves clients: not before it has read its logs and knows itself in charge."""
        return broker_answers(self.port)

    def _java(self, *words: str) -> Sequence[str]:
        return [
            str(self._home.java),
            f"-Xmx{self._heap_mb}m",
            "-XX:+UseSerialGC",  # a small heap and few cores: other collectors keep threads and memory of their own
            "-XX:+ExitOnOutOfMemoryError",  # a broker that lives on without its threads looks well and serves nobody
            "-Dlog4j2.level=WARN",
            "-cp",
            f"{self._home.libs}/*",
            *words,
        ]

    def _settings(self) -> Mapping[str, str]:
        clients, controllers = f"PLAINTEXT://{self.bootstrap_servers}", f"127.0.0.1:{self._controller_port}"
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controllers}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"{clients},CONTROLLER://{controllers}",
            "advertised.listeners": clients,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            # What is confirmed is on the disk, so it outlives the machine as well: there is no second copy elsewhere.
            "log.flush.interval.messages": "1",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            # After kill -9 the broker waits until its former self counts as gone (9 s by default).
            "broker.session.timeout.ms": "6000",
            "log.cleaner.dedupe.buffer.size": str(16 * 2**20),  # 128 MiB of the heap by default
        }


def properties_text(settings: Mapping[str, str]) -> str:
    """A Java properties file, in ASCII: JSON's escapes are understood there, and other bytes read as Latin-1."""
    return "".join(f"{name}={json.dumps(value)[1:-1]}\n" for name, value in settings.items())


def check_path(folder: Path) -> None:
    """See that Kafka can be told of a folder.

    Raises:
        Misconfigured: Its name holds a comma, which parts folders in Kafka's configuration.
    """
    if "," in str(folder):
        raise Misconfigured(f"{folder} holds a comma, which Kafka takes for the end of a path: name another folder")
