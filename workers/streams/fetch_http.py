"""Fetching ``http(s)://``: public addresses only, every redirect checked, never more bytes than allowed."""

import asyncio
import socket
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from config.errors import MediaRejected, Reason
from config.settings import MediaSettings
from workers.streams.fetch_addresses import AddressNotAllowed, PublicResolver, check_literal

_TRIES: Final = 3
_PAUSE_S: Final = 0.3
_LONGEST_PAUSE_S: Final = 3.0
_CHUNK_BYTES: Final = 65_536
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524})
_HEADERS: Final = {"User-Agent": "crosscurrent", "Accept-Encoding": "identity"}


def public_name(url: URL) -> str:
    """An address as messages may show it: without user, password, query and fragment, where secrets travel."""
    shown = str(url.with_user(None).with_query(None).with_fragment(None)) if url.host else "the address"
    return shown if len(shown) <= 200 else shown[:200] + "…"


class _Transient(Exception):  # noqa: N818 - an instruction: try again
    def __init__(self, what: str, after_s: float = _PAUSE_S) -> None:
        self.what = what
        self.after_s = after_s
        super().__init__(what)


class HttpFetcher:
    """Fetches files over HTTP; one for a process.

    Args:
        settings: Limits and exceptions.
        resolver: Resolves names; the system's when None.
    """

    def __init__(self, settings: MediaSettings, *, resolver: AbstractResolver | None = None) -> None:
        self._settings = settings
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close connections; harmless when none was opened."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def fetch(self, uri: str, *, field: str) -> bytes:
        """Fetch a file, trying again while the trouble looks passing, within ``media.fetch_timeout_s`` for all tries.

        Raises:
            MediaRejected: ``MEDIA_NOT_ALLOWED`` for addresses behind the wall, ``MEDIA_TOO_LARGE``, and
                ``MEDIA_NOT_FOUND`` when the server does not have it, refuses it, or did not answer in time.
        """
        try:
            url = URL(uri)
            name = public_name(url)
        except ValueError as exc:
            raise MediaRejected(Reason.MEDIA_NOT_FOUND, "this is no valid address", field=field) from exc
        trouble = "no answer"
        try:
            async with asyncio.timeout(self._settings.fetch_timeout_s):
                for left in reversed(range(_TRIES)):
                    try:
                        return await self._follow(url, field)
                    except _Transient as exc:
                        trouble = exc.what
                        await asyncio.sleep(min(exc.after_s, _LONGEST_PAUSE_S) if left else 0)
        except TimeoutError:
            trouble += f" within {self._settings.fetch_timeout_s:g} s (media.fetch_timeout_s)"
        message = f"{name} could not be fetched: {trouble}; send the event again when its server is well"
        raise MediaRejected(Reason.MEDIA_NOT_FOUND, message, field=field)

    async def _follow(self, url: URL, field: str) -> bytes:
        for _ in range(self._settings.max_redirects + 1):
            self._check_scheme(url, field)
            found = await self._get(url, field)
            if isinstance(found, bytes):
                return found
            url = found
        message = f"more than {self._settings.max_redirects} redirects (media.max_redirects); give the last address"
        raise MediaRejected(Reason.MEDIA_NOT_FOUND, message, field=field)

    def _check_scheme(self, url: URL, field: str) -> None:
        if url.scheme not in {"http", "https"} or not url.host:
            message = f"a redirect leads to {url.scheme or 'no'}://, which is not followed"
            raise MediaRejected(Reason.MEDIA_NOT_ALLOWED, message, field=field)

    async def _get(self, url: URL, field: str) -> bytes | URL:
        """Ask once: the file's bytes, or where it is instead."""
        name = public_name(url)
        try:
            check_literal(url, self._settings.allowed_private_hosts)
            async with self._opened().get(url, allow_redirects=False) as response:
                if response.status in _REDIRECTS and (location := response.headers.get("Location")):
                    return url.join(URL(location))
                self._check_status(response, name, field)
                return await self._read(response, name, field)
        except AddressNotAllowed as exc:
            raise self._not_public(name, field) from exc
        except aiohttp.ClientConnectorCertificateError as exc:
            message = f"{name}: its certificate is not trusted here; use an address with a valid one"
            raise MediaRejected(Reason.MEDIA_NOT_FOUND, message, field=field) from exc
        except aiohttp.ClientConnectorError as exc:
            raise self._no_connection(exc, name, field) from exc
        except (aiohttp.InvalidURL, ValueError) as exc:
            raise MediaRejected(Reason.MEDIA_NOT_FOUND, f"{name} is no valid address", field=field) from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise _Transient(f"the connection broke ({type(exc).__name__})") from exc

    def _check_status(self, response: aiohttp.ClientResponse, name: str, field: str) -> None:
        status = response.status
        if status in _TRANSIENT:
            raise _Transient(f"the server answered {status}", _retry_after_s(response))
        if status != 200:
            message = f"{name} answered {status}; correct the address or its access and send the event again"
            raise MediaRejected(Reason.MEDIA_NOT_FOUND, message, field=field)

    async def _read(self, response: aiohttp.ClientResponse, name: str, field: str) -> bytes:
        limit = self._settings.max_bytes
        too_large = MediaRejected(
            Reason.MEDIA_TOO_LARGE, f"{name} is larger than media.max_bytes ({limit}); send a smaller file", field=field
        )
        # The declared length spares a download; the count of what arrives decides.
        if (response.content_length or 0) > limit:
            raise too_large
        data = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            data += chunk
            if len(data) > limit:
                raise too_large
        return bytes(data)

    def _no_connection(self, exc: aiohttp.ClientConnectorError, name: str, field: str) -> Exception:
        cause = exc.os_error
        if isinstance(cause, AddressNotAllowed):
            return self._not_public(name, field)
        if isinstance(cause, socket.gaierror) and cause.errno in {socket.EAI_NONAME, socket.EAI_NODATA}:
            message = f"{name}: there is no such host; correct the address and send the event again"
            return MediaRejected(Reason.MEDIA_NOT_FOUND, message, field=field)
        return _Transient(f"no connection ({cause.strerror or type(cause).__name__})")

    @staticmethod
    def _not_public(name: str, field: str) -> MediaRejected:
        message = (
            f"{name} leads to a private, loopback or otherwise reserved address; "
            "the operator allows hosts in media.allowed_private_hosts"
        )
        return MediaRejected(Reason.MEDIA_NOT_ALLOWED, message, field=field)

    def _opened(self) -> aiohttp.ClientSession:
        """Open the session at first use: aiohttp wants the running loop."""
        if self._session is None:
            inner = self._resolver or aiohttp.ThreadedResolver()
            resolver = PublicResolver(inner, self._settings.allowed_private_hosts)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver, limit=64, limit_per_host=8),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
                # What arrives is counted as it is: a compressed answer could unfold to any size.
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=self._settings.fetch_timeout_s),
            )
        return self._session


def _retry_after_s(response: aiohttp.ClientResponse) -> float:
    """Seconds the server asks for; its other form, a date, counts as not given."""
    try:
        return max(0.0, float(response.headers.get("Retry-After", _PAUSE_S)))
    except ValueError:
        return _PAUSE_S
