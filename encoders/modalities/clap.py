"""Sounds by CLAP.

Wu et al. 2023, "Large-scale Contrastive Language-Audio Pretraining with Feature Fusion and Keyword-to-Caption
Augmentation", https://arxiv.org/abs/2211.06687.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import ClapAudioModelWithProjection, ClapFeatureExtractor

from config.profiles import EncoderProfile, ModelSource
from config.vocabulary import Modality
from encoders.base import AudioInput
from encoders.device import HostCopy
from encoders.modalities.passages import cut_samples
from encoders.modalities.pooling import flatten
from encoders.modalities.pretrained import PretrainedEncoder, load_network, load_part
from encoders.modalities.resampling import resample


def load_clap(source: ModelSource, profile: EncoderProfile, device: torch.device) -> Any:
    """Load the audio tower alone; the text tower, four times its size, is not needed."""
    return load_network(ClapAudioModelWithProjection, source, profile, device)


class ClapAudioEncoder(PretrainedEncoder):
    """Sounds by CLAP's audio tower.

    A sound longer than the tower's window (10 s) is cut into windows whose unit vectors are averaged. The published
    preprocessing takes a random crop instead, which would give one sound two vectors.
    """

    modality = Modality.AUDIO
    max_padded: Final = 256
    """Windows of one batch at most, 43 minutes of sound."""

    def __init__(self, network: Any, source: ModelSource, profile: EncoderProfile, **shared: Any) -> None:
        super().__init__(**shared)
        self._network = network
        self._extractor = load_part(ClapFeatureExtractor.from_pretrained, source, profile)

    @staticmethod
    def source_dims(network: Any) -> int:
        """Length of the vectors before the head."""
        return int(network.config.projection_dim)

    def prepare(self, item: AudioInput) -> NDArray[np.float32]:
        """Return log mel spectrograms (windows, 1 or 4, frames, bands); a short window is repeated to full length.

        Raises:
            MediaRejected: If there are no samples.
        """
        samples = resample(item, self._extractor.sampling_rate)
        windows = cut_samples(samples, length=self._extractor.nb_max_samples)
        features = self._extractor(windows, sampling_rate=self._extractor.sampling_rate, return_tensors="np")
        return np.asarray(features["input_features"], dtype=np.float32)

    def size(self, prepared: NDArray[np.float32]) -> int:
        """Return the number of windows, each of which costs the same."""
        return int(prepared.shape[0])

    def forward(self, prepared: Sequence[NDArray[np.float32]]) -> HostCopy:
        """Encode windows and average them sound by sound."""
        windows, counts = flatten(prepared)
        features = torch.from_numpy(np.stack(windows)).to(self._device, self._network.dtype)
        # No window is longer than the tower's own: the fused tower's extra views of long sounds are never asked for.
        longer = torch.zeros((len(windows), 1), dtype=torch.bool, device=self._device)
        with torch.inference_mode():
            output = self._network(input_features=features, is_longer=longer)
            return self.align(output.audio_embeds, counts)
