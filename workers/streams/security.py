"""How a client of ours finds the broker and proves who it is: the settings in the libraries' words and in Faust's."""

import ssl
from typing import Any, Final

from config.errors import Misconfigured
from config.settings import KafkaSettings

CLIENT_ID: Final = "crosscurrent"
"""What brokers log of a client that has no name of its own."""


def servers_of(settings: KafkaSettings) -> list[str]:
    """Each ``host:port`` of ``kafka.bootstrap_servers``."""
    return [server.strip() for server in settings.bootstrap_servers.split(",")]


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Connection options of aiokafka's and kafka-python's clients, which use the same words."""
    return {"bootstrap_servers": servers_of(settings), "client_id": CLIENT_ID, **aiokafka_security(settings)}


def tls_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    """Context that checks the broker's certificate; None when the connection is not encrypted.

    Raises:
        Misconfigured: ``kafka.ca_file`` cannot be read.
    """
    if not settings.security_protocol.endswith("SSL"):
        return None
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise Misconfigured(f"kafka.ca_file: {settings.ca_file} is no readable certificate file ({exc})") from exc


def aiokafka_security(settings: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for any aiokafka client."""
    words: dict[str, Any] = {
        "security_protocol": settings.security_protocol,
        "ssl_context": tls_context(settings),
    }
    if settings.security_protocol.startswith("SASL"):
        words |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.username,
            "sasl_plain_password": settings.password.get_secret_value(),
        }
    return words


def faust_credentials(settings: KafkaSettings) -> Any:
    """Faust's credentials object; None for a plain connection."""
    import faust

    context = tls_context(settings)
    if settings.security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=settings.username,
            password=settings.password.get_secret_value(),
            mechanism=settings.sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context=context) if context else None
