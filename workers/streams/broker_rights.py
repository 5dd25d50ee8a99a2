"""Which rights the broker gives us: asked at the start, so that a missing one is named before an event needs it."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.metadata import MetadataRequest

from config.errors import RetryLater
from config.settings import KafkaSettings
from workers.contracts.rights import Right
from workers.streams.security import client_options

_ANSWER_TIMEOUT_S: Final = 8.0
_ANSWER_TIMEOUT_MS: Final = round(_ANSWER_TIMEOUT_S * 1000)
_PAUSE_S: Final = 0.3

Held = Mapping[str, Collection[str]]


async def lacking(settings: KafkaSettings, rights: Sequence[Right]) -> list[Right]:
    """Which of these the broker does not give us. Of a topic that does not exist none is missed.

    Raises:
        RetryLater: The broker does not tell.
    """
    held = {
        "topic": await _held_on_topics(settings, [one.name for one in rights if one.kind == "topic"]),
        "group": await _held_on_groups(settings, [one.name for one in rights if one.kind == "group"]),
    }
    known = [one for one in rights if one.name in held[one.kind]]
    return [one for one in known if one.operation not in held[one.kind][one.name]]


async def rights_are_held(settings: KafkaSettings, rights: Sequence[Right]) -> None:
    """See that we may do what we are going to.

    Where nothing proves who we are nobody is told apart, and the broker is not asked.

    Raises:
        RetryLater: A right is missing: it can be given while we wait; or the broker does not tell.
    """
    if settings.security_protocol != "PLAINTEXT" and (missing := await lacking(settings, rights)):
        raise RetryLater(told(settings, missing))


def told(settings: KafkaSettings, missing: Sequence[Right]) -> str:
    """Name the rights that are missing, and how to give the first of them."""
    first = missing[0]
    user = settings.username or "<the certificate's name>"
    return (
        f"{who(settings)} lacks {', '.join(map(str, missing))}: grant each, as with kafka-acls --add --allow-principal "
        f"User:{user} --operation {first.operation} --{first.kind} {first.name}"
    )


def refused_right(error: Exception, settings: KafkaSettings, operation: str = "Write", topic: str = "") -> str:
    """Say which right a request lacked, as far as the library's error tells; empty when it is about none."""
    if isinstance(error, TopicAuthorizationFailedError):
        what = f"{operation} on topic {topic or _names(error) or '(one of those it asked for)'}"
    elif isinstance(error, GroupAuthorizationFailedError):
        what = f"Read on group {_names(error) or '(that of its role)'}"
    elif isinstance(error, ClusterAuthorizationFailedError):
        what = "IdempotentWrite on the cluster, or Write on any topic"
    else:
        return ""
    return f"{who(settings)} lacks {what}: see kafka-acls, and docs/security.md for what each role and command needs"


async def see_topic(client: Any, settings: KafkaSettings, topic: str) -> None:
    """Of a topic that is not listed, see that it is not merely hidden from us; asking creates none.

    Raises:
        TopicAuthorizationFailedError: We may not see it.
    """
    if settings.security_protocol == "PLAINTEXT":
        return
    question = MetadataRequest([topic], allow_auto_topic_creation=False)
    answer = await client.send(client.get_random_node(), question)
    if any(error_code == TopicAuthorizationFailedError.errno for error_code, *_ in answer.topics):
        raise TopicAuthorizationFailedError(topic)


def who(settings: KafkaSettings) -> str:
    """Whom the broker takes us for."""
    return f"user {settings.username!r}" if settings.username else "this client"


def _names(error: Exception) -> str:
    told_of = error.args[0] if error.args else ""
    return ", ".join(sorted(told_of)) if isinstance(told_of, set | frozenset | list | tuple) else str(told_of)


async def _held_on_topics(settings: KafkaSettings, names: Sequence[str]) -> Held:
    """Operations on each topic there is, by kafka-python: aiokafka's metadata requests are too old to ask for them."""
    from kafka.errors import KafkaError as KafkaPythonError

    try:
        topics = await asyncio.to_thread(_describe_topics, settings, list(dict.fromkeys(names)))
    except (KafkaPythonError, OSError) as exc:
        raise RetryLater(f"the broker does not tell which rights {who(settings)} has ({exc!r})") from exc
    held: dict[str, Collection[str]] = {}
    for topic in topics:
        if topic["error_code"] == TopicAuthorizationFailedError.errno:
            held[topic["name"]] = ()
        elif topic["error_code"] == 0:
            held[topic["name"]] = {name.title() for name in topic["authorized_operations"] or ()}
    return held


def _describe_topics(settings: KafkaSettings, names: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    from kafka import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_timeout_ms=_ANSWER_TIMEOUT_MS, **client_options(settings))
    try:
        topics: Sequence[Mapping[str, Any]] = admin.describe_topics(names)
        return topics
    finally:
        admin.close()


async def _held_on_groups(settings: KafkaSettings, names: Sequence[str]) -> Held:
    """Whether each group may be read, asked as a member would that there is not: it changes nothing.

    Who may be a member is told that it is none. What may be done with a group the broker tells once there is one.
    """
    client = AIOKafkaClient(**client_options(settings))
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            await client.bootstrap()
            return {name: ["Read"] if await _may_read_group(client, name) else [] for name in names}
    except (KafkaError, OSError) as exc:
        raise RetryLater(f"the broker does not tell which rights {who(settings)} has ({exc!r})") from exc
    finally:
        await client.close()


async def _may_read_group(client: AIOKafkaClient, name: str) -> bool:
    while True:
        try:
            node = await client.coordinator_lookup(CoordinationType.GROUP, name)
            answer = await client.send(node, HeartbeatRequest(name, -1, ""), group=ConnectionGroup.COORDINATION)
        except GroupAuthorizationFailedError:
            return False
        except KafkaError as exc:
            if not exc.retriable:
                raise
            await asyncio.sleep(_PAUSE_S)  # a broker makes the topic of its groups when the first one is asked for
        else:
            return bool(answer.error_code != GroupAuthorizationFailedError.errno)
