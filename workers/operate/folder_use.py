"""Using a folder alone, and naming what stands in the way: its disk, its rights, another process."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from config.errors import Misconfigured

# Kafka stops for good where a write fails, so a start with almost no room would be a short one.
LEAST_FREE_BYTES: Final = 256 * 2**20
LOCK: Final = "lock"

_WAYS_OUT: Final = {
    errno.ENOSPC: "make room on its disk, or name a folder on another one",
    errno.EDQUOT: "make room within the quota, or name a folder on another disk",
    errno.EROFS: "name a folder on a disk that can be written",
    errno.EACCES: "let this user write there (chown, chmod), or name another folder",
    errno.EPERM: "let this user write there (chown, chmod), or name another folder",
}


@contextmanager
def naming(folder: Path) -> Iterator[None]:
    """Turn the system's refusal to read or write into an error that names the place and the way out.

    Raises:
        Misconfigured: The system refused.
    """
    try:
        yield
    except OSError as exc:
        way_out = _WAYS_OUT.get(exc.errno or 0, "name a folder that can be made and written")
        raise Misconfigured(f"{exc.filename or folder} cannot be used ({exc.strerror}): {way_out}") from exc


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it when we end, however we end.

    Raises:
        Misconfigured: Another process holds it.
        OSError: The system refused.
    """
    with (folder / LOCK).open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            file.seek(0)
            holder = f"process {number}" if (number := file.read(20).strip()) else "another process"
            raise Misconfigured(f"{folder} is in use by {holder}: stop that first, or name another folder") from exc
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def lack_of_room(folder: Path) -> str:
    """That the folder's disk is as good as full, with the way out; empty while there is room.

    Raises:
        OSError: The system refused.
    """
    free = shutil.disk_usage(folder).free
    if free >= LEAST_FREE_BYTES:
        return ""
    needed, left = LEAST_FREE_BYTES / 2**20, free / 2**20
    return f"the disk of {folder} has {left:.0f} MiB left and {needed:.0f} are needed: {_WAYS_OUT[errno.ENOSPC]}"
