"""Asks a broker once whether it takes us, and says why not: client libraries only say "unable to bootstrap"."""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final

from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from config.errors import Misconfigured, RetryLater
from config.settings import KafkaSettings
from workers.streams.broker_refusals import Refusal, refusal
from workers.streams.security import CLIENT_ID, aiokafka_security

# An attempt and both looks at what the port speaks: together under the ten seconds within which a reason is told.
_ANSWER_TIMEOUT_S: Final = 4.0
_LOOK_TIMEOUT_S: Final = 1.5
_CLOSE_TIMEOUT_S: Final = 0.5


async def probe(settings: KafkaSettings) -> None:
    """Connect to the first server that takes us, prove who we are, ask one thing, and hang up.

    Raises:
        Misconfigured: None takes us, and the settings are why; each reason names the one to correct.
        RetryLater: None takes us now.
    """
    servers = [(host, port) for host, port, _ in collect_hosts(settings.bootstrap_servers)]
    attempts = [asyncio.create_task(_refused(host, port, settings)) for host, port in servers]
    refusals: list[Refusal] = []
    try:
        for answer in asyncio.as_completed(attempts):
            if (found := await answer) is None:
                return
            refusals.append(found)
    finally:
        for attempt in attempts:
            attempt.cancel()
    if lasting := _texts([one for one in refusals if one.lasting]):
        raise Misconfigured(*lasting)
    raise RetryLater("; ".join(_texts(refusals)))


def _texts(refusals: Sequence[Refusal]) -> list[str]:
    return sorted({one.text for one in refusals})


async def _refused(host: str, port: int, settings: KafkaSettings) -> Refusal | None:
    """Why one server does not take us; None when it does."""
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            await _introduce(host, port, settings)
    except (KafkaError, OSError, ValueError) as exc:  # a TimeoutError and an SSLError are OSErrors
        return refusal(exc, settings, f"{host}:{port}", speaks_tls=await _speaks_tls(host, port))
    return None


async def _introduce(host: str, port: int, settings: KafkaSettings) -> None:
    connection = await create_conn(host, port, client_id=CLIENT_ID, **aiokafka_security(settings))
    try:
        # A port that asks for a user tells its versions to anybody: only the next request is refused.
        await connection.send(MetadataRequest([]))
    finally:
        await _hang_up(connection)


async def _speaks_tls(host: str, port: int) -> bool | None:
    """What is spoken at a port: TLS, Kafka without it, or neither.

    Nothing is told to whoever answers, so whose certificate it shows does not matter here.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(_LOOK_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError as exc:
        if "ALERT" in (exc.reason or ""):
            return True  # refused, in TLS
    except OSError:
        pass
    else:
        writer.close()
        return True
    return False if await _speaks_plainly(host, port) else None


async def _speaks_plainly(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_LOOK_TIMEOUT_S):
            await _hang_up(await create_conn(host, port, client_id=CLIENT_ID))
    except (KafkaError, OSError, ValueError):
        return False
    return True


async def _hang_up(connection: AIOKafkaConnection) -> None:
    closing = connection.close()
    if closing is not None:
        await asyncio.wait([closing], timeout=_CLOSE_TIMEOUT_S)
