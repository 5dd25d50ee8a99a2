"""What several tests of the handlers need."""

import base64
import io
import json
import socket
import wave
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import av
import numpy as np
from aiohttp.abc import AbstractResolver, ResolveResult
from PIL import Image

from config.settings import MediaSettings, ModelSettings
from config.vocabulary import Modality, ModelRef
from encoders.base import DimensionWeights
from encoders.batching import DeviceBatcher
from encoders.deterministic import deterministic_encoders
from fusion.index.memory_index import MemoryVectorIndex
from workers.streams.records import Record
from workers.streams.timing import now_ms


class FixedResolver(AbstractResolver):
    """Resolves every name to the addresses it was made with."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Give the fixed addresses."""
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""


PROFILE = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)
"""What the built-in profile can encode."""

MODEL = ModelRef("deterministic", "1")
DIMS = 64
MEDIA = MediaSettings(max_bytes=2**20, fetch_timeout_s=2)
MAX_EVENT_BYTES = 2**20


@asynccontextmanager
async def batching(
    modalities: Sequence[Modality] = PROFILE, learnt: DimensionWeights | None = None
) -> AsyncIterator[DeviceBatcher]:
    """A batcher over deterministic encoders."""
    encoders = replace(deterministic_encoders(modalities, dims=DIMS), dimension_weights=learnt)
    batcher = DeviceBatcher(encoders, ModelSettings())
    try:
        yield batcher
    finally:
        await batcher.close()


def index_of(modalities: Sequence[Modality] = PROFILE) -> MemoryVectorIndex:
    """An empty exact index for the deterministic model."""
    return MemoryVectorIndex(MODEL, DIMS, modalities)


def record(event: Any, *, offset: int = 0, key: str | None = None, partition: int = 0, age_ms: int = 0) -> Record:
    """A record as a sender writes it: an event as JSON, or bytes as they are."""
    value = event if isinstance(event, bytes | None) else json.dumps(event).encode()
    return Record(
        topic="t",
        partition=partition,
        offset=offset,
        key=None if key is None else key.encode(),
        value=value,
        timestamp_ms=now_ms() - age_ms,
    )


def inline(data: bytes) -> dict[str, Any]:
    """Media as it travels inside an event."""
    return {"data": base64.b64encode(data).decode()}


def png(colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    """A small picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(buffer, "PNG")
    return buffer.getvalue()


def wav(samples: int = 1600, hertz: float = 440.0) -> bytes:
    """A tone."""
    tone = np.sin(np.arange(samples) * 2 * np.pi * hertz / 16_000) * 20_000
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(tone.astype("<i2").tobytes())
    return buffer.getvalue()


def clip(*, frames: int = 10, sound: bool = True) -> bytes:
    """A short clip, or a container that has a sound and no pictures."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        video = container.add_stream("mpeg4", rate=10) if frames else None
        audio = container.add_stream("pcm_s16le", rate=16_000) if sound else None
        if video is not None:
            video.width = video.height = 32
            video.pix_fmt = "yuv420p"
            for number in range(frames):
                pixels = np.full((32, 32, 3), number * 20, np.uint8)
                container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(video.encode())
        if audio is not None:
            tone = np.sin(np.arange(1600) / 6) * 10_000  # what cannot be heard counts as no sound
            frame = av.AudioFrame.from_ndarray(tone[None].astype(np.int16), format="s16", layout="mono")
            frame.sample_rate = 16_000
            container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return buffer.getvalue()
