"""The built-in model's encoders of what is measured rather than perceived: positions and readings."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from config.errors import Reason, RejectEvent
from config.vocabulary import Modality
from encoders.base import LocationInput, SensorInput
from encoders.builtin.artifacts import Manifest
from encoders.builtin.places import load_place_tower
from encoders.builtin.readings import describe_readings, load_readings_tower
from encoders.device import HostCopy
from encoders.modalities.builtin import Builtin

Words = Callable[[Sequence[str]], Tensor]
"""Texts to unit vectors (n, dims) on the device; called in the device's thread alone."""

_SEPARATORS: Final = str.maketrans("_-/.", "    ")


class BuiltinLocationEncoder(Builtin):
    """Positions, by the country that they are in and the landmarks and large towns that are near."""

    modality = Modality.LOCATION

    def __init__(self, manifest: Manifest, device: torch.device, folder: Path | None = None) -> None:
        super().__init__(manifest, device)
        self._tower = load_place_tower(folder, str(device))

    def prepare(self, item: LocationInput) -> tuple[float, float]:
        """Return degrees north and east."""
        return item.latitude, item.longitude

    def forward(self, prepared: Sequence[tuple[float, float]]) -> HostCopy:
        """Encode places."""
        with torch.inference_mode():
            return HostCopy(self._tower(torch.tensor(prepared, device=self._device)))


class BuiltinSensorEncoder(Builtin):
    """Readings of weather stations, by the weather that they show; other readings, by what they measure.

    Where at least one channel is a quantity that the tower knows, the others are left out. Where none is, the vector is
    that of the channels' names read as words, so that "heart rate" finds who sent ``heart_rate_bpm``: what was
    measured, not how it went. Heads trained on one's own pairs (``crosscurrent train alignment``) learn more.

    Args:
        words: The text encoder's way from words to vectors.
    """

    modality = Modality.SENSOR

    def __init__(self, manifest: Manifest, device: torch.device, folder: Path | None = None, *, words: Words) -> None:
        super().__init__(manifest, device)
        self._tower = load_readings_tower(folder, str(device))
        self._words = words

    def prepare(self, item: SensorInput) -> NDArray[np.float32] | str:
        """Return features (73,), or words where no channel is known.

        Raises:
            RejectEvent: If no channel has a single reading.
        """
        if not np.isfinite(item.values).any():
            raise RejectEvent(Reason.INVALID_EVENT, "there is no reading in any channel: leave the series out")
        features = describe_readings(item.channels, item.sample_rate_hz, item.values)
        return ", ".join(name.translate(_SEPARATORS) for name in item.channels) if features is None else features

    def forward(self, prepared: Sequence[NDArray[np.float32] | str]) -> HostCopy:
        """Encode features by the tower and words by the text encoder, each kind in one go."""
        worded = [place for place, one in enumerate(prepared) if isinstance(one, str)]
        measured = [place for place, one in enumerate(prepared) if not isinstance(one, str)]
        rows = torch.zeros(len(prepared), self.dims, device=self._device)
        with torch.inference_mode():
            if worded:
                rows[worded] = self._words([str(prepared[place]) for place in worded])
            if measured:
                features = np.stack([np.asarray(prepared[place], np.float32) for place in measured])
                rows[measured] = self._tower(torch.from_numpy(features).to(self._device))
        return HostCopy(rows)
