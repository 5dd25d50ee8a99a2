"""Three brokers of Apache Kafka from the folder that ``KAFKA_HOME`` names: data outlives a kill, leaders change."""

import asyncio
import shutil
import socket
import subprocess
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

from tests.chaos.faults import ChaosError
from tests.chaos.servers import Servers, given_broker, kill_9
from workers.operate.children import Child, free_port

BROKERS: Final = 3
SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {"kafka": {"replication_factor": BROKERS}}
"""What workers and topics must know of it."""

_START_TIMEOUT_S: Final = 120.0
_PROPERTIES: Final = """\
process.roles=broker,controller
node.id={node}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.voters={voters}
log.dirs={folder}/data
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=6
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=6
"""


class ApacheCluster:
    """Brokers that are also the controllers; a context manager.

    Args:
        home: Folder with ``libs/*.jar``, as Apache's archive unpacks.
        folder: Where data and logs go.

    Raises:
        ChaosError: There is no Java, or no Kafka in that folder.
    """

    def __init__(self, home: Path, folder: Path) -> None:
        java = shutil.which("java")
        if java is None or not list((home / "libs").glob("kafka*.jar")):
            raise ChaosError(f"KAFKA_HOME={home} needs libs/kafka*.jar there and a Java 17 runtime on PATH")
        self._java = [java, "-Xmx384m", "-XX:+UseSerialGC", "-cp", f"{home}/libs/*"]
        self._folder = folder
        self._ports = [free_port() for _ in range(BROKERS)]
        self._children: dict[int, Child] = {}

    @property
    def bootstrap(self) -> str:
        """Addresses of all brokers."""
        return ",".join(f"127.0.0.1:{port}" for port in self._ports)

    def __enter__(self) -> Self:
        controllers = [free_port() for _ in range(BROKERS)]
        voters = ",".join(f"{place + 1}@127.0.0.1:{port}" for place, port in enumerate(controllers))
        cluster = uuid.uuid4().hex[:22]
        for place, port in enumerate(self._ports):
            self._format(place, cluster, port=port, controller=controllers[place], voters=voters)
        for place in range(BROKERS):
            self._start(place)
        for place in range(BROKERS):
            self._wait(place)
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children.values():
            kill_9(child)
            child.stop(grace_s=0.0)

    def kill(self, victim: int) -> int:
        """``kill -9`` of one broker; which."""
        place = victim % BROKERS
        kill_9(self._children[place])
        self._children[place].stop(grace_s=0.0)
        return place

    def bring_back(self, place: int) -> None:
        """Start it again on its data, and wait until it listens."""
        self._start(place)
        self._wait(place)

    def _format(self, place: int, cluster: str, **values: object) -> None:
        folder = self._folder / f"broker-{place}"
        folder.mkdir(parents=True)
        properties = folder / "server.properties"
        properties.write_text(_PROPERTIES.format(node=place + 1, folder=folder, **values), encoding="utf-8")
        storage = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)]
        subprocess.run([*self._java, *storage], check=True, capture_output=True)

    def _start(self, place: int) -> None:
        folder = self._folder / f"broker-{place}"
        command = [*self._java, "kafka.Kafka", str(folder / "server.properties")]
        self._children[place] = Child(f"broker {place + 1}", command, folder / "kafka.log")

    def _wait(self, place: int) -> None:
        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self._ports[place])) == 0

        self._children[place].wait_until(answers, timeout_s=_START_TIMEOUT_S)


@asynccontextmanager
async def apache_servers(home: Path, folder: Path) -> AsyncIterator[Servers]:
    """Three brokers, and an embedded Redis behind a proxy."""
    cluster = ApacheCluster(home, folder / "kafka")
    await asyncio.to_thread(cluster.__enter__)
    try:
        async with given_broker(cluster.bootstrap, folder) as servers:
            yield replace(servers, kill_broker=cluster.kill, bring_back_broker=cluster.bring_back)
    finally:
        cluster.__exit__()
