"""Child processes that never outlive us: started, watched, stopped with everything they started."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from config.errors import CrosscurrentError

_GUARD = Path(__file__).with_name("guard.py")
_POLL_S = 0.02


class ChildError(CrosscurrentError):
    """A child process ended, or did not answer in time; the message holds the end of its log."""


class Child:
    """One command in a process group of its own, its output in a log file.

    It dies with this process, however this process ends (see ``guard.py``).

    Args:
        name: What it is called in messages, such as ``content worker``.
        command: Program and arguments.
        log: File that gets its output.
        environment: Variables added to ours.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - commands are ours
                [sys.executable, "-I", "-S", str(_GUARD), *command],
                stdin=subprocess.PIPE,  # its other end is closed by the system when we die
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id of the group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code, or None while it runs."""
        return self._process.poll()

    def log_tail(self, lines: int = 15) -> str:
        """Last lines of what it wrote."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def wait_until(self, answers: Callable[[], bool], *, timeout_s: float) -> None:
        """Wait until ``answers`` says yes.

        Raises:
            ChildError: It ended, or did not answer in time.
        """
        deadline = time.monotonic() + timeout_s
        while not answers():
            if self.exit_code is not None:
                raise self.failure(f"ended with code {self.exit_code} while starting")
            if time.monotonic() > deadline:
                raise self.failure(f"did not answer within {timeout_s:g} s")
            time.sleep(_POLL_S)

    def failure(self, what: str) -> ChildError:
        """Build the error that says what happened to it, with the end of its log."""
        return ChildError(f"{self.name} {what}; the end of its log:\n{self.log_tail() or '(empty)'}")

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the whole group and return at once."""
        self._signal(signal.SIGTERM)

    def stop(self, *, grace_s: float = 10.0) -> None:
        """Ask it to stop, wait up to ``grace_s``, then kill what is left of its group."""
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        self._signal(signal.SIGKILL)
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
            os.killpg(self.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_port() -> int:
    """A TCP port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
