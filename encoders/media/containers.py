"""Opening sound and video containers from bytes, and from nothing but those bytes.

A playlist (HLS, DASH, concat) inside the bytes is an order to open other files and addresses on this machine's
behalf. Three walls stand against it: only formats that hold their own data are read, FFmpeg has no protocol it may
open anything with, and it is given bytes and never a path.
"""

import contextlib
import io
import re
from collections.abc import Iterator
from typing import Any, Final

import av

from config.errors import MediaRejected, Reason
from config.settings import MediaSettings

SELF_CONTAINED_FORMATS: Final = (
    *("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "ogg", "avi", "asf", "flv", "mpeg", "mpegts", "mpegvideo", "gif"),
    *("wav", "w64", "aiff", "au", "caf", "flac", "mp3", "aac", "ac3", "eac3", "amr", "amrnb", "amrwb", "wv", "ape"),
    *("tta", "dv", "ivf", "nut", "mxf", "rm", "h264", "hevc", "m4v", "webp_pipe", "apng", "spx", "voc", "dsf", "obu"),
)
NO_PROTOCOL: Final = "none"
_MAX_STREAMS: Final = "64"
_WORDS_OF_RIFF: Final = re.compile(rb"LIST(.{4})INFO", re.DOTALL)
_HEAD_BYTES: Final = 2**20

# What FFmpeg and PyAV raise on broken input. FFmpegError covers FFmpeg's codes, the others PyAV's own checks.
BROKEN_INPUT: Final = (av.FFmpegError, ValueError, EOFError, IndexError, MemoryError, AttributeError, OverflowError)


@contextlib.contextmanager
def open_container(data: bytes, settings: MediaSettings, *, what: str, field: str) -> Iterator[Any]:
    """Open a container from bytes and close it afterwards.

    Args:
        data: The file's bytes.
        settings: ``max_bytes`` is checked here.
        what: ``sound`` or ``clip``, for messages.
        field: Path in the event, for messages.

    Yields:
        An ``av.container.InputContainer``.

    Raises:
        MediaRejected: If it is empty, too large, of no known format, or broken; also for what breaks while reading.
    """
    if not data:
        raise MediaRejected(Reason.MEDIA_EMPTY, f"the {what} has no bytes", field=field)
    if len(data) > settings.max_bytes:
        message = f"the {what} has {len(data)} bytes, more than media.max_bytes ({settings.max_bytes})"
        raise MediaRejected(Reason.MEDIA_TOO_LARGE, message, field=field)
    if _is_playlist(data):
        message = f"this is a playlist, which names other files, and not a {what}; send the {what} itself"
        raise MediaRejected(Reason.MEDIA_UNDECODABLE, message, field=field)
    if _claims_too_much(data):
        message = f"the {what}'s header claims more words about it than it has bytes; send the whole file again"
        raise MediaRejected(Reason.MEDIA_UNDECODABLE, message, field=field)
    try:
        with av.open(io.BytesIO(data), mode="r", options=walls(), metadata_errors="replace") as container:
            yield container
    except BROKEN_INPUT as exc:
        message = f"the {what} is of no known format, broken or cut short ({_words(exc)}); send the whole file again"
        raise MediaRejected(Reason.MEDIA_UNDECODABLE, message, field=field) from exc


def walls() -> dict[str, str]:
    """Return the options that keep FFmpeg from opening anything but the bytes it was given."""
    return {
        "format_whitelist": ",".join(SELF_CONTAINED_FORMATS),
        "protocol_whitelist": NO_PROTOCOL,
        "max_streams": _MAX_STREAMS,
    }


def _is_playlist(data: bytes) -> bool:
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    return head.startswith((b"#EXTM3U", b"ffconcat", b"[playlist]")) or b"<MPD" in head or b"<SmoothStreaming" in head


def _claims_too_much(data: bytes) -> bool:
    """Whether a RIFF file's list of words is longer than all of it: FFmpeg makes room for it, gigabytes if need be."""
    lists = _WORDS_OF_RIFF.finditer(data, 0, _HEAD_BYTES) if data.startswith(b"RIFF") else ()
    return any(int.from_bytes(found[1], "little") > len(data) for found in lists)


def _words(exc: BaseException) -> str:
    return str(exc).splitlines()[0][:200] if str(exc) else type(exc).__name__
