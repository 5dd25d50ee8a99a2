"""Media on the wire to bytes: inline, from a file, or over HTTP, each behind its own wall."""

import asyncio
import base64
import binascii
from types import TracebackType
from typing import Self

from aiohttp.abc import AbstractResolver

from config.errors import MediaRejected, Reason
from config.settings import MediaSettings
from workers.contracts.media import MediaContent
from workers.streams.fetch_file import read_file
from workers.streams.fetch_http import HttpFetcher


class MediaFetcher:
    """Brings the bytes of pictures, sounds and clips; one for a process.

    Passing trouble of a media server is waited out within ``media.fetch_timeout_s`` and then refuses the event: a
    stranger's server that stays down must not hold up a partition.

    Args:
        settings: Limits, folders and hosts.
        resolver: Resolves host names; the system's when None.
    """

    def __init__(self, settings: MediaSettings, *, resolver: AbstractResolver | None = None) -> None:
        self._settings = settings
        self._http = HttpFetcher(settings, resolver=resolver)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close connections; harmless when none was opened."""
        await self._http.close()

    async def fetch(self, media: MediaContent, *, field: str) -> bytes:
        """Bring the bytes of one picture, sound or clip.

        Args:
            media: Where it is, or itself.
            field: Its path in the event, such as ``modalities.image``, for messages.

        Raises:
            MediaRejected: If it may not be fetched, is not there, or is too large.
        """
        if media.data is not None:
            return self._decoded(media.data, f"{field}.data")
        return await self._fetched(media.uri or "", f"{field}.uri")

    async def _fetched(self, uri: str, field: str) -> bytes:
        scheme = uri.partition(":")[0].lower()
        if scheme == "file":
            return await asyncio.to_thread(
                read_file,
                uri,
                allowed_folders=self._settings.allowed_folders,
                max_bytes=self._settings.max_bytes,
                field=field,
            )
        if scheme not in {"http", "https"}:
            hint = "; put the base64 into 'data' instead" if scheme == "data" else "; use https:// or 'data'"
            raise MediaRejected(
                Reason.MEDIA_NOT_ALLOWED, f"{scheme[:20]}: addresses are not fetched{hint}", field=field
            )
        if not self._settings.allow_http:
            message = "fetching over HTTP is switched off (media.allow_http); send 'data' instead"
            raise MediaRejected(Reason.MEDIA_NOT_ALLOWED, message, field=field)
        return await self._http.fetch(uri, field=field)

    def _decoded(self, data: str, field: str) -> bytes:
        if (size := len(data) * 3 // 4) > self._settings.max_bytes + 2:
            message = f"about {size} bytes, more than media.max_bytes ({self._settings.max_bytes})"
            raise MediaRejected(Reason.MEDIA_TOO_LARGE, message, field=field)
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError) as exc:
            hint = "drop the data: prefix" if data.startswith("data:") else "padded and without line breaks"
            message = f"not standard base64 ({exc}); {hint}"
            raise MediaRejected(Reason.MEDIA_UNDECODABLE, message, field=field) from exc
