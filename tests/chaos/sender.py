"""Sending the traffic: confirmed, in order for each key, and never far ahead of the workers."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from config.errors import RetryLater
from tests.chaos.traffic import Sent
from workers.streams.publisher import KafkaPublisher

_TOGETHER: Final = 200
_PAUSE_S: Final = 0.3


class Sender:
    """Sends events until the broker confirmed each.

    Args:
        prefix: Of the topics.
        room: How many events may be sent in all by now.
    """

    def __init__(self, publisher: KafkaPublisher, prefix: str, *, room: Callable[[], int]) -> None:
        self._publisher = publisher
        self._prefix = prefix
        self._room = room
        self.sent = 0
        self.repeated = 0
        """Sends without a confirmation, made again: some of them may be there twice."""

    async def send(self, events: Iterable[Sent]) -> None:
        """Send all of them."""
        for batch in _batches(iter(events)):
            while self.sent > self._room():  # noqa: ASYNC110 - of other processes
                await asyncio.sleep(_PAUSE_S / 3)
            await asyncio.gather(*map(self._surely, batch))
            self.sent += len(batch)

    async def _surely(self, event: Sent) -> None:
        while True:
            try:
                await self._publisher.send(event.topic.named(self._prefix), key=event.key, value=event.value)
            except RetryLater:
                self.repeated += 1
                await asyncio.sleep(_PAUSE_S)
            else:
                return


def _batches(events: Iterator[Sent]) -> Iterator[list[Sent]]:
    """Events that may be sent side by side: no key twice, so that a send made again overtakes nothing of its key."""
    batch: list[Sent] = []
    keys: set[bytes] = set()
    for event in events:
        if event.key in keys or len(batch) == _TOGETHER:
            yield batch
            batch, keys = [], set()
        batch.append(event)
        keys.add(event.key)
    if batch:
        yield batch
