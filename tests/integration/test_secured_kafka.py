"""SCRAM over TLS from one end to the other with the least rights, and every way to get it wrong named in time."""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from config.errors import CrosscurrentError, Misconfigured, RetryLater
from config.settings import KafkaSettings, Settings, load_settings
from config.vocabulary import Role
from tests.e2e.test_durable import why_not
from tests.integration.delivery_kit import WorkerProcess, eventually
from tests.secured_kafka import SecuredKafka
from workers.contracts.rights import rights_of
from workers.contracts.topics import Topic
from workers.operate.admin import create_topics, list_topics
from workers.operate.cli import app
from workers.operate.client import AsyncClient
from workers.operate.doctor import Finding, examine
from workers.operate.kafka_home import find_kafka
from workers.streams.publisher import KafkaPublisher

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_not()), reason=f"these need Apache Kafka itself: {why_not()}"),
]

TOLD_WITHIN_S = 10.0
USERS = {
    **{role.value: f"{role.value}-pass-9f3" for role in Role},
    "client": "client-pass-9f3",
    "operator": "operator-pass-9f3",
    "nobody": "nobody-pass-9f3",
    "changing": "changing-pass-9f3",
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """One broker for the module; rights are given on the topics of a test's own prefix."""
    with SecuredKafka(find_kafka(), tmp_path_factory.mktemp("secured"), USERS) as running:
        yield running


def overrides(broker: SecuredKafka, user: str, prefix: str, redis_url: str = "redis://127.0.0.1:1/0") -> dict[str, Any]:
    """Settings of one user."""
    return {
        "kafka": broker.settings(user, prefix),
        "redis": {"url": redis_url, "prefix": prefix},
        "model": {"profile": "deterministic"},
        "metrics": {"port": 0},
    }


def settings(broker: SecuredKafka, user: str, prefix: str) -> Settings:
    """The same, read."""
    return load_settings(overrides=overrides(broker, user, prefix))


def environment(values: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The same for a process."""
    return {
        f"CROSSCURRENT_{section}__{name}".upper(): str(value)
        for section, inner in values.items()
        for name, value in inner.items()
        if value is not None
    } | {"PYTHONPATH": str(Path.cwd())}


def topics_made(broker: SecuredKafka, prefix: str) -> None:
    """Every topic, by whoever may do everything."""
    create_topics(KafkaSettings(bootstrap_servers=broker.at("open", "127.0.0.1"), topic_prefix=prefix, partitions=2))


def topic(topic: Topic, prefix: str) -> str:
    """Full name."""
    return topic.named(prefix)


def permit_operator(broker: SecuredKafka, prefix: str) -> None:
    """What docs/security.md says that the operator's commands need."""
    for operation in ("Create", "Describe", "Describe_configs"):
        broker.permit("operator", operation, "topic", f"{prefix}.", prefixed=True)
    for each in (Topic.VECTORS, Topic.PROFILES, Topic.CALIBRATION, Topic.DEAD_LETTERS, Topic.REPLAYS, Topic.CONTENT):
        broker.permit("operator", "Read", "topic", each.named(prefix))
    for each in (Topic.CONTENT, Topic.REPLAYS):
        broker.permit("operator", "Write", "topic", each.named(prefix))
    broker.permit("operator", "Delete", "topic", Topic.DEAD_LETTERS.named(prefix))


def permit_client(broker: SecuredKafka, prefix: str) -> None:
    """The same of who publishes and asks."""
    for each in (Topic.CONTENT, Topic.INTERACTIONS, Topic.QUERIES):
        broker.permit("client", "Write", "topic", each.named(prefix))
    broker.permit("client", "Read", "topic", Topic.RESULTS.named(prefix))


@pytest.mark.timeout(280)
async def test_everything_works_with_the_least_rights(
    broker: SecuredKafka, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    """Topics, three workers each as its own user, a client, doctor, rebuild and dead letters: no right to spare."""

    def run(user: str, *words: str) -> Result:
        config = tmp_path / f"{user}.yaml"
        config.write_text(yaml.safe_dump(overrides(broker, user, prefix, redis_url)))
        done = CliRunner().invoke(app, ["--config", str(config), *words])
        assert USERS[user] not in done.output
        return done

    permit_operator(broker, prefix)
    permit_client(broker, prefix)
    made = await asyncio.to_thread(run, "operator", "topics", "create")
    assert made.exit_code == 0, made.output
    with ExitStack() as stack:
        workers = []
        for role in Role:
            values = overrides(broker, role.value, prefix, redis_url)
            broker.allow(role.value, rights_of(role, load_settings(overrides=values)))
            worker = WorkerProcess(tmp_path / role.value, role, environment(values))
            workers.append(stack.enter_context(worker))
        for worker in workers:
            await worker.ready()
        await ask(settings(broker, "client", prefix))
        for role in Role:
            told = await asyncio.to_thread(run, role.value, "doctor")
            assert told.exit_code == 0, told.output
            assert f"may do what a {role} worker does" in told.output
        counted = await asyncio.to_thread(run, "operator", "dead-letters", "count")
        assert counted.exit_code == 0, counted.output
        assert "invalid_event" in counted.output
        for words in (("replay", "--all"), ("purge", "--all", "--yes")):
            done = await asyncio.to_thread(run, "operator", "dead-letters", *words)
            assert done.exit_code == 0, done.output
        rebuilt = await asyncio.to_thread(run, "operator", "rebuild")
        assert rebuilt.exit_code == 0, rebuilt.output
        for worker in workers:
            assert not any(password in worker.child.log.read_text() for password in USERS.values())
            assert worker.stop() == 0


async def ask(of: Settings) -> None:
    """Publish an item, a like and something that is none, and find the item."""
    async with AsyncClient(of) as client:
        await client.publish({"type": "content.upsert", "item_id": "a", "modalities": {"text": {"text": "a cat"}}})
        await client.publish({
            "type": "interaction", "event_id": "e", "user_id": "u", "action": "like", "item_id": "a",
            "occurred_at": "2026-01-01T10:00:00Z",
        })  # fmt: skip

        async def found() -> bool:
            return [hit.item_id for hit in (await client.search("a cat", k=1)).hits] == ["a"]

        await eventually(found, 60.0)
    async with KafkaPublisher(of.kafka, client_id="test") as publisher:
        await publisher.send(topic(Topic.CONTENT, of.kafka.topic_prefix), key=b"x", value=b"{}")


def wrongs(broker: SecuredKafka) -> dict[str, tuple[dict[str, Any], str]]:
    """What may be set wrongly, and what must be said then."""
    return {
        "password": ({"password": "wrong-pass-9f3"}, "SASL authentication failed for user 'nobody'.*kafka.password"),
        "user": ({"username": "unheard"}, "SASL authentication failed for user 'unheard'.*kafka.username"),
        "mechanism": ({"sasl_mechanism": "SCRAM-SHA-256"}, "kafka.sasl_mechanism"),
        "authority": ({"ca_file": str(broker.stranger)}, "authority unknown to kafka.ca_file.*stranger.pem"),
        "no authority": ({"ca_file": None}, "authority unknown.*kafka.ca_file is unset"),
        "host": ({"bootstrap_servers": broker.at("secure", "127.0.0.1")}, "for another host.*127.0.0.1"),
        "plain on a TLS port": ({"security_protocol": "PLAINTEXT"}, "speaks TLS.*set it to SSL"),
        "TLS on a plain port": ({"bootstrap_servers": broker.at("open", "127.0.0.1")}, "does not speak TLS.*set it to"),
        "no user": ({"security_protocol": "SSL"}, "ended the connection.*asks for a user.*SASL_SSL"),
        "a user too many": ({"bootstrap_servers": broker.at("tls")}, "asks for no user.*set it to SSL"),
    }


CASES = (
    "password", "user", "mechanism", "authority", "no authority", "host", "plain on a TLS port", "TLS on a plain port",
    "no user", "a user too many",
)  # fmt: skip
WAITED_FOR = ("no user",)
"""What ends a connection without a word may be a broker that comes up: it is waited for."""


@pytest.mark.parametrize("case", CASES)
async def test_what_is_set_wrongly_is_named_in_time(broker: SecuredKafka, prefix: str, case: str) -> None:
    """By the doctor, by a command, by a client and by what a worker starts with, each within ten seconds."""
    wrong, said = wrongs(broker)[case]
    values = overrides(broker, "nobody", prefix)
    values["kafka"] |= wrong
    of = load_settings(overrides=values)

    async def doctor() -> None:
        (finding,) = [each for each in await asyncio.to_thread(examine, None, values) if each.check == "broker"]
        assert not finding.good
        raise Misconfigured(finding.detail)

    async def client() -> None:
        async with AsyncClient(of):
            pass

    waited_for = RetryLater if case in WAITED_FOR else Misconfigured
    for attempt, kind in (
        (doctor, Misconfigured),
        (lambda: asyncio.to_thread(list_topics, of.kafka), Misconfigured),
        (client, Misconfigured),
        (KafkaPublisher(of.kafka, client_id="test").start, waited_for),
    ):
        began = time.monotonic()
        with pytest.raises(kind, match=said) as caught:
            await attempt()
        assert time.monotonic() - began < TOLD_WITHIN_S
        assert "pass-9f3" not in str(caught.value)


@pytest.mark.parametrize("case", ["password", "authority", "TLS on a plain port"])
async def test_a_worker_that_is_set_wrongly_ends(broker: SecuredKafka, prefix: str, tmp_path: Path, case: str) -> None:
    """With 78, as whatever an operator must change; the log says what that is, and no password."""
    wrong, said = wrongs(broker)[case]
    values = overrides(broker, "nobody", prefix)
    values["kafka"] |= wrong
    began = time.monotonic()
    with WorkerProcess(tmp_path / "worker", Role.INTERACTIONS, environment(values)) as worker:
        while worker.child.exit_code is None:
            await asyncio.sleep(0.05)
            assert time.monotonic() - began < TOLD_WITHIN_S
        assert worker.child.exit_code == 78
        written = worker.child.log.read_text()
        assert "misconfigured:" in written
        assert said.split(".*")[0] in written
        assert "pass-9f3" not in written


async def test_a_right_that_is_missing_is_named_and_waited_for(
    broker: SecuredKafka, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    """On the page and in the log within ten seconds, with topic or group; once it is given the worker goes on."""
    topics_made(broker, prefix)
    values = overrides(broker, "nobody", prefix, redis_url)
    rights = rights_of(Role.INTERACTIONS, load_settings(overrides=values))
    kept = [right for right in rights if right.name not in {f"{prefix}.profiles", f"{prefix}-interactions"}]
    broker.allow("nobody", kept)
    began = time.monotonic()
    with WorkerProcess(tmp_path / "worker", Role.INTERACTIONS, environment(values)) as worker:
        said = f"user 'nobody' lacks Write on topic {prefix}.profiles, Read on group {prefix}-interactions"

        async def is_named() -> bool:
            return said in json.loads(worker.page("/ready") or "{}").get("waiting_for", {}).get("rights", "")

        await eventually(is_named, TOLD_WITHIN_S)
        assert time.monotonic() - began < TOLD_WITHIN_S
        assert said in worker.child.log.read_text()
        broker.allow("nobody", rights)
        await worker.ready()


async def test_the_doctor_and_commands_name_a_missing_right(broker: SecuredKafka, prefix: str) -> None:
    """Each names the operation and the topic or group that it is about."""
    topics_made(broker, prefix)
    broker.permit("nobody", "Read", "topic", f"{prefix}.content")
    of = settings(broker, "nobody", prefix)
    rights = [each for each in await asyncio.to_thread(examined, broker, prefix) if each.check == "rights"]
    assert [each.good for each in rights] == [False] * len(Role)
    assert f"Write on topic {prefix}.vectors" in rights[0].detail
    assert f"Read on group {prefix}-content" in rights[0].detail
    with pytest.raises(CrosscurrentError, match=rf"lacks Write on topic {prefix}\.content"):
        async with AsyncClient(of) as client:
            await client.publish({"type": "content.delete", "item_id": "a"})
    with pytest.raises(CrosscurrentError, match=rf"lacks Read on topic {prefix}\.results"):
        async with AsyncClient(of) as client:
            await client.search("a cat")
    with pytest.raises(CrosscurrentError, match="lacks Create on it"):
        await asyncio.to_thread(create_topics, settings(broker, "nobody", f"{prefix}x").kafka)


def examined(broker: SecuredKafka, prefix: str) -> list[Finding]:
    """What the doctor finds as nobody."""
    return examine(None, overrides(broker, "nobody", prefix))


async def test_a_password_that_changes_while_it_runs_is_waited_for(broker: SecuredKafka, prefix: str) -> None:
    """What the broker took once was right: a worker outlives the minutes between the broker's change and its own."""
    of = settings(broker, "changing", prefix)
    broker.permit("changing", "Write", "topic", f"{prefix}.results")
    publisher = KafkaPublisher(of.kafka, client_id="test")
    await publisher.start()
    await publisher.stop()
    await asyncio.to_thread(broker.change_password, "changing", "another-pass-9f3")

    async def is_refused() -> bool:
        try:
            await publisher.start()
        except RetryLater as exc:
            return "SASL authentication failed for user 'changing'" in str(exc)
        await publisher.stop()
        return False

    await eventually(is_refused, TOLD_WITHIN_S)
    await asyncio.to_thread(broker.change_password, "changing", USERS["changing"])
    await publisher.stop()


@pytest.mark.timeout(200)
async def test_a_worker_outlives_a_change_of_its_password(
    broker: SecuredKafka, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    """Told on the page and in the log within ten seconds, with its connections kept and lost; then it works on."""
    topics_made(broker, prefix)
    values = overrides(broker, "changing", prefix, redis_url)
    broker.allow("changing", rights_of(Role.INTERACTIONS, load_settings(overrides=values)))
    said = "SASL authentication failed for user 'changing'"
    with WorkerProcess(tmp_path / "worker", Role.INTERACTIONS, environment(values)) as worker:
        await worker.ready()
        await asyncio.to_thread(broker.change_password, "changing", "another-pass-9f3")
        await eventually(lambda: tells(worker, said), TOLD_WITHIN_S)
        assert said in worker.child.log.read_text()
        await asyncio.to_thread(broker.restart)
        await eventually(lambda: tells(worker, said), TOLD_WITHIN_S)
        await asyncio.to_thread(broker.change_password, "changing", USERS["changing"])
        await worker.ready()
        permit_client(broker, prefix)
        async with AsyncClient(settings(broker, "client", prefix)) as client:
            await client.publish({"type": "user.forget", "user_id": "u", "occurred_at": "2026-01-01T10:00:00Z"})
        await worker.until(lambda: worker.ended("done", Role.INTERACTIONS) == 1)
        assert not any(password in worker.child.log.read_text() for password in USERS.values())


async def tells(worker: WorkerProcess, said: str) -> bool:
    """Whether the page says it of the broker."""
    return said in json.loads(worker.page("/ready") or "{}").get("waiting_for", {}).get("broker", "")
