"""``crosscurrent up``: servers and workers until Ctrl-C, or until something dies, which is told and never hidden."""

import contextlib
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from workers.operate.cli_options import Options
from workers.operate.console import ExitCode, progress_console
from workers.operate.show import summary_table
from workers.operate.system import System

_CHECK_EVERY_S: Final = 0.5


def run_up(options: Options, *, external: bool, profile: str | None, logs: Path | None, console: Console) -> ExitCode:
    """Run the system until SIGTERM or Ctrl-C; a child that dies stops everything.

    Raises:
        ChildError: Something died; the message holds the end of its log.
    """
    with ExitStack() as stack:
        stack.enter_context(stopping_on_signals())
        folder = logs or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crosscurrent-up-")))
        folder.mkdir(parents=True, exist_ok=True)
        step = stack.enter_context(narrated(progress_console()))
        system = stack.enter_context(System(folder, options, external=external, profile=profile, on_step=step))
        step("")
        print_addresses(system, console)
        wait_for_the_end(system)
    return ExitCode.OK


@contextmanager
def narrated(console: Console) -> Iterator[Callable[[str], None]]:
    """Tell what is going on: a spinner in a terminal, lines elsewhere; the empty string ends it."""
    if not console.is_terminal:
        yield lambda step: console.print(step) if step else None
        return
    with console.status("starting") as status:
        yield lambda step: status.update(step) if step else status.stop()


def print_addresses(system: System, console: Console) -> None:
    """Print where everything answers, and how to use it from another terminal."""
    rows = {
        "broker": system.settings.kafka.bootstrap_servers,
        "redis": system.servers.get("redis", "as in the settings"),  # an external address may hold a password
        **{f"{role} worker": f"{worker.address}/metrics" for role, worker in system.workers.items()},
        "logs": str(system.folder),
    }
    console.print(summary_table(rows))
    if system.servers:
        console.print("from another terminal:", style="dim")
        for name in ("KAFKA__BOOTSTRAP_SERVERS=" + system.servers["broker"], "REDIS__URL=" + system.servers["redis"]):
            console.print(f"  export CROSSCURRENT_{name}", soft_wrap=True)
        console.print("  crosscurrent query --text cat", soft_wrap=True)
    console.print("running; Ctrl-C stops it", style="bold")


def wait_for_the_end(system: System) -> None:
    """Watch over the children until somebody stops us.

    Raises:
        ChildError: One died.
    """
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(_CHECK_EVERY_S)
            system.check()


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Make SIGTERM end what runs inside as Ctrl-C does, so that children and folders are cleaned up."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
