"""What commands make of trouble with the broker: one plain error that says what to correct."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeGuard, TypeVar

from config.errors import CrosscurrentError, Misconfigured, RetryLater
from config.settings import KafkaSettings

T = TypeVar("T")

_RECORD_OVERHEAD_BYTES = 64 * 1024  # key, headers and batch framing around the largest value


def max_request_bytes(settings: KafkaSettings) -> int:
    """Largest request a producer may send, so that the largest event allowed fits in."""
    return settings.max_event_bytes + _RECORD_OVERHEAD_BYTES


def check_early(settings: KafkaSettings) -> None:
    """See that the broker takes us, before kafka-python tries again for seconds what it was refused.

    Raises:
        Misconfigured: The settings are why it does not; a broker that is away is left to the library's patience.
    """
    from workers.streams.broker_probe import probe

    if settings.security_protocol != "PLAINTEXT":
        with contextlib.suppress(RetryLater):
            _run_aside(lambda: probe(settings))


class broker_errors:  # noqa: N801 - reads as what it is used as: ``with broker_errors(settings):``
    """Turns a library's trouble with the broker into an error that says what to correct; ``with`` and ``async with``.

    Raises:
        Misconfigured: At the end, for any error of a client library.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if _is_broker_trouble(error):
            raise Misconfigured(_run_aside(lambda: reason(self._settings, error))) from error

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if _is_broker_trouble(error):
            raise Misconfigured(await reason(self._settings, error)) from error


async def reason(settings: KafkaSettings, cause: Exception) -> str:
    """Why something failed: a right that it lacks, what a new connection is told, or else the error itself."""
    from workers.streams.broker_probe import probe

    if refused := lacked_right(settings, cause):
        return refused
    try:
        await probe(settings)
    except CrosscurrentError as exc:
        return f"the broker at {settings.bootstrap_servers} cannot be used: {exc}"
    return unreachable(settings, cause)


def lacked_right(settings: KafkaSettings, cause: Exception, operation: str = "Read", topic: str = "") -> str:
    """Say which right a request lacked, as far as the libraries tell; empty when it is about none."""
    from aiokafka import errors as ours
    from kafka import errors as theirs

    from workers.streams.broker_rights import refused_right

    for name in ("TopicAuthorizationFailedError", "GroupAuthorizationFailedError", "ClusterAuthorizationFailedError"):
        if isinstance(cause, getattr(theirs, name)):
            cause = getattr(ours, name)(*cause.args)
    return refused_right(cause, settings, operation, topic)


def unreachable(settings: KafkaSettings, cause: Exception) -> str:
    """Say that the broker cannot be used, and what to look at."""
    user = f" as {settings.username!r}" if settings.username else ""
    return (
        f"the broker at {settings.bootstrap_servers} cannot be used{user} over {settings.security_protocol} "
        f"({type(cause).__name__}: {cause}): check that it runs, and kafka.bootstrap_servers, kafka.security_protocol "
        "and the user's name and password"
    )


def _run_aside(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run something asynchronous from code that is not, whether or not there is a loop in this thread."""
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(lambda: asyncio.run(work())).result()


def _is_broker_trouble(error: BaseException | None) -> TypeGuard[Exception]:
    from aiokafka.errors import KafkaError as AiokafkaError
    from kafka.errors import KafkaError

    return isinstance(error, AiokafkaError | KafkaError | OSError)
