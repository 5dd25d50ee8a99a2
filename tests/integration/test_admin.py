"""Topics are made once, and what differs from the settings is told."""

import pytest

from config.errors import Misconfigured
from config.settings import KafkaSettings
from workers.contracts.topics import Topic
from workers.operate.admin import TopicError, create_topics, list_topics


def settings(bootstrap: str, prefix: str, **values: object) -> KafkaSettings:
    """Kafka settings of one test."""
    return KafkaSettings.model_validate({"bootstrap_servers": bootstrap, "topic_prefix": prefix, **values})


def test_creating_twice_changes_nothing(kafka_bootstrap: str, prefix: str) -> None:
    """The first call makes every topic, the second finds them; neither reports a difference."""
    wanted = settings(kafka_bootstrap, prefix, partitions=3)
    assert all(not state.exists for state in list_topics(wanted))
    for _ in range(2):
        states = create_topics(wanted)
        assert {state.partitions for state in states} == {3}
        assert len(states) == len(Topic)
        assert [difference for state in states for difference in state.differences] == []


def test_missing_topics_and_other_partition_counts_are_told(kafka_bootstrap: str, prefix: str) -> None:
    """Before creation each topic is missing; under other settings each has the wrong number of partitions."""
    missing = list_topics(settings(kafka_bootstrap, prefix))
    assert all(state.differences == ["missing: crosscurrent topics create"] for state in missing)
    create_topics(settings(kafka_bootstrap, prefix, partitions=2))
    for state in create_topics(settings(kafka_bootstrap, prefix, partitions=5)):
        assert "2 partitions, settings say 5: set kafka.partitions to 2" in state.differences[0]


def test_impossible_replication_is_refused_by_name(kafka_bootstrap: str, prefix: str) -> None:
    """A replication factor above the number of brokers is an error that names the topic, where the broker checks it."""
    wanted = settings(kafka_bootstrap, prefix, replication_factor=7)
    try:
        create_topics(wanted)
    except TopicError as error:
        assert f"{prefix}.content" in str(error)
    else:
        pytest.skip("this broker takes any replication factor")


def test_an_absent_broker_says_what_to_check(unused_tcp_port: int) -> None:
    """Nobody listens: the address and the settings to look at are in the message."""
    with pytest.raises(Misconfigured, match=rf"127.0.0.1:{unused_tcp_port}.*kafka.bootstrap_servers"):
        list_topics(settings(f"127.0.0.1:{unused_tcp_port}", "nobody"))
