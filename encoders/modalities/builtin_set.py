"""Which encoders of the built-in model a profile asks for."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch

from config.profiles import EncoderProfile
from config.vocabulary import Modality
from encoders.base import Encoder
from encoders.builtin.artifacts import Manifest
from encoders.modalities.builtin import BuiltinImageEncoder, BuiltinSpeechEncoder, BuiltinTextEncoder
from encoders.modalities.builtin_measures import BuiltinLocationEncoder, BuiltinSensorEncoder

_PLAIN: Final[Mapping[Modality, Callable[[Manifest, torch.device], Any]]] = {
    Modality.IMAGE: BuiltinImageEncoder,
    Modality.AUDIO: BuiltinSpeechEncoder,
    Modality.LOCATION: BuiltinLocationEncoder,
}


def load_builtin_encoders(
    profile: EncoderProfile, manifest: Manifest, device: torch.device
) -> Mapping[Modality, Encoder]:
    """Load the encoders of a profile's modalities; the text tower is loaded once for texts and channels' names.

    Raises:
        Misconfigured: A weights file or the text backbone is missing.
    """
    encoders: dict[Modality, Any] = {
        modality: _PLAIN[modality](manifest, device) for modality in profile.modalities if modality in _PLAIN
    }
    if worded := {Modality.TEXT, Modality.SENSOR} & profile.modalities.keys():
        text = BuiltinTextEncoder(manifest, device)
        both: dict[Modality, Any] = {
            Modality.TEXT: text,
            Modality.SENSOR: BuiltinSensorEncoder(manifest, device, words=text.read),
        }
        encoders |= {modality: both[modality] for modality in worded}
    return {modality: encoders[modality] for modality in profile.modalities}
