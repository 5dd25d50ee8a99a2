"""Doing what the plan says, and measuring how long the system needs to move again."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from config.vocabulary import Role
from tests.chaos.crew import Crew
from tests.chaos.plan import Fault, FaultKind
from tests.chaos.servers import Servers
from tests.chaos.watch import Watch

_LOOK_EVERY_S: Final = 0.2
_REBUILD_TIMEOUT_S: Final = 300.0
_NOTICED_WITHIN_S: Final = 75.0
"""How long a stalled worker is left to its watchdog; longer than any partition may be silent."""
_SLOW_S: Final = 0.1
_MISSED: Final = 500
"""Events sent while a worker fetches none."""


class ChaosError(Exception):
    """The suite itself cannot go on; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """A fault and what came of it.

    Args:
        recovered_s: From the fault until every partition that had lag moved again; for a loss until Redis was rebuilt
            and they moved.
    """

    kind: FaultKind
    role: Role
    recovered_s: float


@dataclass(slots=True, kw_only=True)
class Journal:
    """What happened.

    Args:
        losses_ms: Unix milliseconds of the times in which Redis held less than it should.
    """

    happened: list[Happened] = field(default_factory=list)
    losses_ms: list[tuple[int, int]] = field(default_factory=list)
    rebuilt_s: list[float] = field(default_factory=list)


class Havoc:
    """Executes a plan.

    Args:
        environment: Settings as the workers have them, for ``crosscurrent rebuild``.
        tell: Told what happens.
    """

    def __init__(
        self,
        servers: Servers,
        crew: Crew,
        watch: Watch,
        *,
        environment: Mapping[str, str],
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._servers = servers
        self._crew = crew
        self._watch = watch
        self._environment = dict(environment)
        self._tell = tell
        self._measuring: set[asyncio.Task[None]] = set()
        self.journal = Journal()
        self.next_at = 0
        """When the next fault is due, or the one that happens now was."""
        self._ways: dict[FaultKind, Callable[[Fault], Awaitable[None]]] = {
            FaultKind.KILL: self._kill,
            FaultKind.TERM: self._term,
            FaultKind.JOIN: self._join,
            FaultKind.STALL: self._stall,
            FaultKind.REDIS_KILL: self._lose_redis,
            FaultKind.REDIS_FLUSH: self._flush,
            FaultKind.REDIS_CUT: self._network,
            FaultKind.REDIS_HANG: self._network,
            FaultKind.REDIS_DELAY: self._network,
            FaultKind.BROKER_CUT: self._network,
            FaultKind.BROKER_DELAY: self._network,
            FaultKind.BROKER_KILL: self._kill_broker,
        }

    async def run(self, plan: Sequence[Fault]) -> None:
        """Do every fault once so many events have ended."""
        for fault in plan:
            self.next_at = max(self.next_at, fault.at)
            while self._watch.done < fault.at:  # noqa: ASYNC110 - of other processes
                await asyncio.sleep(_LOOK_EVERY_S)
            self._tell(f"{self._watch.done}: {fault.kind} ({fault.role})")
            began_s = time.monotonic()
            await self._ways[fault.kind](fault)
            self._measure(fault, began_s)
        self.next_at = sys.maxsize

    async def settled(self) -> None:
        """Wait until the system has recovered from all."""
        while self._measuring:
            await asyncio.wait(self._measuring)

    def _measure(self, fault: Fault, began_s: float) -> None:
        roles = [fault.role] if fault.kind in _OF_A_WORKER else list(Role)
        task = asyncio.create_task(self._recovered(fault, roles, began_s))
        self._measuring.add(task)
        task.add_done_callback(self._measuring.discard)

    async def _recovered(self, fault: Fault, roles: Sequence[Role], began_s: float) -> None:
        await self._watch.moved(roles)
        took_s = time.monotonic() - began_s
        self.journal.happened.append(Happened(kind=fault.kind, role=fault.role, recovered_s=took_s))

    # Workers.

    async def _kill(self, fault: Fault) -> None:
        posts = self._crew.of(fault.role)
        self._crew.kill(posts[fault.victim % len(posts)])

    async def _term(self, fault: Fault) -> None:
        posts = self._crew.of(fault.role)
        self._crew.term(posts[fault.victim % len(posts)])

    async def _join(self, fault: Fault) -> None:
        post = self._crew.join(fault.role)
        await self._crew.ready([fault.role])
        await asyncio.sleep(fault.seconds)
        self._crew.term(post)

    async def _stall(self, fault: Fault) -> None:
        """Until its watchdog has it restarted; killed in the end, so that the run goes on and the silence shows."""
        await self._crew.ready([fault.role])
        posts = self._crew.of(fault.role)
        post = posts[fault.victim % len(posts)]
        self.next_at += _MISSED  # what was fetched before is worked off: only what comes now stays behind
        deadline_s = time.monotonic() + _NOTICED_WITHIN_S
        while post in self._crew.posts and time.monotonic() < deadline_s:
            if not post.told:
                self._crew.stall(post)  # again and again: a rebalance makes it fetch anew
            await asyncio.sleep(5 * _LOOK_EVERY_S)
        if post in self._crew.posts:
            self._crew.kill(post)

    # Redis lost and rebuilt, as docs/rebuild.md says: interaction workers rest meanwhile, the others go on.

    async def _lose_redis(self, fault: Fault) -> None:
        async with AsyncExitStack() as stack:
            stack.enter_context(self._watch.resting(Role.INTERACTIONS))
            began_ms = _now_ms()
            self._servers.kill_redis()
            await self._crew.dismiss([Role.INTERACTIONS])
            await asyncio.sleep(fault.seconds)
            await self._servers.bring_back_redis()
            await self._rebuild(began_ms)

    async def _flush(self, fault: Fault) -> None:
        with self._watch.resting(Role.INTERACTIONS):
            await self._crew.dismiss([Role.INTERACTIONS])
            began_ms = _now_ms()
            await asyncio.to_thread(self._servers.flush)
            await asyncio.sleep(fault.seconds)
            await self._rebuild(began_ms)

    async def _rebuild(self, began_ms: int) -> None:
        began_s = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "workers.operate", "rebuild",
            env=self._environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(_REBUILD_TIMEOUT_S):
            told, _ = await process.communicate()
        if process.returncode:
            raise ChaosError(f"crosscurrent rebuild ended with {process.returncode}:\n{told.decode()}")
        self.journal.rebuilt_s.append(time.monotonic() - began_s)
        self.journal.losses_ms.append((began_ms, _now_ms()))
        self._crew.hire([Role.INTERACTIONS])
        await self._crew.ready([Role.INTERACTIONS])

    # The network.

    async def _network(self, fault: Fault) -> None:
        of_redis = fault.kind in {FaultKind.REDIS_CUT, FaultKind.REDIS_HANG, FaultKind.REDIS_DELAY}
        proxy = self._servers.cache if of_redis else self._servers.broker
        assert proxy is not None, "the plan for a broker without a proxy has no faults of its network"
        if fault.kind in {FaultKind.REDIS_CUT, FaultKind.BROKER_CUT}:
            proxy.cut()
        elif fault.kind is FaultKind.REDIS_HANG:
            proxy.hang()
        else:
            proxy.delay_s = _SLOW_S
        await asyncio.sleep(fault.seconds)
        proxy.mend()

    async def _kill_broker(self, fault: Fault) -> None:
        """Leaders and coordinators move to the two that are left; then it comes back on its data."""
        kill, bring_back = self._servers.kill_broker, self._servers.bring_back_broker
        assert kill and bring_back, "the plan for a broker that keeps nothing kills none"
        which = kill(fault.victim)
        await asyncio.sleep(2 * fault.seconds)
        await asyncio.to_thread(bring_back, which)


_OF_A_WORKER: Final = frozenset({FaultKind.KILL, FaultKind.TERM, FaultKind.JOIN, FaultKind.STALL})


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
