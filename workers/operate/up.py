"""``crosscurrent up``: servers and workers until Ctrl-C, or until something dies, which is told and never hidden."""

import contextlib
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from workers.operate.children import ChildError
from workers.operate.cli_options import Options
from workers.operate.console import ExitCode, progress_console
from workers.operate.durable import Durable, open_durable
from workers.operate.folder_use import lack_of_room
from workers.operate.kafka_server import DEFAULT_HEAP_MB
from workers.operate.show import summary_table
from workers.operate.system import System

_CHECK_EVERY_S: Final = 0.5
_IN_MEMORY: Final = "in memory only, until this stops (crosscurrent up --data DIR keeps it)"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpPlan:
    """What ``crosscurrent up`` was told.

    Args:
        external: Use the broker and the Redis that the settings name.
        data: Folder that keeps everything; None keeps it in memory.
        heap_mb: Memory of Apache Kafka's JVM with ``data``, in mebibytes.
        profile: Model profile instead of the settings' own.
        logs: Folder for the logs; with None one in ``data``, or else a temporary one.
    """

    external: bool = False
    data: Path | None = None
    heap_mb: int = DEFAULT_HEAP_MB
    profile: str | None = None
    logs: Path | None = None


def run_up(options: Options, plan: UpPlan, console: Console) -> ExitCode:
    """Run the system until SIGTERM or Ctrl-C; a child that dies stops everything.

    Raises:
        Misconfigured: Something is missing, or the data folder cannot be used.
        ChildError: Something died; the message holds the end of its log.
    """
    with ExitStack() as stack:
        stack.enter_context(stopping_on_signals())
        durable = stack.enter_context(open_durable(plan.data, heap_mb=plan.heap_mb)) if plan.data else None
        folder = stack.enter_context(_logs(plan, durable))
        step = stack.enter_context(narrated(progress_console()))
        stack.enter_context(_explained(durable))
        system = System(folder, options, external=plan.external, durable=durable, profile=plan.profile, on_step=step)
        stack.enter_context(system)
        step("")
        print_addresses(system, console, kept=_kept(plan, durable))
        wait_for_the_end(system)
    return ExitCode.OK


@contextmanager
def _logs(plan: UpPlan, durable: Durable | None) -> Iterator[Path]:
    if plan.logs is not None:
        plan.logs.mkdir(parents=True, exist_ok=True)
        yield plan.logs
    elif durable is not None:
        yield durable.data.fresh_logs()
    else:
        with tempfile.TemporaryDirectory(prefix="crosscurrent-up-") as folder:
            yield Path(folder)


@contextmanager
def _explained(durable: Durable | None) -> Iterator[None]:
    """Add to a child's death what the data folder knows of it."""
    try:
        yield
    except ChildError as exc:
        if durable is None or not (trouble := lack_of_room(durable.data.path)):
            raise
        raise ChildError(f"{exc}\n{trouble}") from exc


def _kept(plan: UpPlan, durable: Durable | None) -> str:
    if durable is not None:
        return f"in {durable.data.path}"
    return "by the servers of the settings" if plan.external else _IN_MEMORY


@contextmanager
def narrated(console: Console) -> Iterator[Callable[[str], None]]:
    """Tell what is going on: a spinner in a terminal, lines elsewhere; the empty string ends it."""
    if not console.is_terminal:
        yield lambda step: console.print(step) if step else None
        return
    with console.status("starting") as status:
        yield lambda step: status.update(step) if step else status.stop()


def print_addresses(system: System, console: Console, *, kept: str = _IN_MEMORY) -> None:
    """Print where everything answers, where it is kept, and how to use it from another terminal."""
    rows = {
        "broker": system.settings.kafka.bootstrap_servers,
        "redis": system.servers.get("redis", "as in the settings"),  # an external address may hold a password
        **{f"{role} worker": f"{worker.address}/metrics" for role, worker in system.workers.items()},
        "kept": kept,
        "logs": str(system.folder),
    }
    console.print(summary_table(rows))
    for state in system.topics:
        for told in state.differences:  # topics that were kept and settings that have changed since
            console.print(f"{state.spec.name}: {told}", style="bold yellow", markup=False, soft_wrap=True)
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
