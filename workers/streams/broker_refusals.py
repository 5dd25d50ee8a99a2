"""Why a broker does not take us, in words: the library's error, and the setting to correct.

Two kinds. What our own settings say wrongly stays wrong however long one waits: a user, an authority, a protocol. What
is to be done at the broker, or passes, is waited for: a broker that is away, a certificate that has run out.
"""

import socket
import ssl
from dataclasses import dataclass
from typing import Final

from aiokafka.errors import IllegalSaslStateError, SaslAuthenticationFailed, UnsupportedSaslMechanismError

from config.settings import KafkaSettings

# OpenSSL's X509_V_ERR_…: nobody we trust signed it; it is for another name or address.
_UNKNOWN_AUTHORITY: Final = frozenset({2, 18, 19, 20, 21})
_OTHER_HOST: Final = frozenset({62, 64})

# Beside these aiokafka says ValueError where the broker fails to prove that it knows the password.
_USER_REFUSED: Final = (SaslAuthenticationFailed, UnsupportedSaslMechanismError, IllegalSaslStateError)

_WITH_TLS: Final = {"PLAINTEXT": "SSL", "SASL_PLAINTEXT": "SASL_SSL"}
_WITHOUT_TLS: Final = {with_tls: without for without, with_tls in _WITH_TLS.items()}
_WITH_USER: Final = {"PLAINTEXT": "SASL_PLAINTEXT", "SSL": "SASL_SSL"}
_WITHOUT_USER: Final = {with_user: without for without, with_user in _WITH_USER.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a broker cannot be used.

    Args:
        text: What is wrong and what to do; holds no secret.
        lasting: The settings are wrong, so waiting does not help.
    """

    text: str
    lasting: bool = False


def refusal(error: Exception, settings: KafkaSettings, server: str, *, speaks_tls: bool | None) -> Refusal:
    """Say what an attempt to connect ended with.

    Args:
        error: What connecting, proving who we are or the first request raised.
        settings: What it was made with.
        server: ``host:port`` that was tried.
        speaks_tls: What that port speaks; None when it answered neither way.
    """
    if isinstance(error, ssl.SSLCertVerificationError):  # which is a ValueError too
        return _certificate(error, settings, server)
    if isinstance(error, _USER_REFUSED) or (settings.username and isinstance(error, ValueError)):
        return Refusal(text=_user(error, settings, server), lasting=True)
    if protocol := _protocol(settings, speaks_tls=speaks_tls):
        spoken = "speaks TLS" if speaks_tls else "does not speak TLS"
        return Refusal(
            text=f"{server} {spoken} at this port, and kafka.security_protocol is {settings.security_protocol}: set it "
            f"to {protocol}, or correct the port in kafka.bootstrap_servers",
            lasting=True,
        )
    return Refusal(text=_away(error, settings, server))


def _user(error: Exception, settings: KafkaSettings, server: str) -> str:
    protocol, mechanism = settings.security_protocol, settings.sasl_mechanism
    if isinstance(error, IllegalSaslStateError):
        return (
            f"{server} asks for no user at this port, and kafka.security_protocol is {protocol}: set it to "
            f"{_WITHOUT_USER[protocol]}, or correct the port in kafka.bootstrap_servers"
        )
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"{server} does not take {mechanism}: correct kafka.sasl_mechanism ({error})"
    return (
        f"SASL authentication failed for user {settings.username!r} at {server} with {mechanism}: correct "
        "kafka.username and kafka.password, or kafka.sasl_mechanism if the user is known by another one"
    )


def _certificate(error: ssl.SSLCertVerificationError, settings: KafkaSettings, server: str) -> Refusal:
    told = error.verify_message.rstrip(".")
    if error.verify_code in _UNKNOWN_AUTHORITY:
        trusted = (
            f"kafka.ca_file ({settings.ca_file})" if settings.ca_file else "this system, as kafka.ca_file is unset"
        )
        text = f"the certificate of {server} is by an authority unknown to {trusted}: {told}"
        return Refusal(text=f"{text}; name the file with its authority's certificate in kafka.ca_file", lasting=True)
    if error.verify_code in _OTHER_HOST:
        text = f"the certificate of {server} is for another host: {told}"
        way_out = "name the broker in kafka.bootstrap_servers as its certificate does, or give it one for this name"
        return Refusal(text=f"{text}; {way_out} (what it advertises counts too)", lasting=True)
    return Refusal(text=f"the certificate of {server} is refused: {told}; give the broker one that is valid")


def _protocol(settings: KafkaSettings, *, speaks_tls: bool | None) -> str | None:
    """The protocol that should be set, when we and the port differ in whether TLS is spoken."""
    if speaks_tls is None:
        return None
    return (_WITH_TLS if speaks_tls else _WITHOUT_TLS).get(settings.security_protocol)


def _away(error: Exception, settings: KafkaSettings, server: str) -> str:
    where = "check that it runs, and kafka.bootstrap_servers"
    if isinstance(error, socket.gaierror):
        return f"the host of {server} is not found ({error.strerror}): {where}"
    if isinstance(error, ConnectionRefusedError):
        return f"nobody listens at {server}: {where}"
    if isinstance(error, TimeoutError):
        return f"{server} does not answer in time: {where}, and what lies between"
    if asks := _WITH_USER.get(settings.security_protocol):
        return (
            f"{server} ended the connection ({error!r}): {where}; if it asks for a user, set kafka.security_protocol "
            f"to {asks} with kafka.username and kafka.password"
        )
    return f"{server} cannot be used ({error!r}): {where}"
