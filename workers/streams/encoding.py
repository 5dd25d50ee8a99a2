"""Inputs to vectors through the device's batcher, and the mean that stands for a clip's pictures."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from config.errors import RejectEvent
from config.vocabulary import Modality
from encoders.base import EncoderInput, EncoderSet, Vector


class Batcher(Protocol):
    """What handlers need of ``encoders.batching.DeviceBatcher``."""

    @property
    def encoders(self) -> EncoderSet:
        """The profile's encoders: what can be encoded, and the space it leads to."""
        ...

    async def encode_many(self, requests: Sequence[tuple[Modality, EncoderInput]]) -> list[Vector | RejectEvent]:
        """Encode inputs of any modalities; each becomes a vector or the reason why not, in order."""
        ...


def mean_direction(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The unit vector of shape (dims,) between unit vectors; the first where they cancel out."""
    if len(vectors) == 1:
        return vectors[0]
    mean = np.stack(vectors).astype(np.float64).mean(axis=0)
    norm = float(np.linalg.norm(mean))
    return vectors[0] if norm < 1e-6 else np.asarray(mean / norm, dtype=np.float32)
