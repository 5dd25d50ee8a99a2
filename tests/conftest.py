"""Fixtures of all tests: real servers on free ports, one of each for a test process, and names nobody else uses."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings

from tests.brokers import ApacheKafka
from workers.operate.embedded import EmbeddedKafka, EmbeddedRedis

KAFKA_VARIABLE = "CROSSCURRENT_TEST_KAFKA"
REDIS_VARIABLE = "CROSSCURRENT_TEST_REDIS"

# Messages are wrapped at the terminal's width, through the middle of a path: what a test looks for must not depend on
# how long the name of its temporary folder is.
os.environ["COLUMNS"] = "400"

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Redis 8 with vector sets: an embedded one for each test process, empty at its start.

    ``CROSSCURRENT_TEST_REDIS=redis://host:port/n`` names another one, which must be empty: tests write and delete, and
    someone's data must not be among what they find. Use the ``prefix`` fixture for every key.
    """
    if given := os.environ.get(REDIS_VARIABLE):
        with redis.Redis.from_url(given) as client:
            if client.dbsize() and not os.environ.get("PYTEST_XDIST_WORKER"):
                pytest.exit(f"{REDIS_VARIABLE} names a database that is not empty: name an empty one", returncode=2)
        yield given
        return
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address ``host:port`` of a broker: the embedded one unless the environment names another.

    ``CROSSCURRENT_TEST_KAFKA=host:port`` is used as it is; ``KAFKA_HOME``, an Apache Kafka's folder, is started on free
    ports for the session. Topics live on: start their names with the ``prefix`` fixture.
    """
    if given := os.environ.get(KAFKA_VARIABLE):
        yield given
    elif home := os.environ.get("KAFKA_HOME"):
        with ApacheKafka(Path(home), tmp_path_factory.mktemp("apache-kafka")) as broker:
            yield broker.bootstrap_servers
    else:
        with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as server:
            yield server.bootstrap_servers


@pytest.fixture
def prefix() -> str:
    """A name that no other test uses, for Redis keys, topics and consumer groups."""
    return f"test-{uuid.uuid4().hex[:12]}"
