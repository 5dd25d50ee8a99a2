"""The built-in model's backbones without what was trained here: three spaces of their own, for heads to align.

Texts are the sentence encoder's (512 numbers), pictures the ImageNet network's (1,280), sounds the speech network's, in
16 steps (1,536), each brought to the spread that it has over spoken names. None has met the others.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from config.settings import ModelSettings
from config.vocabulary import Modality, ModelRef
from encoders.base import Encoder, EncoderSet
from encoders.builtin.artifacts import load_manifest
from encoders.builtin.efficientnet import FEATURES as PICTURE_FEATURES
from encoders.builtin.speech import cut_windows
from encoders.builtin.speech_head import FEATURES as SOUND_FEATURES
from encoders.builtin.speech_head import SLOTS, warp_features
from encoders.builtin.text import BACKBONE_DIMS
from encoders.device import HostCopy, prepare_torch, resolve_device
from encoders.modalities.builtin import BuiltinImageEncoder, BuiltinSpeechEncoder, BuiltinTextEncoder

MODEL: Final = ModelRef("builtin-backbones", "1")


class _TextBackbone(BuiltinTextEncoder):
    def read(self, passages: Sequence[str]) -> torch.Tensor:
        """Return sentence features (n, 512)."""
        return torch.from_numpy(self._backbone.encode(list(passages)))


class _PictureBackbone(BuiltinImageEncoder):
    def forward(self, prepared: Sequence[NDArray[np.float32]]) -> HostCopy:
        """Return the classifier's features (n, 1280), by the tail that was never tuned."""
        with torch.inference_mode():
            blocks = [np.stack(prepared[block]) for block in self._blocks(len(prepared))]
            return HostCopy(torch.cat([self._look(torch.from_numpy(block).to(self._device)) for block in blocks]))

    def _look(self, pixels: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self._tower.photo_tail(self._tower.trunk(pixels))
        return features


class _SoundBackbone(BuiltinSpeechEncoder):
    def _hear(self, pieces: Sequence[NDArray[np.float32]]) -> torch.Tensor:
        clips = [torch.from_numpy(piece) for piece in pieces]
        lengths = torch.tensor([len(clip) for clip in clips])
        samples = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
        windows = cut_windows(samples.to(self._device), lengths.to(self._device))
        slots = warp_features(self._tower.features(windows), windows.steps)
        head = self._tower.head
        rows = ((slots - head.mean) / head.scale).flatten(1)
        return rows.new_zeros(len(pieces), self.dims).index_add_(0, windows.clips, rows)


def load_backbones(settings: ModelSettings) -> EncoderSet:
    """Return the backbones of texts, pictures and sounds, each in a space of its own.

    Args:
        settings: Device and threads.

    Raises:
        Misconfigured: A weights file, the text backbone or the device is missing.
    """
    prepare_torch(settings.threads)
    device = resolve_device(settings.device)
    manifest = replace(load_manifest(), model=MODEL)
    encoders: dict[Modality, Encoder] = {
        Modality.TEXT: _TextBackbone(replace(manifest, dims=BACKBONE_DIMS), device),
        Modality.IMAGE: _PictureBackbone(replace(manifest, dims=PICTURE_FEATURES), device),
        Modality.AUDIO: _SoundBackbone(replace(manifest, dims=SLOTS * SOUND_FEATURES), device),
    }
    return EncoderSet(model=MODEL, dims=0, encoders=encoders)
