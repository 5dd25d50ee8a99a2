"""Pictures for vision towers: resized, cropped and normalised as the model's own preprocessing says."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from config.vocabulary import Modality
from encoders.base import ImageInput
from encoders.device import HostCopy
from encoders.modalities.pretrained import PretrainedEncoder


class PretrainedImageEncoder(PretrainedEncoder, ABC):
    """Pictures by a published vision tower that takes one size.

    Args:
        network: What computes; its precision is that of the pixels.
        processor: Image processor of ``transformers``, on Pillow: the same pixels with and without torchvision.
    """

    modality = Modality.IMAGE

    def __init__(self, network: Any, processor: Any, **shared: Any) -> None:
        super().__init__(**shared)
        self._network = network
        self._processor = processor

    @abstractmethod
    def features(self, pixels: Tensor) -> Tensor:
        """Run the network on pixels (n, 3, height, width): vectors (n, source)."""

    def prepare(self, item: ImageInput) -> NDArray[np.float32]:
        """Return normalised pixels (3, height, width) of the size that the tower was trained on."""
        pixels: NDArray[np.float32] = self.process(item)["pixel_values"][0]
        return pixels

    def process(self, item: ImageInput) -> Any:
        """Return all that the processor makes of one picture, as numpy arrays of one row."""
        return self._processor(images=[item.pixels], input_data_format="channels_last", return_tensors="np")

    def forward(self, prepared: Sequence[Any]) -> HostCopy:
        """Encode a stack of pictures."""
        pixels = torch.from_numpy(np.stack(prepared)).to(self._device, self._network.dtype)
        with torch.inference_mode():
            return self.align(self.features(pixels), [1] * len(prepared))
