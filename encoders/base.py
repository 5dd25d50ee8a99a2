"""What every encoder is: prepare on the CPU, forward on the device, finish on the CPU; always a batch, order kept.

Splitting the work in three lets the caller overlap them: while the device runs one batch, the next is prepared.
Standard library and numpy only, so that whoever merely names these types loads no deep-learning library.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Background, Modality, ModelRef

Vector = NDArray[np.float32]
"""One aligned vector: float32, shape (dims,), unit Euclidean norm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextInput:
    """A text as written.

    Args:
        text: Any length; encoders state how they treat long texts.
        language: BCP 47 tag if the sender gave one.
    """

    text: str
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInput:
    """A decoded picture: uint8 RGB of shape (height, width, 3), orientation and colour profile applied.

    Args:
        time_s: Seconds from the first picture of the clip it was taken from; None for a still picture. Encoders take
            no notice of it.
    """

    pixels: NDArray[np.uint8]
    time_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInput:
    """A decoded sound: float32 mono samples of shape (n,) in [-1, 1] at ``sample_rate_hz``."""

    samples: NDArray[np.float32]
    sample_rate_hz: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationInput:
    """A point on Earth, WGS 84 degrees."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorInput:
    """Readings: float32 of shape (time, channels), NaN where one is missing, with each channel's name and unit."""

    channels: tuple[str, ...]
    sample_rate_hz: float
    values: NDArray[np.float32]


EncoderInput = TextInput | ImageInput | AudioInput | LocationInput | SensorInput
"""What a single-modality encoder takes. A clip is split into pictures and a sound before it gets here."""


@runtime_checkable
class Encoder(Protocol):
    """One modality's way into the aligned space.

    ``prepare`` and ``finish`` may run in any thread; ``forward`` runs in the device's one thread and nowhere else.
    Every method takes and returns whole batches and keeps their order. An input that cannot be encoded raises
    ``config.errors.RejectEvent`` from ``prepare`` of that single input; callers prepare inputs one by one and
    collate, so one bad input never fails its neighbours.
    """

    @property
    def modality(self) -> Modality:
        """The modality it takes."""
        ...

    @property
    def model(self) -> ModelRef:
        """The profile's identity: the same for all encoders of one aligned space."""
        ...

    @property
    def dims(self) -> int:
        """Length of its vectors."""
        ...

    def prepare(self, item: Any) -> Any:
        """Turn one input into features for the device (tokens, pixels, samples), on the CPU.

        Raises:
            RejectEvent: If this input can never be encoded.
        """
        ...

    def forward(self, prepared: Sequence[Any]) -> Any:
        """Run the network on a batch of prepared inputs, on the device; returns the raw output of shape (n, …)."""
        ...

    def finish(self, output: Any) -> NDArray[np.float32]:
        """Bring the output back: float32 of shape (n, dims), every row of unit norm."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DimensionWeights:
    """What each dimension of an aligned space counts in a weighted cosine.

    Args:
        values: float64 of shape (dims,), none negative, not all zero.
        calibration: Background distribution of the weighted cosine by (query modality, item modality).
    """

    values: NDArray[np.float64]
    calibration: Mapping[tuple[Modality, Modality], Background] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSet:
    """The encoders of one profile: one aligned space.

    Args:
        model: Identity of the space; part of every vector's key.
        dims: Length of every vector.
        encoders: One encoder a modality.
        calibration: Background distribution by (query modality, item modality).
        dimension_weights: What each dimension counts in a weighted cosine; None where nothing was learnt.
    """

    model: ModelRef
    dims: int
    encoders: Mapping[Modality, Encoder]
    calibration: Mapping[tuple[Modality, Modality], Background] = field(default_factory=dict)
    dimension_weights: DimensionWeights | None = None

    @property
    def modalities(self) -> frozenset[Modality]:
        """What this profile can encode."""
        return frozenset(self.encoders)
