"""Comments as text: what people write about an item turns their taste towards what they write of.

The interaction worker embeds nothing else, so the text encoder is loaded when the first comment comes, and never where
``people.read_comments`` is off: then the worker imports no deep-learning library.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from config.errors import Misconfigured, RejectEvent
from config.settings import ModelSettings
from config.vocabulary import Modality
from encoders.base import TextInput, Vector

if TYPE_CHECKING:
    from encoders.batching import DeviceBatcher

log = logging.getLogger(__name__)

_TEXT_ALONE = frozenset({Modality.TEXT})


class CommentReader:
    """Encodes comments. Loading takes seconds, in a thread: the batch with the first comment waits for it.

    Args:
        settings: The profile whose text encoder reads.

    Raises:
        Misconfigured: The profile encodes no text, or a package it needs is missing: at the start, not at the first
            comment.
    """

    def __init__(self, settings: ModelSettings) -> None:
        from encoders.registry import describe

        facts = describe(settings)
        if Modality.TEXT not in facts.profile.modalities:
            raise Misconfigured(
                f"people.read_comments: profile {facts.profile.name} encodes no text: switch it off, or choose a "
                "profile that does"
            )
        if facts.missing:
            raise Misconfigured(*facts.missing)
        self._settings = settings
        self._batcher: DeviceBatcher | None = None
        self._loading = asyncio.Lock()

    async def read(self, texts: Sequence[str]) -> list[Vector | RejectEvent]:
        """Encode texts; each becomes a vector or the reason why not, in order.

        Raises:
            RetryLater: The device is away.
        """
        batcher = await self._loaded()
        return await batcher.encode_many([(Modality.TEXT, TextInput(text=text)) for text in texts])

    async def _loaded(self) -> "DeviceBatcher":
        async with self._loading:
            if self._batcher is None:
                from encoders.batching import DeviceBatcher
                from encoders.registry import load_encoders

                log.info("the first comment came: loading the text encoder")
                encoders = await asyncio.to_thread(load_encoders, self._settings, only=_TEXT_ALONE)
                self._batcher = DeviceBatcher(encoders, self._settings)
        return self._batcher

    async def close(self) -> None:
        """Let the encoder go."""
        if self._batcher is not None:
            await self._batcher.close()
