"""Texts and pictures by CLIP.

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision",
https://arxiv.org/abs/2103.00020.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from config.profiles import EncoderProfile, ModelSource
from config.vocabulary import Modality
from encoders.base import ImageInput, TextInput
from encoders.device import HostCopy
from encoders.modalities.passages import spread
from encoders.modalities.pooling import flatten
from encoders.modalities.pretrained import PretrainedEncoder, load_network, load_part
from encoders.modalities.readable import require_readable

READ_CHARACTERS: Final = 65_536
"""Beginning of a text that is read: fifty times what ``MAX_PASSAGES`` keeps of it, and quick to cut into tokens."""


def load_clip(source: ModelSource, profile: EncoderProfile, device: torch.device) -> Any:
    """Load both towers, which text and picture encoders share."""
    return load_network(CLIPModel, source, profile, device)


class ClipTextEncoder(PretrainedEncoder):
    """Texts by CLIP's text tower; above its 77 tokens a text is cut into passages that overlap by a quarter."""

    modality = Modality.TEXT

    def __init__(self, network: Any, source: ModelSource, profile: EncoderProfile, **shared: Any) -> None:
        super().__init__(**shared)
        self._network = network
        self._tokens = network.config.text_config.max_position_embeddings
        self._tokenizer = load_part(CLIPTokenizer.from_pretrained, source, profile)

    @staticmethod
    def source_dims(network: Any) -> int:
        """Length of the vectors before the head."""
        return int(network.config.projection_dim)

    def prepare(self, item: TextInput) -> list[list[int]]:
        """Return the token ids of the text's passages.

        Raises:
            RejectEvent: If there is nothing to read.
        """
        text = require_readable(item.text)[:READ_CHARACTERS]
        encoded = self._tokenizer(
            text, truncation=True, max_length=self._tokens, stride=self._tokens // 4, return_overflowing_tokens=True
        )
        return spread(encoded["input_ids"])

    def size(self, prepared: list[list[int]]) -> int:
        """Return the tokens of all passages, padded."""
        return len(prepared) * max(map(len, prepared))

    @property
    def max_padded(self) -> int:
        """Tokens of one padded batch at most: 1,024 full passages."""
        return 1024 * int(self._tokens)

    def forward(self, prepared: Sequence[list[list[int]]]) -> HostCopy:
        """Encode passages padded to the longest of them."""
        passages, counts = flatten(prepared)
        padded = self._tokenizer.pad({"input_ids": passages}, padding=True, return_tensors="pt").to(self._device)
        with torch.inference_mode():
            output = self._network.get_text_features(padded["input_ids"], padded["attention_mask"])
            return self.align(output.pooler_output, counts)


class ClipImageEncoder(PretrainedEncoder):
    """Pictures by CLIP's vision tower: resized and cropped as its own preprocessing says."""

    modality = Modality.IMAGE

    def __init__(self, network: Any, source: ModelSource, profile: EncoderProfile, **shared: Any) -> None:
        super().__init__(**shared)
        self._network = network
        self._processor = load_part(CLIPImageProcessorPil.from_pretrained, source, profile)

    @staticmethod
    def source_dims(network: Any) -> int:
        """Length of the vectors before the head."""
        return int(network.config.projection_dim)

    def prepare(self, item: ImageInput) -> NDArray[np.float32]:
        """Return normalised pixels (3, height, width) of the size that the tower was trained on."""
        processed = self._processor(images=[item.pixels], input_data_format="channels_last", return_tensors="np")
        pixels: NDArray[np.float32] = processed["pixel_values"][0]
        return pixels

    def forward(self, prepared: Sequence[NDArray[np.float32]]) -> HostCopy:
        """Encode a stack of pictures."""
        pixels = torch.from_numpy(np.stack(prepared)).to(self._device, self._network.dtype)
        with torch.inference_mode():
            output = self._network.get_image_features(pixels)
            return self.align(output.pooler_output, [1] * len(prepared))
