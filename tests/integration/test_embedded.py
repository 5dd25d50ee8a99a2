"""The embedded servers are real ones, and leave nothing behind."""

import importlib.resources
from pathlib import Path
from typing import Any

import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from kafka import KafkaAdminClient

from config.errors import Misconfigured
from workers.operate import embedded
from workers.operate.embedded import EmbeddedKafka, EmbeddedRedis


def test_redis_is_version_8_with_vector_sets(redis_url: str, prefix: str) -> None:
    """Vectors go in and the nearest comes out."""
    with redis.Redis.from_url(redis_url) as client:
        assert int(client.info("server")["redis_version"].split(".")[0]) >= 8
        client.execute_command("VADD", prefix, "VALUES", "2", "1", "0", "east")
        client.execute_command("VADD", prefix, "VALUES", "2", "0", "1", "north")
        assert client.execute_command("VSIM", prefix, "VALUES", "2", "0.9", "0.1", "COUNT", "1") == [b"east"]


def test_redis_forgets_unless_told_otherwise(tmp_path: Path) -> None:
    """Without an append-only file a restart is empty; with one the data is there."""
    for append_only, expected in ((False, None), (True, b"kept")):
        folder = tmp_path / str(append_only)
        for restart in range(2):
            with EmbeddedRedis(folder, append_only=append_only) as server, redis.Redis.from_url(server.url) as client:
                assert client.get("key") == (expected if restart else None)
                client.set("key", "kept")
    assert sorted(path.name for path in (tmp_path / "False").iterdir()) == ["redis-server.log"]


def test_two_servers_do_not_meet(tmp_path: Path, redis_url: str) -> None:
    """Each has its own port, and the first stops without the second."""
    with EmbeddedRedis(tmp_path) as other:
        assert other.url != redis_url
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()


async def test_broker_keeps_the_order_of_a_partition(kafka_bootstrap: str, prefix: str) -> None:
    """Records come back in the order in which they were confirmed."""
    topic = f"{prefix}.order"
    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
    admin.wait_for_topics([topic])
    admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, acks="all") as producer:
        for number in range(20):
            await producer.send_and_wait(topic, str(number).encode())
    async with AIOKafkaConsumer(topic, bootstrap_servers=kafka_bootstrap, auto_offset_reset="earliest") as consumer:
        assert [int((await consumer.getone()).value) for _ in range(20)] == list(range(20))


@pytest.mark.parametrize("server", [EmbeddedRedis, EmbeddedKafka])
def test_missing_package_names_the_install_line(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its wheel a server says how to get it."""
    monkeypatch.setattr(server, "package", "no_such_package")
    with pytest.raises(Misconfigured, match=r"no-such-package is not installed: .*crosscurrent\[embedded\]"):
        server(tmp_path).start()


def test_a_program_that_lost_its_permission_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installers that drop the executable bit do no harm, and the installed file is left as it is."""
    package = tmp_path / "package"
    (package / "bin").mkdir(parents=True)
    (package / "bin" / "tool").write_text("#!/bin/sh\n")
    (package / "bin" / "tool").chmod(0o644)
    monkeypatch.setattr(importlib.resources, "files", lambda _name: package)
    monkeypatch.setattr(embedded.os, "access", lambda *_: False)  # root may execute anything
    found = embedded.find_program("any", "tool", tmp_path)
    assert found == tmp_path / "tool"
    assert found.stat().st_mode & 0o111
