"""The folder of ``crosscurrent up --data``, and what lies where.

::

    DIR/crosscurrent.json    what it is (data_manifest.py)
    DIR/lock                 held by the process that uses it
    DIR/kafka/               Apache Kafka: server.properties, data/
    DIR/redis/               Redis: its append-only file
    DIR/logs/, logs.before/  what everything printed in this run, and in the one before
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from config.errors import Misconfigured
from workers.operate.data_checks import manifest_of
from workers.operate.data_manifest import Manifest, write_manifest
from workers.operate.folder_use import lack_of_room, locked, naming
from workers.operate.release import Release


class DataFolder:
    """A folder that is ours for now; ``open_data`` makes it so.

    Args:
        path: Absolute.
        manifest: What it says of itself.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @property
    def kafka(self) -> Path:
        """Kafka's part."""
        return self.path / "kafka"

    @property
    def redis(self) -> Path:
        """Redis's part."""
        return self.path / "redis"

    def keep(self, **changes: Any) -> None:
        """Change what it says of itself.

        Raises:
            Misconfigured: It cannot be written.
        """
        self.manifest = self.manifest.model_copy(update=changes)
        with naming(self.path):
            write_manifest(self.path, self.manifest)

    def fresh_logs(self) -> Path:
        """An empty folder for what is printed from now on; the last run's is kept beside it.

        Raises:
            Misconfigured: It cannot be made.
        """
        logs, before = self.path / "logs", self.path / "logs.before"
        with naming(logs):
            if logs.exists():
                shutil.rmtree(before, ignore_errors=True)
                logs.replace(before)
            logs.mkdir()
        return logs


@contextmanager
def open_data(folder: Path, *, kafka: Release, redis: Release) -> Iterator[DataFolder]:
    """Make the folder if it is new, lock it, and see that these releases may write to it.

    Raises:
        Misconfigured: It is in use, holds something else, was written by what does not fit, or cannot be written.
    """
    path = folder.expanduser().absolute()
    with ExitStack() as stack:
        with naming(path):
            path.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(path))
            data = DataFolder(path, manifest_of(path, kafka, redis))
            if trouble := lack_of_room(path):
                raise Misconfigured(trouble)
        data.keep()
        yield data
