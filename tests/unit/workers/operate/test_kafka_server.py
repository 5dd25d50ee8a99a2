"""How Apache Kafka is configured and started; that it then works is tested where there is one."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import Misconfigured
from tests.programs import program
from workers.operate.children import ChildError
from workers.operate.durable_redis import DurableRedis, redis_release
from workers.operate.kafka_home import KafkaHome
from workers.operate.kafka_server import KafkaServer, check_path, properties_text
from workers.operate.lasting_ports import await_free, is_free, lasting_ports
from workers.operate.release import Release


def server(folder: Path, *, java: Path = Path("/jdk/bin/java"), heap_mb: int = 300) -> KafkaServer:
    """A broker that is not started."""
    home = KafkaHome(libs=Path("/opt/kafka/libs"), release=Release(4, 2, 1), java=java)
    return KafkaServer(home, folder, port=20_001, controller_port=20_002, heap_mb=heap_mb, log=folder / "kafka.log")


def settings_in(file: Path) -> dict[str, str]:
    """Names and values of a properties file."""
    return dict(line.split("=", 1) for line in file.read_text("ascii").splitlines())


def test_the_command_line_names_java_heap_jars_and_configuration(tmp_path: Path) -> None:
    """The heap is the one asked for, and a broker that is out of memory ends instead of staying up mute."""
    command = server(tmp_path, heap_mb=300).command(Path("/jdk/bin/java"))
    assert command[0] == "/jdk/bin/java"
    assert "-Xmx300m" in command
    assert "-XX:+ExitOnOutOfMemoryError" in command
    assert command[command.index("-cp") + 1] == "/opt/kafka/libs/*"
    assert command[-2:] == ["kafka.Kafka", str(tmp_path / "server.properties")]


def test_the_configuration_keeps_everything_in_the_folder(tmp_path: Path) -> None:
    """On loopback ports that stay, with every confirmed record on the disk; written again for a folder that moved."""
    for folder in (tmp_path / "first", tmp_path / "moved"):
        server(folder).configure()
        found = settings_in(folder / "server.properties")
        assert found["log.dirs"] == str(folder / "data")
        assert found["log.flush.interval.messages"] == "1"
        assert found["process.roles"] == "broker,controller"
        assert found["advertised.listeners"] == "PLAINTEXT://127.0.0.1:20001"
        assert found["controller.quorum.voters"] == "1@127.0.0.1:20002"
        assert found["listeners"] == "PLAINTEXT://127.0.0.1:20001,CONTROLLER://127.0.0.1:20002"


def test_names_are_escaped_as_java_reads_them() -> None:
    r"""Properties are Latin-1 with \\u escapes; a backslash would swallow what follows it."""
    text = properties_text({"log.dirs": "/数据/é/🐈/a\\b"})
    assert text == "log.dirs=/\\u6570\\u636e/\\u00e9/\\ud83d\\udc08/a\\\\b\n"


def test_a_comma_in_the_folders_name_is_refused(tmp_path: Path) -> None:
    """Kafka would take it for two folders."""
    with pytest.raises(Misconfigured, match="holds a comma"):
        check_path(tmp_path / "a,b")
    check_path(tmp_path / "a b")


def test_what_the_format_tool_says_is_told(tmp_path: Path) -> None:
    """Its words, not a code alone."""
    java = program(tmp_path / "java", 'echo "wrong words: $*" >&2; exit 1')
    broker = server(tmp_path, java=java)
    with pytest.raises(ChildError, match=r"cannot format .*\nwrong words: .* format -t xyz -c .*--ignore-formatted"):
        broker.format("xyz")


def test_redis_answers_only_what_is_on_the_disk(tmp_path: Path) -> None:
    """The policy is always, in the file that a restart reads; and the release is that of the installed program."""
    redis = DurableRedis(tmp_path, port=20_003, log=tmp_path / "redis.log")
    command = list(redis.command(Path("redis-server")))
    for option, value in {"--appendonly": "yes", "--appendfsync": "always", "--port": "20003"}.items():
        assert command[command.index(option) + 1] == value
    assert redis_release().major >= 8


@pytest.fixture
def taken() -> Iterator[tuple[int, threading.Event]]:
    """A port that somebody listens on, until the event is set."""
    import socket

    free = threading.Event()
    (port,) = lasting_ports(1)
    listening = socket.create_server(("127.0.0.1", port))

    def leave() -> None:
        free.wait(30)
        listening.close()

    leaving = threading.Thread(target=leave)
    leaving.start()
    yield port, free
    free.set()
    leaving.join()


def test_a_taken_port_is_waited_for(taken: tuple[int, threading.Event]) -> None:
    """What was killed a moment ago may still be there; what stays is told."""
    port, free = taken
    assert not is_free(port)
    assert not await_free(port, within_s=0.2)
    free.set()
    assert await_free(port, within_s=10)


def test_lasting_ports_differ_and_lie_below_those_of_connections() -> None:
    """So that no program's connection sits on one when its server comes back."""
    ports = lasting_ports(50)
    assert len(set(ports)) == 50
    assert all(1024 < port < 32768 for port in ports)
    assert all(map(is_free, ports))
