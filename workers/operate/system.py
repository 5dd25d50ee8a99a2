"""The whole system on one machine: servers (embedded or the settings' own), topics, and one process for each role.

Everything is a child that dies with this process; a child that ends by itself is an error, never restarted in silence.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from config.settings import ENV_PREFIX, Settings, load_settings
from config.vocabulary import Role
from workers.operate.admin import TopicState, create_topics
from workers.operate.children import Child
from workers.operate.cli_options import Options
from workers.operate.durable import Durable
from workers.operate.scrape import Scrape, fetch, is_ready
from workers.operate.servers import Servers, memory_servers

_READY_TIMEOUT_S: Final = 300.0  # loading the models takes tens of seconds where two cores have much to do
_POLL_S: Final = 0.1
_DRAIN_MARGIN_S: Final = 5.0

# Threads of OpenMP spin between two passes by default, which starves the other processes of a small machine.
_QUIET_THREADS: Final = {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(slots=True)
class Worker:
    """A worker process and where it answers."""

    role: Role
    child: Child
    announced: Path
    address: str = ""

    def find_address(self) -> str:
        """Base address of its pages, as it announced it; empty before that."""
        if not self.address and self.announced.exists():
            told = json.loads(self.announced.read_text(encoding="utf-8"))
            self.address = f"http://127.0.0.1:{told['port']}"
        return self.address

    def is_ready(self) -> bool:
        """Whether ``/ready`` says yes."""
        address = self.find_address()
        return bool(address) and is_ready(f"{address}/ready")[0]

    def metrics(self) -> Scrape:
        """Read its ``/metrics`` now."""
        return fetch(f"{self.address}/metrics")


class System:
    """Servers and workers, up for as long as the ``with`` statement lasts.

    Args:
        folder: For logs and the servers' own files; exists, and is removed by whoever made it.
        options: The global options; the workers get the same.
        external: Use the broker and the Redis that the settings name.
        durable: Keep everything in this data folder; in memory only without one.
        profile: Model profile instead of the settings' own.
        on_step: Told what is being started.
    """

    def __init__(
        self,
        folder: Path,
        options: Options,
        *,
        external: bool = False,
        durable: Durable | None = None,
        profile: str | None = None,
        on_step: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.folder = folder
        self._options = options
        self._external = external
        self._durable = durable
        self._profile = profile
        self._on_step = on_step
        self._stack = contextlib.ExitStack()
        self._own: Servers | None = None
        self.workers: dict[Role, Worker] = {}
        self.topics: Sequence[TopicState] = ()
        self.settings: Settings

    @property
    def servers(self) -> Mapping[str, str]:
        """Addresses of the servers started here, as ``broker`` and ``redis``; empty where the settings name others."""
        return {"broker": self._own.broker, "redis": self._own.redis} if self._own else {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        overrides: dict[str, Any] = dict(self._options.overrides)
        if self._profile:
            overrides["model"] = {"profile": self._profile}
        if not self._external:
            overrides |= self._start_servers().settings
        self.settings = load_settings(self._options.config, overrides)
        self._on_step("creating topics")
        self.topics = create_topics(self.settings.kafka)
        if self._durable:
            self._durable.make_whole(self.settings, self._on_step)
        self._on_step("starting the workers")
        for role in Role:
            self.workers[role] = self._start_worker(role)
        self._wait_until_ready()

    def _start_servers(self) -> Servers:
        self._on_step("starting Redis and the broker")
        starting = self._durable.servers(self.folder) if self._durable else memory_servers(self.folder)
        self._own = self._stack.enter_context(starting)
        return self._own

    def _start_worker(self, role: Role) -> Worker:
        announced = self.folder / f"{role}.json"
        announced.unlink(missing_ok=True)  # what a former run's worker said
        command = [sys.executable, "-m", "workers.operate"]
        if self._options.config:
            command += ["--config", str(self._options.config.resolve())]
        if self._options.log_level:
            command += ["--log-level", self._options.log_level]
        command += ["worker", role.value, "--port", "0", "--announce", str(announced)]
        child = Child(
            f"{role} worker", command, self.folder / f"{role}.log", environment=_QUIET_THREADS | self._environment()
        )
        return Worker(role=role, child=child, announced=announced)

    def _environment(self) -> dict[str, str]:
        """What the workers must know that no file tells them: where our own servers are."""
        changed = {
            f"{ENV_PREFIX}{section}__{name}".upper(): str(value)
            for section, values in (self._own.settings if self._own else {}).items()
            for name, value in values.items()
        }
        return changed | ({f"{ENV_PREFIX}MODEL__PROFILE": self._profile} if self._profile else {})

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_S
        waiting = list(self.workers.values())
        while waiting:
            self.check()
            waiting = [worker for worker in waiting if not worker.is_ready()]
            if waiting and time.monotonic() > deadline:
                raise waiting[0].child.failure(f"was not ready within {_READY_TIMEOUT_S:g} s: {_missing(waiting[0])}")
            time.sleep(_POLL_S)

    def check(self) -> None:
        """See that everything runs.

        Raises:
            ChildError: Something ended by itself; the message holds the end of its log.
        """
        workers = [worker.child for worker in self.workers.values()]
        for child in [*(self._own.children if self._own else ()), *workers]:
            if child.exit_code is not None:
                raise child.failure(f"ended with code {child.exit_code}")

    def stop(self) -> None:
        """Stop the workers together, then the servers; harmless when called again."""
        for worker in self.workers.values():
            worker.child.ask_to_stop()
        drain_s = self.settings.delivery.drain_timeout_s if self.workers else 0.0
        for worker in self.workers.values():
            worker.child.stop(grace_s=drain_s + _DRAIN_MARGIN_S)
        self.workers = {}
        self._stack.close()


def _missing(worker: Worker) -> str:
    if not worker.find_address():
        return "it announced no address"
    return ", ".join(f"{name}: {why}" for name, why in is_ready(f"{worker.address}/ready")[1].items())
