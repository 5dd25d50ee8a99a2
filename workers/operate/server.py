"""A server as a child process on a loopback port: started, waited for until it answers, stopped."""

import contextlib
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from workers.operate.children import Child, ChildError, free_port

_ATTEMPTS = 3  # another process may take a free port between our look and the child's bind
_API_VERSIONS = bytes([0, 18, 0, 0, 0, 0, 0, 1, 0xFF, 0xFF])  # version 0, correlation id 1, no client id


class Server:
    """What all servers share; a class of its own says the name, the command line, and how one knows that it answers.

    Args:
        folder: For its files and its log; made when missing, removed by whoever made it.
        port: Where it serves; 0 takes a free one at each start.
        log: File for its output; one in ``folder`` by default.
    """

    name: ClassVar[str]
    program: ClassVar[str]
    start_timeout_s: ClassVar[float] = 20.0
    grace_s: ClassVar[float] = 3.0
    environment: ClassVar[Mapping[str, str]] = {}

    def __init__(self, folder: Path, *, port: int = 0, log: Path | None = None) -> None:
        self.folder = folder
        self.port = port
        self._fixed = port > 0
        self._log = log or folder / f"{self.program}.log"
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
            Misconfigured: What runs it is not installed.
            ChildError: It does not start; the message holds the end of its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        program = self.found_program()
        attempts = 1 if self._fixed else _ATTEMPTS
        for attempt in range(1, attempts + 1):
            try:
                return self._start_once(program)
            except ChildError:
                self.stop()
                if attempt == attempts:
                    raise
        return None

    def _start_once(self, program: Path) -> None:
        if not self._fixed:
            self.port = free_port()
        self._child = Child(self.name, self.command(program), self._log, environment=self.environment)
        self._child.wait_until(self.answers, timeout_s=self.start_timeout_s)

    def stop(self) -> None:
        """Stop it and everything it started; harmless when it is not running."""
        if self._child is not None:
            self._child.stop(grace_s=self.grace_s)
            self._child = None

    def found_program(self) -> Path:
        """Path of what runs it.

        Raises:
            Misconfigured: It is not installed.
        """
        raise NotImplementedError

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


def redis_answers(port: int) -> bool:
    """Whether a Redis answers PING; spoken by hand, so that this room needs no Redis library."""
    return _exchange(port, b"PING\r\n").startswith(b"+PONG")


def broker_answers(port: int) -> bool:
    """Whether a broker answers an ApiVersions request."""
    return _exchange(port, len(_API_VERSIONS).to_bytes(4) + _API_VERSIONS)[4:8] == b"\0\0\0\1"


def _exchange(port: int, request: bytes) -> bytes:
    """Send bytes to a loopback port and return the first that come back; empty when nobody answers yet."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection,
    ):
        connection.sendall(request)
        return connection.recv(4096)
    return b""
