"""Texts and sounds by CLAP.

Wu et al. 2023, "Large-scale Contrastive Language-Audio Pretraining with Feature Fusion and Keyword-to-Caption
Augmentation", https://arxiv.org/abs/2211.06687.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import (
    AutoTokenizer,
    ClapAudioModelWithProjection,
    ClapFeatureExtractor,
    ClapModel,
    ClapTextModelWithProjection,
)

from config.vocabulary import Modality
from encoders.base import AudioInput
from encoders.device import HostCopy
from encoders.modalities.passages import cut_samples
from encoders.modalities.pooling import flatten
from encoders.modalities.pretrained import ModelUse, PretrainedEncoder, load_network
from encoders.modalities.resampling import resample
from encoders.modalities.texts import PretrainedTextEncoder, token_limit

TOKENS: Final = 77
"""Length that texts were cut to in training (LAION's own ``hook.py``), far below what the position table holds."""


def load_clap(use: ModelUse) -> Any:
    """Load the towers that the profile uses; the text tower is four times the size of the audio tower."""
    if {Modality.TEXT, Modality.AUDIO} <= use.users:
        return load_network(ClapModel, use)
    return load_network(
        ClapAudioModelWithProjection if Modality.AUDIO in use.users else ClapTextModelWithProjection, use
    )


class ClapTextEncoder(PretrainedTextEncoder):
    """Texts by CLAP's text tower, a RoBERTa."""

    def __init__(self, network: Any, use: ModelUse, **shared: Any) -> None:
        tokenizer = use.load(AutoTokenizer.from_pretrained)
        limit = token_limit(tokenizer, network.config.get_text_config(), said=TOKENS)
        super().__init__(tokenizer, limit, use, **shared)
        self._network = network

    @staticmethod
    def source_dims(network: Any, _: ModelUse) -> int:
        """Length of the vectors before the head."""
        return int(network.config.projection_dim)

    def features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Project the text tower's pooled output: (passages, projection_dim)."""
        both = isinstance(self._network, ClapModel)
        run = self._network.get_text_features if both else self._network
        output = run(input_ids=ids, attention_mask=mask)
        vectors: Tensor = output.pooler_output if both else output.text_embeds
        return vectors


class ClapAudioEncoder(PretrainedEncoder):
    """Sounds by CLAP's audio tower.

    A sound longer than the tower's window (10 s) is cut into windows whose unit vectors are averaged. The published
    preprocessing takes a random crop instead, which would give one sound two vectors.
    """

    modality = Modality.AUDIO
    max_padded: Final = 256
    """Windows of one batch at most, 43 minutes of sound."""

    def __init__(self, network: Any, use: ModelUse, **shared: Any) -> None:
        super().__init__(**shared)
        self._network = network
        self._extractor = use.load(ClapFeatureExtractor.from_pretrained)

    @staticmethod
    def source_dims(network: Any, _: ModelUse) -> int:
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
        both = isinstance(self._network, ClapModel)
        run = self._network.get_audio_features if both else self._network
        with torch.inference_mode():
            output = run(input_features=features, is_longer=longer)
            return self.align(output.pooler_output if both else output.audio_embeds, counts)
