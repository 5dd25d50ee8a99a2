"""Texts and pictures by SigLIP and SigLIP 2.

Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training", https://arxiv.org/abs/2303.15343; Tschannen et al.
2025, "SigLIP 2: Multilingual Vision-Language Encoders …", https://arxiv.org/abs/2502.14786. The checkpoints of SigLIP 2
for one picture size are read by the classes of SigLIP (``siglip``), those for any size and shape (NaFlex) by classes of
their own (``siglip2``). Both pool a text at the last of 64 places, padding or not, and were trained without a mask: so
every text is padded to full length.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerFast,
    Siglip2ImageProcessorPil,
    Siglip2Model,
    SiglipImageProcessorPil,
    SiglipModel,
)
from transformers.models.auto.tokenization_auto import get_tokenizer_config

from encoders.base import ImageInput
from encoders.device import HostCopy
from encoders.modalities.pictures import PretrainedImageEncoder
from encoders.modalities.pretrained import ModelUse, load_network, quiet
from encoders.modalities.texts import PretrainedTextEncoder


def load_siglip(use: ModelUse) -> Any:
    """Load both towers of a checkpoint for one picture size."""
    return load_network(SiglipModel, use)


def load_naflex(use: ModelUse) -> Any:
    """Load both towers of a checkpoint for pictures of any shape."""
    return load_network(Siglip2Model, use)


class SiglipTextEncoder(PretrainedTextEncoder):
    """Texts by SigLIP's text tower, in passages of 64 tokens that end in an end-of-text token.

    SigLIP's own tokenizer lower-cases by itself. SigLIP 2 has Gemma's, which does not, but has seen lower case alone.
    """

    def __init__(self, network: Any, use: ModelUse, **shared: Any) -> None:
        tokenizer = _load_tokenizer(use)
        self.lower_case = tokenizer.is_fast
        super().__init__(tokenizer, network.config.text_config.max_position_embeddings, use, **shared)
        self._network = network

    @staticmethod
    def source_dims(network: Any, _: ModelUse) -> int:
        """Length of the vectors before the head."""
        return int(network.config.text_config.projection_size)

    def frame(self) -> tuple[list[int], list[int]]:
        """Return no token before a passage and the end-of-text token after it."""
        return [], [self._tokenizer.eos_token_id]

    def size(self, prepared: list[list[int]]) -> int:
        """Return the tokens of all passages, each padded to full length."""
        return len(prepared) * self._limit

    def collate(self, passages: Sequence[list[int]], *, width: int = 0) -> tuple[Tensor, Tensor]:
        """Return ids and mask (passages, 64) on the device."""
        return super().collate(passages, width=max(width, self._limit))

    def features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Run the text tower without a mask: (passages, projection_size)."""
        vectors: Tensor = self._network.get_text_features(input_ids=ids).pooler_output
        return vectors


class SiglipImageEncoder(PretrainedImageEncoder):
    """Pictures squeezed to the tower's square."""

    processor: Any = SiglipImageProcessorPil

    def __init__(self, network: Any, use: ModelUse, **shared: Any) -> None:
        super().__init__(network, use.load(self.processor.from_pretrained), **shared)

    @staticmethod
    def source_dims(network: Any, _: ModelUse) -> int:
        """Length of the vectors before the head."""
        return int(network.config.vision_config.hidden_size)

    def features(self, pixels: Tensor) -> Tensor:
        """Run the vision tower, which pools by attention: (n, hidden_size)."""
        vectors: Tensor = self._network.get_image_features(pixel_values=pixels).pooler_output
        return vectors


class NaflexImageEncoder(SiglipImageEncoder):
    """Pictures in their own shape, as patches of which there are at most as many as the preprocessing says."""

    processor: Any = Siglip2ImageProcessorPil

    def prepare(self, item: ImageInput) -> Any:
        """Return patches (patches, pixels), their mask (patches,) and how many are down and across (2,)."""
        return [np.asarray(self.process(item)[name][0]) for name in self._processor.model_input_names]

    def forward(self, prepared: Sequence[Any]) -> HostCopy:
        """Encode pictures padded to one number of patches."""
        pixels, mask, shapes = (
            torch.from_numpy(np.stack(part)).to(self._device) for part in zip(*prepared, strict=True)
        )
        with torch.inference_mode():
            output = self._network.get_image_features(
                pixel_values=pixels.to(self._network.dtype), pixel_attention_mask=mask, spatial_shapes=shapes.long()
            )
            return self.align(output.pooler_output, [1] * len(prepared))


def _load_tokenizer(use: ModelUse) -> Any:
    """Load SigLIP's SentencePiece tokenizer, or Gemma's exactly as its file has it.

    By a class of its own the library would rebuild the latter, padding on the left, as language models want it.
    """
    said = use.load(get_tokenizer_config).get("tokenizer_class") or ""
    with quiet():  # it says that the class is another than the file names
        return use.load(
            (AutoTokenizer if said.startswith("SiglipTokenizer") else PreTrainedTokenizerFast).from_pretrained
        )
