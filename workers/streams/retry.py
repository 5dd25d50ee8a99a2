"""How long to wait before trying again, and a wait that ends early when there is no point in waiting on."""

import asyncio
import random


class Backoff:
    """Exponential pauses with jitter, so that workers that lost the same Redis do not all come back at once.

    Args:
        initial_s: First pause in seconds, before jitter.
        max_s: Longest pause in seconds.
        rng: Source of the jitter; passed in by tests.
    """

    def __init__(self, *, initial_s: float, max_s: float, rng: random.Random | None = None) -> None:
        self._ceiling_s = initial_s
        self._max_s = max_s
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret

    def next_pause_s(self, at_least_s: float = 0.0) -> float:
        """The next pause: between half and all of a ceiling that doubles, at least what was asked, never above max."""
        ceiling_s = min(self._ceiling_s, self._max_s)
        self._ceiling_s = min(ceiling_s * 2, self._max_s)
        return min(self._max_s, max(at_least_s, self._rng.uniform(ceiling_s / 2, ceiling_s)))


async def pause(seconds: float, halt: asyncio.Event) -> bool:
    """Wait, unless ``halt`` is set before.

    Returns:
        True when the whole time has passed, False when halted.
    """
    try:
        async with asyncio.timeout(seconds):
            await halt.wait()
    except TimeoutError:
        return not halt.is_set()
    return False
