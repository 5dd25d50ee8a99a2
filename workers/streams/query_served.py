"""What a query showed, remembered beside the answer: the answer does not wait for it, and does not fail with it.

So a crash between the two, or Redis away for a moment, loses the joining of a few clicks and nothing else.
"""

import asyncio
import logging
from typing import Final

from config.errors import CrosscurrentError
from config.settings import PeopleSettings
from fusion.people.served import Served, ServedHit, ServedScore, ServedStore
from fusion.request import Ranking
from workers.contracts.query import Query
from workers.streams.timing import now_ms

log = logging.getLogger(__name__)

_MOST_WAITING: Final = 256
"""Writes on their way at once; more are passed over, so that a slow Redis cannot fill the memory."""


class ServedKeeper:
    """Remembers what users were shown.

    Args:
        store: Where.
        settings: How much of it.
    """

    def __init__(self, store: ServedStore, settings: PeopleSettings) -> None:
        self._store = store
        self._settings = settings
        self._writing: set[asyncio.Task[None]] = set()

    def keep(self, query: Query, ranking: Ranking) -> None:
        """Begin to write; returns at once. Queries without a user cannot be joined to anybody's clicks."""
        if query.user_id is None or not ranking.hits or not self._settings.served_queries:
            return
        if len(self._writing) >= _MOST_WAITING:
            log.warning("query %s: not remembered, %d others are being written", query.query_id, len(self._writing))
            return
        hits = tuple(
            ServedHit(
                item_id=hit.item_id,
                rank=hit.rank,
                scores={
                    modality: ServedScore(similarity=score.similarity, calibrated=score.calibrated, weight=score.weight)
                    for modality, score in hit.modality_scores.items()
                },
            )
            for hit in ranking.hits[: self._settings.served_hits]
        )
        served = Served(query_id=query.query_id, user_id=query.user_id, at_ms=now_ms(), hits=hits)
        task = asyncio.create_task(self._write(served))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, served: Served) -> None:
        try:
            await self._store.remember(served)
        except CrosscurrentError as exc:
            log.warning("query %s: what it showed is not remembered (%s)", served.query_id, exc)
