"""What is away at the start is waited for; what is wrong is not."""

import asyncio

import pytest

from config.errors import Misconfigured, RetryLater
from tests.unit.workers.streams.kit import QUICK
from workers.streams.health import Readiness
from workers.streams.startup import Startup, Stopped


async def test_it_waits_for_a_server_that_comes_up_later() -> None:
    """The page says what is waited for meanwhile, and no longer afterwards."""
    readiness, seen = Readiness("index"), []

    async def attempt() -> None:
        seen.append(dict(readiness.missing))
        if len(seen) < 3:
            raise RetryLater("no Redis at localhost:6379")

    await Startup(readiness, QUICK, asyncio.Event()).until("index", attempt)

    assert seen[1] == {"index": "no Redis at localhost:6379"}
    assert readiness.missing == {}


async def test_it_stops_waiting_when_told_to() -> None:
    """SIGTERM before a worker is ready ends it."""
    stop = asyncio.Event()

    async def attempt() -> None:
        stop.set()
        raise RetryLater("no broker")

    with pytest.raises(Stopped):
        await Startup(Readiness("broker"), QUICK, stop).until("broker", attempt)


async def test_wrong_settings_are_not_waited_for() -> None:
    """Trying again would not change them."""

    async def attempt() -> None:
        raise Misconfigured("Redis 7.0 has no vector sets")

    with pytest.raises(Misconfigured):
        await Startup(Readiness("index"), QUICK, asyncio.Event()).until("index", attempt)
