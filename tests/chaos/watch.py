"""Eyes on the consumer groups while everything shakes: commits only forwards, and no partition silent for long."""

import asyncio
import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from config.settings import KafkaSettings
from config.vocabulary import Role
from workers.contracts.topics import INPUT_TOPIC, consumer_group

log = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 0.5
_ASK_TIMEOUT_S: Final = 5.0
_UNKNOWN_LOOKS: Final = 20
_FETCH_MS: Final = 20


@dataclass(slots=True)
class Lane:
    """What is known of one partition of one group.

    Args:
        committed: The group's offset.
        end: The offset of the next record.
        still_since_s: Since when it has lag and has not moved.
        silent_s: The longest that this ever was.
        unknown: How often in turn the broker knew of no offset.
    """

    committed: int = 0
    end: int = 0
    still_since_s: float = field(default_factory=time.monotonic)
    silent_s: float = 0.0
    unknown: int = 0

    @property
    def lag(self) -> int:
        """Records not committed."""
        return self.end - self.committed


class Watch:
    """Looks at all groups regularly.

    Args:
        settings: Where the broker is.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self.lanes: dict[Role, dict[TopicPartition, Lane]] = {
            role: {TopicPartition(self._topic(role), place): Lane() for place in range(settings.partitions)}
            for role in Role
        }
        self.backward: list[str] = []
        """Commits that went back, in words."""
        self.looks = 0
        self._resting: set[Role] = set()

    @property
    def done(self) -> int:
        """Records that all groups committed."""
        return sum(lane.committed for lanes in self.lanes.values() for lane in lanes.values())

    def lag(self, roles: Collection[Role] = tuple(Role)) -> int:
        """Records that are not committed yet."""
        return sum(lane.lag for role in roles for lane in self.lanes[role].values())

    @contextmanager
    def resting(self, role: Role) -> Iterator[None]:
        """While an operator has stopped a role, its partitions stand still and are not called silent."""
        self._resting.add(role)
        try:
            yield
        finally:
            self._resting.discard(role)
            for lane in self.lanes[role].values():
                lane.still_since_s = time.monotonic()

    def silences(self) -> dict[str, float]:
        """The longest silence of every partition in seconds."""
        return {
            f"{tp.topic}[{tp.partition}]": lane.silent_s for lanes in self.lanes.values() for tp, lane in lanes.items()
        }

    async def moved(self, roles: Collection[Role]) -> float:
        """Wait until every partition of the roles that has lag now has moved; the seconds that took."""
        began_s = time.monotonic()
        waiting = {(role, tp): lane.committed for role in roles for tp, lane in self.lanes[role].items() if lane.lag}
        while waiting:
            await asyncio.sleep(_LOOK_EVERY_S / 2)
            waiting = {at: was for at, was in waiting.items() if self.lanes[at[0]][at[1]].committed == was}
        return time.monotonic() - began_s

    async def run(self) -> None:
        """Look until cancelled."""
        await asyncio.gather(*(self._follow(role) for role in Role))

    async def _follow(self, role: Role) -> None:
        group = consumer_group(self._settings.topic_prefix, role)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.bootstrap_servers,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=_FETCH_MS,
        )
        await consumer.start()
        try:
            consumer.assign(list(self.lanes[role]))
            while True:
                try:
                    async with asyncio.timeout(_ASK_TIMEOUT_S):
                        await self._look(role, consumer)
                except (KafkaError, TimeoutError) as exc:  # the broker is away: that is part of the game
                    log.debug("no look at %s: %r", group, exc)
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            await consumer.stop()

    async def _look(self, role: Role, consumer: AIOKafkaConsumer) -> None:
        lanes = self.lanes[role]
        await consumer.getmany(timeout_ms=_FETCH_MS)
        for partition, lane in lanes.items():
            # Of fetches: asked for its end offset, the embedded broker counts one record of the last batch.
            end = consumer.highwater(partition) or 0
            committed = await consumer.committed(partition)
            # A coordinator that has just taken over may say that it knows nothing, and does in the next moment.
            lane.unknown = lane.unknown + 1 if committed is None else 0
            if committed is None and lane.unknown < _UNKNOWN_LOOKS:
                committed = lane.committed
            self._saw(role, partition, lane, committed=committed or 0, end=end)
        self.looks += 1

    def _saw(self, role: Role, partition: TopicPartition, lane: Lane, *, committed: int, end: int) -> None:
        now_s = time.monotonic()
        if committed < lane.committed:
            self.backward.append(f"{partition.topic}[{partition.partition}] from {lane.committed} to {committed}")
        if committed != lane.committed or committed >= end or role in self._resting:
            lane.still_since_s = now_s
        lane.committed, lane.end = committed, end
        lane.silent_s = max(lane.silent_s, now_s - lane.still_since_s)

    def _topic(self, role: Role) -> str:
        return INPUT_TOPIC[role].named(self._settings.topic_prefix)
