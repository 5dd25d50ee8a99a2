"""How topics are created, in the broker's own words."""

from config.settings import KafkaSettings
from workers.contracts.topics import Topic, topic_specs


def test_what_is_kept_of_each_topic() -> None:
    """For ever, for a time, the last of each key, or the last of each key for a time."""
    configs = {spec.name: spec.config() for spec in topic_specs(KafkaSettings(topic_prefix="cc", max_event_bytes=2048))}
    size = {"max.message.bytes": "2048"}
    assert configs["cc.content"] == {"retention.ms": "-1"} | size
    assert configs["cc.queries"] == {"retention.ms": "86400000"} | size
    assert configs["cc.vectors"] == {"cleanup.policy": "compact", "delete.retention.ms": "2592000000"} | size
    assert configs["cc.profiles"] == {"cleanup.policy": "compact"} | size
    assert configs["cc.tag-counts"] == {
        "cleanup.policy": "compact,delete", "retention.ms": "2592000000", "segment.ms": "3600000"
    } | size  # fmt: skip
    assert len(configs) == len(Topic)
