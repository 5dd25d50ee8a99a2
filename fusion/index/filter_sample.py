"""What a filter is likely to select in a shard: estimated, as databases do, on a small sample of its items."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from config.vocabulary import Attributes
from fusion.index.connection import Command
from fusion.index.filter_plan import Selected
from fusion.index.filters import parse_filter
from fusion.index.layout import load_attributes

Ask = Callable[[Sequence[Command]], Awaitable[list[Any]]]

SAMPLED: Final = 256
"""Items looked at: enough to tell one in ten from one in a hundred."""

FRESH_S: Final = 10.0
"""How long a sample is used: it decides what a search costs, never what it finds."""


class FilterSample:
    """A sample of one shard, drawn when first needed and again after ten seconds.

    Args:
        ask: Sends commands to the shard.
        key: A vector set that holds every item.
    """

    def __init__(self, ask: Ask, key: str) -> None:
        self._ask = ask
        self._key = key
        self._drawn_at = float("-inf")
        self._size = 0
        self._attributes: list[Attributes] = []
        self._known: dict[str, Selected] = {}

    async def selected(self, source: str) -> Selected:
        """What this filter selects of the sample.

        Raises:
            RetryLater: When the shard cannot be asked.
        """
        if time.monotonic() - self._drawn_at > FRESH_S:
            await self._draw()
        if source not in self._known:
            matching = sum(map(parse_filter(source).matches, self._attributes))
            self._known[source] = Selected(self._size, len(self._attributes), matching)
        return self._known[source]

    async def _draw(self) -> None:
        size, names = await self._ask([("VCARD", self._key), ("VRANDMEMBER", self._key, SAMPLED)])
        texts = await self._ask([("VGETATTR", self._key, name) for name in names or ()])
        self._size = int(size)
        self._attributes = [load_attributes(text) for text in texts if text]
        self._known = {}
        self._drawn_at = time.monotonic()
