"""Topics on the broker: make the missing ones, and tell how those that exist differ from what the settings want."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from config.errors import CrosscurrentError
from config.settings import KafkaSettings
from workers.contracts.topics import TopicSpec, topic_specs
from workers.operate.connections import broker_errors, check_early
from workers.streams.broker_rights import who
from workers.streams.security import client_options

_TOPIC_EXISTS, _NOT_AUTHORIZED = 36, 29  # Kafka protocol, error codes
_BOOTSTRAP_TIMEOUT_MS = 5_000


class TopicError(CrosscurrentError):
    """The broker refused to create a topic; the message is the broker's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicState:
    """One topic as it is on the broker, beside how it should be.

    Args:
        partitions: How many there are; 0 when the topic does not exist.
        config: What the broker tells of the configuration we care for; the embedded broker tells nothing.
        hidden: Who may not see it; whether it exists is not known then.
    """

    spec: TopicSpec
    partitions: int
    config: Mapping[str, str]
    hidden: str = ""

    @property
    def exists(self) -> bool:
        """Whether the broker knows the topic."""
        return self.partitions > 0

    @property
    def differences(self) -> list[str]:
        """What is not as the settings want it, each with its way out; empty when all is well."""
        if self.hidden:
            return [f"{self.hidden} lacks Describe on it: grant that, or what brings it along, such as Read or Write"]
        if not self.exists:
            return ["missing: crosscurrent topics create"]
        return [*self._partition_difference(), *self._config_differences()]

    def _partition_difference(self) -> Iterator[str]:
        wanted = self.spec.partitions
        if self.partitions != wanted:
            yield (
                f"{self.partitions} partitions, settings say {wanted}: set kafka.partitions to {self.partitions}, or "
                "recreate the topic (adding partitions moves keys and breaks their order)"
            )

    def _config_differences(self) -> Iterator[str]:
        for name, wanted in self.spec.config().items():
            if (found := self.config.get(name, wanted)) != wanted:
                yield f"{name} is {found}, settings want {wanted}: kafka-configs --alter --add-config {name}={wanted}"


@contextmanager
def open_admin(settings: KafkaSettings) -> Iterator[Any]:
    """Open kafka-python's admin client and close it again."""
    from kafka import KafkaAdminClient

    check_early(settings)
    with broker_errors(settings):
        client = KafkaAdminClient(bootstrap_timeout_ms=_BOOTSTRAP_TIMEOUT_MS, **client_options(settings))
        try:
            yield client
        finally:
            client.close()


def create_topics(settings: KafkaSettings) -> list[TopicState]:
    """Create every topic that is missing, wait until all can be used, and return their states.

    Topics that exist are left as they are, so it may be called at any time; their differences are in the answer.

    Raises:
        Misconfigured: The broker cannot be reached.
        TopicError: The broker refuses to create one, such as for too large a replication factor.
    """
    specs = topic_specs(settings)
    with open_admin(settings) as admin:
        _create(admin, settings, specs)
        return _states(admin, settings, specs)


def create_topic(settings: KafkaSettings, spec: TopicSpec) -> None:
    """Create one topic unless it is there, and wait until it can be used.

    Raises:
        Misconfigured: The broker cannot be reached.
        TopicError: The broker refuses to create it.
    """
    with open_admin(settings) as admin:
        _create(admin, settings, [spec])


def _create(admin: Any, settings: KafkaSettings, specs: Sequence[TopicSpec]) -> None:
    answer = admin.create_topics({spec.name: _wanted(spec) for spec in specs}, raise_errors=False)
    refused = [topic for topic in answer["topics"] if topic["error_code"] not in {0, _TOPIC_EXISTS}]
    if refused:
        reasons = (f"{topic['name']}: {_refusal(topic, settings)}" for topic in refused)
        raise TopicError("the broker refused to create " + "; ".join(reasons))
    admin.wait_for_topics([spec.name for spec in specs])


def _refusal(topic: Mapping[str, Any], settings: KafkaSettings) -> str:
    if topic["error_code"] == _NOT_AUTHORIZED:
        return f"{who(settings)} lacks Create on it, or on the cluster"
    return str(topic["error_message"] or topic["error_code"])


def list_topics(settings: KafkaSettings) -> list[TopicState]:
    """Every topic of this prefix as it is on the broker.

    Raises:
        Misconfigured: The broker cannot be reached.
    """
    with open_admin(settings) as admin:
        return _states(admin, settings, topic_specs(settings))


def cluster_id(settings: KafkaSettings) -> str:
    """What the broker calls its cluster.

    Raises:
        Misconfigured: The broker cannot be reached.
    """
    with open_admin(settings) as admin:
        return str(admin.describe_cluster()["cluster_id"])


def _wanted(spec: TopicSpec) -> dict[str, Any]:
    return {
        "num_partitions": spec.partitions,
        "replication_factor": spec.replication_factor,
        "configs": spec.config(),
    }


def _states(admin: Any, settings: KafkaSettings, specs: Sequence[TopicSpec]) -> list[TopicState]:
    from kafka.admin import ConfigResource

    known = set(admin.list_topics())  # describing an unknown topic would create it where that is switched on
    present = [spec.name for spec in specs if spec.name in known]
    hidden = _hidden(admin, settings, [spec.name for spec in specs if spec.name not in known])
    partitions = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(present)}
    resources = [ConfigResource("TOPIC", name) for name in present]
    configs = admin.describe_configs(resources, config_filter="all").get("topic", {}) if present else {}
    return [
        TopicState(
            spec=spec,
            partitions=partitions.get(spec.name, 0),
            config={name: str(entry["value"]) for name, entry in configs.get(spec.name, {}).items()},
            hidden=who(settings) if spec.name in hidden else "",
        )
        for spec in specs
    ]


def _hidden(admin: Any, settings: KafkaSettings, absent: Sequence[str]) -> set[str]:
    """Which topics are not listed because we may not see them; without a user nothing is hidden from anybody."""
    if settings.security_protocol == "PLAINTEXT" or not absent:
        return set()
    return {topic["name"] for topic in admin.describe_topics(absent) if topic["error_code"] == _NOT_AUTHORIZED}
