"""Bearing with a store that is away for a while: a command that takes long should not end for a moment's trouble."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from config.errors import RetryLater
from config.settings import DeliverySettings
from workers.streams.retry import Backoff

_LONGEST_S: Final = 60.0

_Answer = TypeVar("_Answer")


class Patience:
    """Tries again, with the pauses of the workers, for up to a minute.

    Args:
        settings: The pauses.
        longest_s: How long one call may be tried.
    """

    def __init__(self, settings: DeliverySettings, *, longest_s: float = _LONGEST_S) -> None:
        self._settings = settings
        self._longest_s = longest_s

    async def bear(self, attempt: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """The answer of a call that may be made again.

        Raises:
            RetryLater: It did not succeed in all that time.
        """
        backoff = Backoff(initial_s=self._settings.retry_initial_s, max_s=self._settings.retry_max_s)
        until = time.monotonic() + self._longest_s
        while True:
            try:
                return await attempt()
            except RetryLater as exc:
                pause_s = backoff.next_pause_s(exc.retry_after_s)
                if time.monotonic() + pause_s > until:
                    raise
                await asyncio.sleep(pause_s)
