"""Damaged records sent to running workers, slice after slice: each ends, nobody dies, and memory stays where it was."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from config.errors import RejectEvent
from config.vocabulary import Role
from tests.fuzzing.decoding import resident_mib
from tests.fuzzing.seeds import File, fuzzed_event, fuzzed_file, media_event
from workers.contracts.replays import REPLAY_HEADER
from workers.contracts.topics import INPUT_TOPIC
from workers.operate.scrape import Scrape
from workers.operate.system import System
from workers.streams.metrics import OUTCOMES
from workers.streams.publisher import KafkaPublisher

_PATIENCE_S: Final = 120.0
_WARM_UP: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """One record as it is sent."""

    key: bytes | None
    value: bytes
    headers: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Told:
    """What became of the records of one campaign.

    Args:
        name: What they were.
        sent: How many the broker took.
        too_large: How many it did not take.
        outcomes: How they ended.
        reasons: Why those ended that were refused.
        resident: Records so far, and MiB of the worker then, with nothing in flight.
    """

    name: str
    sent: int = 0
    too_large: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    resident: list[tuple[int, float]] = field(default_factory=list)

    @property
    def warm(self) -> list[float]:
        """MiB from the end of the warm-up on."""
        return [mib for sent, mib in self.resident if sent >= _WARM_UP * self.sent]

    @property
    def drift(self) -> float:
        """The furthest that memory went from where it was after the warm-up, as a share."""
        return max(abs(mib / self.warm[0] - 1.0) for mib in self.warm)


def damaged_events(role: Role, count: int, seed: int) -> Iterator[Damaged]:
    """Events of a role's topic, mostly without a key; some with a damaged header of a replay."""
    for number in range(count):
        dice = random.Random(f"record {role} {seed} {number}")
        key = dice.randbytes(dice.randrange(40)) if dice.random() < 0.05 else None
        headers = {REPLAY_HEADER: dice.randbytes(20)} if dice.random() < 0.01 else {}
        yield Damaged(key=key, value=fuzzed_event(role, number, seed), headers=headers)


def damaged_files(files: Sequence[File], count: int, seed: int) -> Iterator[Damaged]:
    """Content events with damaged files inside."""
    for number in range(count):
        file, data = fuzzed_file(number, seed, files)
        yield Damaged(key=None, value=media_event(number, file, data, random.Random(f"event {seed} {number}")))


async def run_campaign(system: System, role: Role, name: str, records: Iterator[Damaged], *, together: int) -> Told:
    """Send the records so many at a time, and wait after each slice until all of them ended.

    Raises:
        ChildError: A worker or a server ended, or nothing ends any more; the message holds the end of its log.
    """
    worker, told, began = system.workers[role], Told(name=name), time.monotonic()
    before = worker.metrics()
    pid = json.loads(worker.announced.read_text())["pid"]
    async with KafkaPublisher(system.settings.kafka, client_id="fuzzing") as publisher:
        while piece := list(islice(records, together)):
            topic = INPUT_TOPIC[role].named(system.settings.kafka.topic_prefix)
            taken = sum(await asyncio.gather(*(_send(publisher, topic, record) for record in piece)))
            told.sent += taken
            told.too_large += len(piece) - taken
            await _until_ended(system, role, _ended(before, role) + told.sent)
            told.resident.append((told.sent, resident_mib(pid)))
    after = worker.metrics()
    told.seconds = time.monotonic() - began
    for outcome in OUTCOMES:
        told.outcomes[outcome] = _gained(before, after, "crosscurrent_events_total", role=role, outcome=outcome)
    for _, labels, _ in [each for each in after.samples if each[0] == "crosscurrent_dead_letters_total"]:
        told.reasons[labels["reason"]] = _gained(before, after, "crosscurrent_dead_letters_total", **labels)
    return told


async def _send(publisher: KafkaPublisher, topic: str, record: Damaged) -> bool:
    try:
        await publisher.send(topic, key=record.key, value=record.value, headers=record.headers)
    except RejectEvent:
        return False
    return True


async def _until_ended(system: System, role: Role, wanted: float) -> None:
    worker, last, since = system.workers[role], -1.0, time.monotonic()
    while (ended := _ended(await asyncio.to_thread(worker.metrics), role)) < wanted:
        system.check()
        if ended > last:
            last, since = ended, time.monotonic()
        if time.monotonic() - since > _PATIENCE_S:
            raise worker.child.failure(f"ended nothing for {_PATIENCE_S:g} s")
        await asyncio.sleep(0.2)


def _ended(scrape: Scrape, role: Role) -> float:
    return scrape.total("crosscurrent_events_total", role=role)


def _gained(before: Scrape, after: Scrape, name: str, **labels: str) -> int:
    return int(after.total(name, **labels) - before.total(name, **labels))
