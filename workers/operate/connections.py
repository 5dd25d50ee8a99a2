"""How our Kafka clients connect: the settings in the words of aiokafka and of kafka-python, and one plain error."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from config.errors import Misconfigured
from config.settings import KafkaSettings
from workers.streams.security import aiokafka_security

CLIENT_ID = "crosscurrent"
_RECORD_OVERHEAD_BYTES = 64 * 1024  # key, headers and batch framing around the largest value


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Connection options of aiokafka's and kafka-python's clients, which use the same words."""
    servers = [server.strip() for server in settings.bootstrap_servers.split(",")]
    return {"bootstrap_servers": servers, "client_id": CLIENT_ID, **aiokafka_security(settings)}


def max_request_bytes(settings: KafkaSettings) -> int:
    """Largest request a producer may send, so that the largest event allowed fits in."""
    return settings.max_event_bytes + _RECORD_OVERHEAD_BYTES


@contextmanager
def broker_errors(settings: KafkaSettings) -> Iterator[None]:
    """Turn a library's trouble in reaching the broker into an error that says what to check."""
    from aiokafka.errors import KafkaError as AiokafkaError
    from kafka.errors import KafkaError

    try:
        yield
    except (AiokafkaError, KafkaError, OSError) as exc:
        raise Misconfigured(unreachable(settings, exc)) from exc


def unreachable(settings: KafkaSettings, cause: Exception) -> str:
    """Say that the broker cannot be used, and what to look at."""
    user = f" as {settings.username!r}" if settings.username else ""
    return (
        f"the broker at {settings.bootstrap_servers} cannot be used{user} over {settings.security_protocol} "
        f"({type(cause).__name__}: {cause}): check that it runs, and kafka.bootstrap_servers, kafka.security_protocol "
        "and the user's name and password"
    )
