"""Each way in which a broker does not take us names the setting to correct, and whether waiting would help."""

import re
import ssl
import time

import pytest
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
)
from pydantic import SecretStr

from config.errors import RetryLater
from config.settings import KafkaSettings
from workers.streams.broker_probe import probe
from workers.streams.broker_refusals import refusal
from workers.streams.broker_rights import refused_right
from workers.streams.publisher import KafkaPublisher

SECURED = KafkaSettings(security_protocol="SASL_SSL", username="worker", password=SecretStr("s3cret"))
PLAIN = KafkaSettings()


def certificate(code: int, message: str) -> ssl.SSLCertVerificationError:
    """What OpenSSL raises."""
    error = ssl.SSLCertVerificationError(message)
    error.verify_code, error.verify_message = code, message
    return error


@pytest.mark.parametrize(
    ("error", "settings", "speaks_tls", "lasting", "words"),
    [
        (SaslAuthenticationFailed("no"), SECURED, True, True, "failed for user 'worker' at b:1.*kafka.password"),
        (ValueError("Server sent wrong signature!"), SECURED, True, True, "failed for user 'worker'"),
        (certificate(19, "self-signed"), SECURED, True, True, "authority unknown.*kafka.ca_file"),
        (certificate(62, "Hostname mismatch"), SECURED, True, True, "another host.*kafka.bootstrap_servers"),
        (certificate(10, "has expired"), SECURED, True, False, "has expired"),
        (KafkaConnectionError(), PLAIN, True, True, "speaks TLS.*set it to SSL,"),
        (ConnectionResetError(), SECURED, False, True, "does not speak TLS.*set it to SASL_PLAINTEXT"),
        (KafkaConnectionError(), PLAIN, False, False, "set kafka.security_protocol to SASL_PLAINTEXT"),
        (ConnectionRefusedError(), SECURED, None, False, "nobody listens at b:1"),
        (TimeoutError(), SECURED, None, False, "does not answer in time"),
    ],
)
def test_a_refusal_names_the_setting(
    error: Exception, settings: KafkaSettings, speaks_tls: bool | None, lasting: bool, words: str
) -> None:
    """What our settings say wrongly lasts; a broker that is away, or must be seen to, is waited for."""
    told = refusal(error, settings, "b:1", speaks_tls=speaks_tls)

    assert told.lasting is lasting
    assert re.search(words, told.text)
    assert "s3cret" not in told.text


def test_a_refused_right_is_named() -> None:
    """The operation, and the topic or group as far as the library tells; other errors are about none."""
    assert "user 'worker' lacks Write on topic x.vectors" in refused_right(
        TopicAuthorizationFailedError({"x.vectors"}), SECURED
    )
    assert "Read on group g" in refused_right(GroupAuthorizationFailedError("g"), SECURED)
    assert refused_right(KafkaError("other"), SECURED) == ""


async def test_every_server_that_is_away_is_named(unused_tcp_port: int) -> None:
    """Nobody listens at either: both are named, and soon."""
    servers = f"127.0.0.1:{unused_tcp_port},127.0.0.1:1"
    began = time.monotonic()
    with pytest.raises(RetryLater, match=rf"127\.0\.0\.1:1.*127\.0\.0\.1:{unused_tcp_port}"):
        await probe(KafkaSettings(bootstrap_servers=servers))
    with pytest.raises(RetryLater, match="nobody listens"):
        await KafkaPublisher(KafkaSettings(bootstrap_servers=servers), client_id="test").start()
    assert time.monotonic() - began < 5.0
