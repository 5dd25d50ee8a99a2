"""Encoders without weights or a deep-learning library: vectors from hashes, for tests and for trying the plumbing.

Equal content gives equal vectors on every machine. Texts share the vectors of the words they share, so that rankings
of texts mean something; pictures, sounds, places and readings are near nothing but themselves.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.errors import MediaRejected, Reason, RejectEvent
from config.vocabulary import Modality, ModelRef
from encoders.base import (
    AudioInput,
    Encoder,
    EncoderInput,
    EncoderSet,
    ImageInput,
    LocationInput,
    SensorInput,
    TextInput,
)
from encoders.modalities.readable import require_readable
from encoders.vectors import unit_rows

MODALITIES: Final = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO, Modality.LOCATION, Modality.SENSOR)

# Runs of letters and digits, but each Chinese or Japanese character on its own: those scripts write no spaces.
_WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


class DeterministicEncoder:
    """One modality's vectors from hashes of its content.

    Args:
        modality: Any but video.
        model: Identity of the space.
        dims: Length of the vectors.
    """

    def __init__(self, modality: Modality, model: ModelRef, dims: int) -> None:
        self._modality = modality
        self._model = model
        self._dims = dims

    @property
    def modality(self) -> Modality:
        """The modality it takes."""
        return self._modality

    @property
    def model(self) -> ModelRef:
        """Identity of the space."""
        return self._model

    @property
    def dims(self) -> int:
        """Length of the vectors."""
        return self._dims

    def prepare(self, item: EncoderInput) -> list[bytes]:
        """Return the features of one input: a text's words, or all of anything else.

        Raises:
            RejectEvent: If it is empty.
        """
        if isinstance(item, TextInput):
            text = require_readable(item.text).casefold()
            return [b"word:" + word.encode() for word in _WORD.findall(text)] or [b"text:" + text.encode()]
        return [f"{self._modality}:".encode() + _content(item)]

    def forward(self, prepared: Sequence[list[bytes]]) -> NDArray[np.float64]:
        """Add up the vectors of each input's features."""
        return np.stack([sum(_direction(feature, self._dims) for feature in features) for features in prepared])

    def finish(self, output: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return unit vectors (n, dims)."""
        return unit_rows(output)


def deterministic_encoders(
    modalities: Sequence[Modality] = MODALITIES, *, dims: int = 256, model: ModelRef | None = None
) -> EncoderSet:
    """Return a set that encodes those modalities, as the ``deterministic`` profile does."""
    model = model or ModelRef("deterministic", "1")
    encoders: dict[Modality, Encoder] = {each: DeterministicEncoder(each, model, dims) for each in modalities}
    return EncoderSet(model=model, dims=dims, encoders=encoders)


@lru_cache(maxsize=1024)  # two megabytes: more would look like a leak to whoever watches a worker
def _direction(feature: bytes, dims: int) -> NDArray[np.float64]:
    bits = np.frombuffer(hashlib.shake_256(feature).digest(2 * dims), dtype="<i2")
    return bits.astype(np.float64) + 0.5  # half a step off, so that no coordinate and no vector is zero


def _content(item: Any) -> bytes:
    match item:
        case ImageInput(pixels=pixels):
            return _digest(pixels)
        case AudioInput(samples=samples, sample_rate_hz=rate_hz):
            return f"{rate_hz}:".encode() + _digest(samples)
        case LocationInput(latitude=latitude, longitude=longitude):
            return f"{latitude:.6f},{longitude:.6f}".encode()
        case SensorInput(channels=channels, sample_rate_hz=rate_hz, values=values):
            return f"{','.join(channels)}@{rate_hz}:".encode() + _digest(np.nan_to_num(values, nan=-1e30))
    raise RejectEvent(Reason.UNSUPPORTED_MODALITY, f"{type(item).__name__} is no input of an encoder")


def _digest(values: NDArray[Any]) -> bytes:
    if not values.size:
        raise MediaRejected(Reason.MEDIA_EMPTY, "there is nothing in it")
    return str(values.shape).encode() + hashlib.blake2b(np.ascontiguousarray(values).tobytes()).digest()
