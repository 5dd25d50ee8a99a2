"""A seed decides everything that is sent and everything that goes wrong."""

from collections import Counter

from tests.chaos.plan import LOSSES, Amounts, FaultKind, plan
from tests.chaos.traffic import Traffic

AMOUNTS = Amounts(events=100_000, kills=50, redis_losses=5, network=10, stalls=3, joins=6)


def traffic(seed: int, events: int = 3000) -> Traffic:
    """Traffic counted from one moment."""
    return Traffic(seed=seed, events=events, began_ms=1_700_000_000_000)


def test_a_seed_repeats_the_plan_and_another_is_another() -> None:
    """The same faults at the same counts of events."""
    assert plan(7, AMOUNTS) == plan(7, AMOUNTS)
    assert plan(7, AMOUNTS) != plan(8, AMOUNTS)


def test_a_plan_holds_what_was_asked_for_in_order() -> None:
    """Every fault is there, none at the edges, and losses are of both kinds."""
    faults = plan(1, AMOUNTS)

    kinds = Counter(fault.kind for fault in faults)
    assert kinds[FaultKind.KILL] + kinds[FaultKind.TERM] == AMOUNTS.kills
    assert sum(kinds[kind] for kind in LOSSES) == AMOUNTS.redis_losses
    assert all(kinds[kind] for kind in LOSSES)
    assert (kinds[FaultKind.STALL], kinds[FaultKind.JOIN]) == (AMOUNTS.stalls, AMOUNTS.joins)
    assert len(faults) == AMOUNTS.faults
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    assert 0 < faults[0].at < faults[-1].at < AMOUNTS.events


def test_a_seed_repeats_the_events_and_the_world_they_end_in() -> None:
    """Byte for byte, and as many as asked for."""
    one, two = traffic(3), traffic(3)
    sent = [*one.shelf(), *one.rest()]

    assert sent == [*two.shelf(), *two.rest()]
    assert one.world == two.world
    assert len(sent) == 3000
    assert sent != [*(other := traffic(4)).shelf(), *other.rest()]


def test_the_traffic_holds_what_is_hard() -> None:
    """Items deleted, users forgotten, events that nobody can serve, and the same bytes twice."""
    busy = traffic(1, 20_000)
    sent = [*busy.shelf(), *busy.rest()]

    assert sum(item.text is None for item in busy.world.items.values()) > 50
    assert sum(user.forgotten_ms is not None for user in busy.world.users.values()) > 10
    assert len(busy.world.letters) > 50
    assert len(set(sent)) < len(sent) - 500
    assert all(len(user.acted) < 1000 for user in busy.world.users.values())
