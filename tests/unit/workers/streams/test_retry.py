"""Pauses grow, never pass their bound, and end early when there is no point in waiting."""

import asyncio
import random
import time

from hypothesis import given
from hypothesis import strategies as st

from workers.streams.retry import Backoff, pause


@given(seed=st.integers(), asked_s=st.floats(0, 100), initial_s=st.floats(0.001, 60), max_s=st.floats(0.001, 600))
def test_a_pause_is_never_longer_than_the_bound(seed: int, asked_s: float, initial_s: float, max_s: float) -> None:
    """Whatever is asked for and however often it is tried, no pause passes ``max_s``."""
    backoff = Backoff(initial_s=initial_s, max_s=max_s, rng=random.Random(seed))

    assert all(0 <= backoff.next_pause_s(asked_s) <= max_s for _ in range(20))


def test_pauses_double_with_jitter() -> None:
    """Each pause lies in the upper half of a ceiling that doubles."""
    backoff = Backoff(initial_s=1.0, max_s=10.0, rng=random.Random(0))

    for ceiling_s in (1.0, 2.0, 4.0, 8.0, 10.0, 10.0):
        assert ceiling_s / 2 <= backoff.next_pause_s() <= ceiling_s


def test_what_the_trouble_asks_for_is_waited() -> None:
    """A server that says when to come back is not asked earlier."""
    assert Backoff(initial_s=0.1, max_s=10.0).next_pause_s(3.0) == 3.0


async def test_a_pause_passes() -> None:
    """Nobody halts: the whole time passes."""
    assert await pause(0.01, asyncio.Event())


async def test_a_pause_ends_when_halted() -> None:
    """A worker that stops does not sleep on."""
    halt = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, halt.set)
    began = time.monotonic()

    assert not await pause(30.0, halt)
    assert time.monotonic() - began < 5.0
