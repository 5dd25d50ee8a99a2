"""The servers of a data folder when something is wrong; that they keep what they hold is in ``e2e/test_durable.py``.

Redis is the real one. Java and Kafka are stand-ins by name, so that these tests need neither.
"""

import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from config.errors import Misconfigured
from config.vocabulary import Role
from tests.programs import java, kafka, program
from workers.operate import durable
from workers.operate.children import ChildError
from workers.operate.cli_options import Options
from workers.operate.durable import Durable, open_durable
from workers.operate.durable_redis import DurableRedis
from workers.operate.kafka_server import DEFAULT_HEAP_MB
from workers.operate.lasting_ports import is_free, lasting_ports
from workers.operate.system import System

FORMATS_AND_DIES = """
case "$*" in
-version) echo 'openjdk version "17.0.15" 2025-04-15' >&2;;
*StorageTool*) ;;
*) echo 'java.io.IOException: No space left on device' >&2; exit 1;;
esac
"""


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Durable]:
    """A new data folder, and a Kafka that can be formatted and dies when it is started."""
    monkeypatch.setenv("KAFKA_HOME", str(kafka(tmp_path / "kafka", "4.2.1")))
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path / "jdk", "17.0.15").parent.parent))
    program(tmp_path / "jdk" / "bin" / "java", FORMATS_AND_DIES)
    with open_durable(tmp_path / "data", heap_mb=DEFAULT_HEAP_MB) as found:
        yield found


def test_a_broker_that_dies_is_told_with_its_log_and_takes_redis_along(opened: Durable, tmp_path: Path) -> None:
    """What the broker printed is in the message; nothing is left running."""
    with pytest.raises(ChildError, match=r"Apache Kafka ended with code 1 .*\n.*No space left on device"):
        ExitStack().enter_context(opened.servers(tmp_path))
    assert opened.data.manifest.formatted
    assert is_free(opened.data.manifest.ports.redis)


def test_a_taken_port_is_told_with_its_way_out(
    opened: Durable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients know the port: it is not changed behind their backs."""
    monkeypatch.setattr(durable, "_LEAVING_S", 0.1)
    port = opened.data.manifest.ports.broker
    refusal = f"port {port}, where {re.escape(str(opened.data.path))} is served, is taken .*crosscurrent.json"
    with socket.create_server(("127.0.0.1", port)), pytest.raises(Misconfigured, match=refusal):
        ExitStack().enter_context(opened.servers(tmp_path))


def test_redis_keeps_what_it_answered_over_kill_9(tmp_path: Path) -> None:
    """On its port, with every write that was answered, whichever moment it is killed at."""
    (port,) = lasting_ports(1)
    written = 0
    for _ in range(3):
        with DurableRedis(tmp_path, port=port, log=tmp_path / "log") as server, redis.Redis.from_url(server.url) as one:
            assert one.config_get("appendfsync") == {"appendfsync": "always"}
            assert one.dbsize() == written
            for _ in range(50):
                one.set(f"key-{written}", "x")
                written += 1
            os.killpg(server.child.pid, signal.SIGKILL)


def test_damaged_files_of_redis_are_told_with_their_way_out(opened: Durable, tmp_path: Path) -> None:
    """It does not start on them, and nothing is thrown away but by whoever reads this."""
    files = opened.data.redis / "appendonlydir"
    files.mkdir(parents=True)
    (files / "appendonly.aof.manifest").write_text("nonsense\n")
    way_out = f"if its files are damaged, remove {re.escape(str(opened.data.redis))}: it is filled again"
    with pytest.raises(ChildError, match=rf"(?s)Redis ended with code 1 while starting.*{way_out}"):
        ExitStack().enter_context(opened.servers(tmp_path))
    assert (files / "appendonly.aof.manifest").read_text() == "nonsense\n"


def test_what_a_former_runs_worker_announced_is_not_believed(tmp_path: Path) -> None:
    """Logs may be kept in one folder over two runs; the old address would never get ready."""
    (tmp_path / "content.json").write_text('{"role": "content", "port": 1, "pid": 1}')
    worker = System(tmp_path, Options(), external=True)._start_worker(Role.CONTENT)
    try:
        assert worker.find_address() == ""
    finally:
        worker.child.stop(grace_s=0.0)
