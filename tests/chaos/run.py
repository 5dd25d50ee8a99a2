"""A run from end to end: servers, workers, traffic, faults, silence, proof."""

import asyncio
import contextlib
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from config.settings import ENV_PREFIX, Settings, load_settings
from encoders.identity import identify
from fusion.index.redis_index import RedisVectorIndex
from fusion.people.redis_store import RedisPeopleStore
from tests.chaos import checker
from tests.chaos.checker import Check, Findings
from tests.chaos.crew import Crew
from tests.chaos.faults import Havoc
from tests.chaos.plan import Amounts, plan
from tests.chaos.report import Report
from tests.chaos.sender import Sender
from tests.chaos.servers import Servers
from tests.chaos.traffic import Traffic
from tests.chaos.watch import Watch
from workers.contracts.topics import Topic
from workers.operate.admin import create_topics
from workers.operate.past_records import PastRecord, past_records
from workers.streams.publisher import KafkaPublisher

_STILL_S: Final = 300.0
"""After this long without a commit anywhere the run is given up, and what is left is told."""
_BACKLOG: Final = 400
_PROFILE: Final = """\
name: chaos
version: "1"
kind: deterministic
dims: 32
modalities:
  text:
"""
# Short pauses and patience, so that a run of minutes sees what days would; the watchdog's is a third of the default.
_DELIVERY: Final = {
    "batch_events": 32,
    "retry_max_s": 1.0,
    "commit_interval_s": 0.5,
    "stall_after_s": 20.0,
    "drain_timeout_s": 10.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run is made of.

    Args:
        workers: Of each role.
        silence_s: The longest that a partition with lag may stand still.
        overrides: Further settings, such as ``kafka.replication_factor``.
    """

    seed: int
    amounts: Amounts
    workers: int = 2
    silence_s: float = 60.0
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Run:
    """One run on servers that are there.

    Args:
        folder: For logs; exists.
        tell: Told what happens.
    """

    def __init__(
        self, options: Options, servers: Servers, folder: Path, tell: Callable[[str], object] = lambda _: None
    ) -> None:
        self._options = options
        self._servers = servers
        self._tell = tell
        self._findings = Findings()
        (folder / "profile.yaml").write_text(_PROFILE, encoding="utf-8")
        values = _values(servers, folder / "profile.yaml", options.overrides)
        self._settings: Settings = load_settings(overrides=values)
        environment = {
            f"{ENV_PREFIX}{section}__{name}".upper(): str(value)
            for section, names in values.items()
            for name, value in names.items()
        }
        self._environment = dict(os.environ) | environment
        self._watch = Watch(self._settings.kafka)
        self._crew = Crew(folder, environment, size=options.workers)
        self._havoc = Havoc(servers, self._crew, self._watch, environment=self._environment, tell=tell)
        self._traffic = Traffic(seed=options.seed, events=options.amounts.events, began_ms=time.time_ns() // 1_000_000)

    async def go(self) -> Report:
        """Run it."""
        began_s = time.monotonic()
        await asyncio.to_thread(create_topics, self._settings.kafka)
        async with AsyncExitStack() as stack:
            publisher = await stack.enter_async_context(KafkaPublisher(self._settings.kafka, client_id="chaos"))
            stack.callback(self._crew.close)
            await stack.enter_async_context(_beside(self._watch.run()))
            sender = self._sender(publisher)
            await self._set_the_shelf(sender)
            await stack.enter_async_context(_beside(self._crew.look_after()))
            await self._shake(sender)
            await self._crew.dismiss()
        took_s = time.monotonic() - began_s
        self._tell("checking")
        copies = await self._check()
        return Report(
            options=self._options,
            findings=self._findings,
            journal=self._havoc.journal,
            sent=sender.sent,
            sent_again=sender.repeated,
            ends=dict(self._crew.ends),
            copies=copies,
            silences=self._watch.silences(),
            took_s=took_s,
        )

    def _sender(self, publisher: KafkaPublisher) -> Sender:
        return Sender(
            publisher,
            self._settings.kafka.topic_prefix,
            room=self._room,
        )

    def _room(self) -> int:
        """Enough that workers have something in hand, and not so much that the next fault would find nothing to hit."""
        ahead = min(max(_BACKLOG, self._options.amounts.apart), _BACKLOG * 4)
        return ahead + min(self._watch.done, self._havoc.next_at)

    async def _set_the_shelf(self, sender: Sender) -> None:
        """What queries and interactions are about, before anybody asks."""
        self._tell("starting the workers")
        self._crew.hire()
        await sender.send(self._traffic.shelf())
        await self._crew.ready()
        await self._drained(sender)

    async def _shake(self, sender: Sender) -> None:
        faults = plan(self._options.seed, self._options.amounts)
        sending = asyncio.create_task(sender.send(self._traffic.rest()))
        shaking = asyncio.create_task(self._havoc.run(faults))
        try:
            await self._unless_still(asyncio.gather(sending, shaking))
            await self._unless_still(self._havoc.settled())
            await self._drained(sender)
        except TimeoutError:
            lags = {str(role): self._watch.lag([role]) for role in self._watch.lanes}
            self._findings.add(Check.DRAINED, f"nothing moves for {_STILL_S:.0f} s; left: {lags}")
        finally:
            for task in (sending, shaking):
                task.cancel()
            await asyncio.gather(sending, shaking, return_exceptions=True)
        if missing := len(faults) - len(self._havoc.journal.happened):
            self._findings.add(Check.HAPPENED, f"{missing} of {len(faults)} did not")

    async def _drained(self, sender: Sender) -> None:
        async def wait() -> None:
            while self._watch.done < sender.sent or self._watch.lag():  # noqa: ASYNC110 - of other processes
                await asyncio.sleep(0.2)

        await self._unless_still(wait())

    async def _unless_still(self, waiting: Any) -> None:
        """Wait for something for as long as commits move.

        Raises:
            TimeoutError: They moved no more.
        """
        task = asyncio.ensure_future(waiting)
        done, since_s = self._watch.done, time.monotonic()
        while not task.done():
            await asyncio.wait([task], timeout=1.0)
            if self._watch.done != done:
                done, since_s = self._watch.done, time.monotonic()
            elif time.monotonic() - since_s > _STILL_S:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                raise TimeoutError
        task.result()

    async def _check(self) -> dict[str, int]:
        findings, world, settings = self._findings, self._traffic.world, self._settings
        space = identify(settings.model)
        index = RedisVectorIndex(settings.redis, space.model, space.dims)
        people = RedisPeopleStore(settings.redis, settings.people, space.model, space.dims)
        try:
            await checker.check_items(world, index, findings)
            profiles = await checker.check_people(world, people, index, settings.people, findings)
        finally:
            await people.close()
            await index.close()
        checker.check_vectors(world, await self._read(Topic.VECTORS), findings)
        checker.check_profiles(world, profiles, await self._read(Topic.PROFILES), findings)
        losses = self._havoc.journal.losses_ms
        copies = {"results": checker.check_results(world, await self._read(Topic.RESULTS), losses, findings)}
        copies["dead letters"] = checker.check_letters(world, await self._read(Topic.DEAD_LETTERS), findings)
        self._check_the_way()
        return copies

    def _check_the_way(self) -> None:
        for what in self._watch.backward:
            self._findings.add(Check.FORWARD, what)
        for what in self._crew.surprises:
            self._findings.add(Check.ENDS, what)
        for partition, silent_s in self._watch.silences().items():
            if silent_s > self._options.silence_s:
                self._findings.add(Check.SILENCE, f"{partition} for {silent_s:.0f} s")

    async def _read(self, topic: Topic) -> list[PastRecord]:
        return [record async for record in past_records(self._settings.kafka, topic, lambda *_: None)]


def _values(servers: Servers, profile: Path, overrides: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    name = f"chaos-{uuid.uuid4().hex[:8]}"
    values: dict[str, dict[str, Any]] = {
        "kafka": {"bootstrap_servers": servers.bootstrap, "topic_prefix": name, "session_timeout_s": 6.0},
        "redis": {"url": servers.redis_url, "prefix": name, "build_effort": 50, "request_timeout_s": 3.0},
        "model": {"profile": str(profile)},
        "delivery": dict(_DELIVERY),
        # Backgrounds measured on an index that changes would make two answers to one query differ.
        "query": {"calibration_refresh_s": 0.0},
        # More than any user does here, so that every action can be found in the end.
        "people": {"steps": 1000, "remembered_events": 1000},
    }
    for section, names in overrides.items():
        values[section] = values.get(section, {}) | dict(names)
    return values


@asynccontextmanager
async def _beside(work: Any) -> AsyncIterator[None]:
    """Let something run meanwhile.

    Raises:
        Exception: What it raised.
    """
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        if not task.done():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
