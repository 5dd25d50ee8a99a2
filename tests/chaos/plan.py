"""What goes wrong and when, all of it from a seed: the same seed and counts give the same plan on every machine."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from config.vocabulary import Role


class FaultKind(StrEnum):
    """What can go wrong, in the words of the report."""

    KILL = "worker killed (-9)"
    TERM = "worker stopped (TERM)"
    JOIN = "worker joins and leaves"
    STALL = "worker stops fetching"
    REDIS_KILL = "Redis killed, back empty, rebuilt"
    REDIS_FLUSH = "FLUSHALL, rebuilt"
    REDIS_CUT = "connections to Redis cut"
    REDIS_HANG = "connections to Redis hang"
    REDIS_DELAY = "Redis slow"
    BROKER_CUT = "connections to the broker cut"
    BROKER_DELAY = "broker slow"
    BROKER_KILL = "broker killed (-9), brought back"


LOSSES: Final = frozenset({FaultKind.REDIS_KILL, FaultKind.REDIS_FLUSH})
_OF_REDIS: Final = (FaultKind.REDIS_CUT, FaultKind.REDIS_DELAY, FaultKind.REDIS_HANG)
_OF_BOTH: Final = (*_OF_REDIS[:2], FaultKind.BROKER_CUT, FaultKind.REDIS_HANG, FaultKind.BROKER_DELAY)
_ROLES: Final = tuple(Role)
_LULL: Final = 0.04
"""Share of the run at either end in which nothing goes wrong: there is something to lose, and something to end with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong.

    Args:
        at: How many events have ended by then; a count and no time, so that a slow machine sees the same run.
        role: Whose worker it meets; of no meaning to faults of servers.
        victim: Which of the workers, modulo how many there are.
        seconds: How long it lasts, where it lasts.
    """

    at: int
    kind: FaultKind
    role: Role
    victim: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How much goes wrong.

    Args:
        events: Sent in all.
        kills: Of workers, by -9 or TERM, two to one; each is also a rebalance.
        redis_losses: By a kill or FLUSHALL in turn.
        network: Cuts, hangs and delays in turn.
        stalls: Workers that stop fetching and do not end.
        joins: Workers that come and go.
        broker_kills: Of several brokers that keep their data.
        broker_network: Whether a proxy stands before the broker.
    """

    events: int
    kills: int
    redis_losses: int
    network: int
    stalls: int
    joins: int
    broker_kills: int = 0
    broker_network: bool = True

    @property
    def faults(self) -> int:
        """How many there are in all."""
        return self.kills + self.redis_losses + self.network + self.stalls + self.joins + self.broker_kills

    @property
    def apart(self) -> int:
        """Events from one fault to the next."""
        return round(self.events * (1 - 2 * _LULL) / max(self.faults, 1))


def plan(seed: int, amounts: Amounts) -> tuple[Fault, ...]:
    """Every fault in its order: evenly spread, shuffled, and no two at the same moment."""
    draw = random.Random(f"faults {seed}")
    kinds = _kinds(amounts)
    draw.shuffle(kinds)
    for _ in range(amounts.stalls):  # not among the last: a stall shows by what is not fetched after it
        kinds.insert(draw.randint(0, len(kinds) * 2 // 3), FaultKind.STALL)
    first, span = amounts.events * _LULL, amounts.events * (1 - 2 * _LULL)
    step = span / max(len(kinds), 1)
    roles = _turns(draw, len(kinds))
    return tuple(
        Fault(
            at=int(first + step * (place + draw.uniform(0.1, 0.9))),
            kind=kind,
            role=role,
            victim=draw.randrange(1000),
            seconds=round(draw.uniform(1.0, 4.0), 1),
        )
        for place, (kind, role) in enumerate(zip(kinds, roles, strict=True))
    )


def _kinds(amounts: Amounts) -> list[FaultKind]:
    in_turn = lambda kinds, count: [kinds[place % len(kinds)] for place in range(count)]  # noqa: E731 - three uses
    return [
        *in_turn((FaultKind.KILL, FaultKind.KILL, FaultKind.TERM), amounts.kills),
        *in_turn((FaultKind.REDIS_KILL, FaultKind.REDIS_FLUSH), amounts.redis_losses),
        *in_turn(_OF_BOTH if amounts.broker_network else _OF_REDIS, amounts.network),
        *[FaultKind.JOIN] * amounts.joins,
        *[FaultKind.BROKER_KILL] * amounts.broker_kills,
    ]


def _turns(draw: random.Random, count: int) -> Sequence[Role]:
    """Roles in turn, so that each is met equally often, in shuffled rounds."""
    roles: list[Role] = []
    while len(roles) < count:
        roles += draw.sample(_ROLES, len(_ROLES))
    return roles[:count]
