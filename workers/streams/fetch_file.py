"""Reading ``file://``: regular files under the folders that the operator allowed, and nothing else."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from config.errors import MediaRejected, Reason

_HOW = "the operator allows folders in media.allowed_folders"


def read_file(uri: str, *, allowed_folders: Sequence[Path], max_bytes: int, field: str) -> bytes:
    """Read a file named by a ``file://`` address; blocking, so call it in a thread.

    Symbolic links are followed before the folder is checked, and the opened file is checked once more. What lies
    outside is refused in the same words whether it exists or not, so that nobody can feel their way around the disk.

    Raises:
        MediaRejected: ``MEDIA_NOT_ALLOWED`` outside the folders and for what is no regular file, ``MEDIA_NOT_FOUND``,
            ``MEDIA_TOO_LARGE``.
    """
    path = _resolved(uri, field)
    folders = [folder.resolve() for folder in allowed_folders]
    if not any(path.is_relative_to(folder) for folder in folders):
        raise MediaRejected(Reason.MEDIA_NOT_ALLOWED, f"this file may not be read; {_HOW}", field=field)
    try:
        # Not blocking, because opening a pipe waits for its writer; no link, because the last step was resolved.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as exc:
        message = f"{path.name} cannot be read ({exc.strerror}); correct the address and send the event again"
        raise MediaRejected(Reason.MEDIA_NOT_FOUND, message, field=field) from exc
    try:
        _check_opened(descriptor, folders, path.name, field)
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(max_bytes + 1)
    finally:
        os.close(descriptor)
    if len(data) > max_bytes:
        message = f"{path.name} is larger than media.max_bytes ({max_bytes})"
        raise MediaRejected(Reason.MEDIA_TOO_LARGE, message, field=field)
    return data


def _resolved(uri: str, field: str) -> Path:
    try:
        parts = urlsplit(uri)
        path = Path(unquote(parts.path, errors="strict"))
        if parts.netloc not in {"", "localhost"} or not path.is_absolute():
            message = "a file's address is written file:///absolute/path"
            raise MediaRejected(Reason.MEDIA_NOT_ALLOWED, message, field=field)
        return path.resolve()
    except (ValueError, OSError, RuntimeError) as exc:  # undecodable or null bytes, names too long, loops of links
        raise MediaRejected(Reason.MEDIA_NOT_FOUND, "this is no file's address", field=field) from exc


def _check_opened(descriptor: int, folders: Sequence[Path], name: str, field: str) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        message = f"{name} is not a regular file (a folder, pipe or device)"
        raise MediaRejected(Reason.MEDIA_NOT_ALLOWED, message, field=field)
    here = Path(f"/proc/self/fd/{descriptor}")
    # Where the system tells what was really opened (Linux), a folder swapped for a link in between is caught.
    if here.exists() and not any(here.resolve().is_relative_to(folder) for folder in folders):
        raise MediaRejected(Reason.MEDIA_NOT_ALLOWED, f"this file may not be read; {_HOW}", field=field)
