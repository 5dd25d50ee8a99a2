"""From content on the wire to what encoders take: fetched, decoded in threads, split into pictures and sound."""

import asyncio
import os
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from config.errors import Reason, RejectEvent
from config.settings import MediaSettings
from config.vocabulary import Modality
from encoders.base import AudioInput, EncoderInput, ImageInput, LocationInput, SensorInput, TextInput
from encoders.media.audio import decode_audio
from encoders.media.image import decode_image
from encoders.media.video import decode_video
from workers.contracts.media import LocationContent, MediaContent, SensorContent, TextContent
from workers.streams.fetch import MediaFetcher

T = TypeVar("T")

Content = TextContent | MediaContent | LocationContent | SensorContent

_MOST_IN_HAND: Final = 32
"""Media fetched or decoded at a time: each may take ``media.max_bytes`` of memory, so not everything at once; and a
batch of 64 whose servers are all dead must end within the deadline of one call, which is three times a fetch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input for an encoder.

    Args:
        modality: The encoder that takes it. A clip gives pictures and a sound.
        field: Path in the event of what it was made from, for messages.
        source: The sender's modality that it was made from.
    """

    modality: Modality
    value: EncoderInput
    field: str
    source: Modality


class StageError(Exception):
    """A refusal together with the stage that refused."""

    def __init__(self, stage: str, error: RejectEvent) -> None:
        self.stage = stage
        self.error = error
        super().__init__(str(error))


class InputReader:
    """Reads content into encoder inputs; one for a process.

    Args:
        modalities: What the profile can encode; nothing is fetched for other modalities.
    """

    def __init__(self, fetcher: MediaFetcher, settings: MediaSettings, modalities: Collection[Modality]) -> None:
        self._fetcher = fetcher
        self._settings = settings
        self._modalities = frozenset(modalities)
        self._threads = ThreadPoolExecutor(max(2, min(8, os.cpu_count() or 2)), thread_name_prefix="decode")
        self._in_hand = asyncio.Semaphore(_MOST_IN_HAND)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def can_read(self, modality: Modality) -> bool:
        """Whether the profile can encode this; a clip counts when its pictures or its sound can be encoded."""
        wanted = {Modality.IMAGE, Modality.AUDIO} if modality is Modality.VIDEO else {modality}
        return bool(wanted & self._modalities)

    async def read(self, modality: Modality, content: Content, field: str) -> list[Input]:
        """Read one modality of an item, or one part of a query; empty for what the profile cannot encode.

        Raises:
            StageError: With stage ``fetch`` or ``decode`` when it cannot be had or made sense of.
        """
        if not self.can_read(modality):
            return []
        match content:
            case TextContent():
                made: EncoderInput = TextInput(text=content.text, language=content.language)
            case LocationContent():
                made = LocationInput(latitude=content.latitude, longitude=content.longitude)
            case SensorContent():
                made = self._readings(content, field)
            case MediaContent():
                return await self._read_media(modality, content, field)
        return [Input(modality=modality, value=made, field=field, source=modality)]

    @staticmethod
    def _readings(content: SensorContent, field: str) -> SensorInput:
        try:
            return sensor_input(content)
        except RejectEvent as exc:
            raise StageError("decode", RejectEvent(exc.reason, exc.message, field=f"{field}.{exc.field}")) from exc

    async def _read_media(self, modality: Modality, content: MediaContent, field: str) -> list[Input]:
        async with self._in_hand:
            try:
                data = await self._fetcher.fetch(content, field=field)
            except RejectEvent as exc:
                raise StageError("fetch", exc) from exc
            source = f"{field}.{'uri' if content.data is None else 'data'}"
            return await self._in_thread(lambda: self._decode(modality, data, source))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except RejectEvent as exc:
            raise StageError("decode", exc) from exc

    def _decode(self, modality: Modality, data: bytes, field: str) -> list[Input]:
        values: list[ImageInput | AudioInput]
        match modality:
            case Modality.IMAGE:
                values = [decode_image(data, self._settings, field=field)]
            case Modality.AUDIO:
                values = [decode_audio(data, self._settings, field=field)]
            case _:
                frames, sound = decode_video(data, self._settings, field=field)
                values = [*frames, *([] if sound is None else [sound])]
        inputs = [Input(modality=_encoder_of(value), value=value, field=field, source=modality) for value in values]
        return [made for made in inputs if made.modality in self._modalities]


def _encoder_of(value: ImageInput | AudioInput) -> Modality:
    return Modality.IMAGE if isinstance(value, ImageInput) else Modality.AUDIO


def sensor_input(content: SensorContent) -> SensorInput:
    """A wire table as float32 of shape (time, channels), NaN where a reading is missing.

    Raises:
        RejectEvent: A number is larger than any reading.
    """
    values = np.array(content.values, dtype=np.float64)  # None becomes NaN
    if (np.abs(values) > np.finfo(np.float32).max).any():
        raise RejectEvent(Reason.INVALID_EVENT, "a number beyond 3.4e38 is no reading; leave it out", field="values")
    return SensorInput(
        channels=content.channels, sample_rate_hz=content.sample_rate_hz, values=values.astype(np.float32)
    )
