"""The settings of a protected broker reach both client libraries."""

import ssl
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.errors import Misconfigured
from config.settings import KafkaSettings
from workers.streams.security import aiokafka_security, faust_credentials, tls_context

SASL_TLS = KafkaSettings(security_protocol="SASL_SSL", username="worker", password=SecretStr("s3cret"))


def test_a_plain_connection_needs_nothing() -> None:
    """No context, no credentials."""
    assert aiokafka_security(KafkaSettings()) == {"security_protocol": "PLAINTEXT", "ssl_context": None}
    assert faust_credentials(KafkaSettings()) is None


def test_scram_over_tls_reaches_aiokafka() -> None:
    """User, password, mechanism and a context that checks the broker's certificate."""
    words = aiokafka_security(SASL_TLS)

    assert (words["security_protocol"], words["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (words["sasl_plain_username"], words["sasl_plain_password"]) == ("worker", "s3cret")
    assert words["ssl_context"].verify_mode is ssl.CERT_REQUIRED


def test_scram_over_tls_reaches_faust() -> None:
    """The same through Faust's own words."""
    credentials = faust_credentials(SASL_TLS)

    assert (credentials.username, credentials.password) == ("worker", "s3cret")
    assert credentials.mechanism.value == "SCRAM-SHA-512"
    assert credentials.protocol.value == "SASL_SSL"


def test_an_unreadable_certificate_is_named(tmp_path: Path) -> None:
    """The message names the setting and the file."""
    missing = KafkaSettings(security_protocol="SSL", ca_file=tmp_path / "none.pem")

    with pytest.raises(Misconfigured, match=r"kafka\.ca_file.*none\.pem"):
        tls_context(missing)
