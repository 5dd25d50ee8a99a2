"""Texts and pictures by any dual encoder that ``transformers`` loads by itself: CLIP, Chinese-CLIP, ALIGN, MetaCLIP 2.

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision",
https://arxiv.org/abs/2103.00020, and its relatives: two towers, each projected into one space of ``projection_dim``.
A family that keeps to that shape but needs its texts padded in a way of its own is found out here and refused.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import MODEL_MAPPING, AutoModel, AutoTokenizer

# The same name in ``transformers`` itself asks for torchvision, though this does not.
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from config.errors import Misconfigured
from encoders.base import ImageInput
from encoders.modalities.pictures import PretrainedImageEncoder
from encoders.modalities.pretrained import ModelUse, load_network
from encoders.modalities.texts import PretrainedTextEncoder, token_limit

_SAME: Final = 0.999
"""Cosine of one text alone and in company, at least; half precision stays above 0.9999."""


def is_dual(config: Any) -> bool:
    """Whether the library's class for this family has a text and a picture tower that end in one space."""
    towers = ("get_text_features", "get_image_features")
    cls = MODEL_MAPPING.get(type(config), None)
    return all(hasattr(cls, tower) for tower in towers) and hasattr(config, "projection_dim")


def load_dual(use: ModelUse) -> Any:
    """Load both towers, which text and picture encoders share."""
    return load_network(AutoModel, use)


class DualTextEncoder(PretrainedTextEncoder):
    """Texts by a dual encoder's text tower."""

    def __init__(self, network: Any, use: ModelUse, **shared: Any) -> None:
        tokenizer = use.load(AutoTokenizer.from_pretrained)
        limit = token_limit(tokenizer, network.config.get_text_config())
        super().__init__(tokenizer, limit, use, **shared)
        self._network = network
        self._require_company_not_to_matter(use)

    @staticmethod
    def source_dims(network: Any, _: ModelUse) -> int:
        """Length of the vectors before the head."""
        return int(network.config.projection_dim)

    def features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Project the text tower's pooled output: (passages, projection_dim)."""
        output = self._network.get_text_features(input_ids=ids, attention_mask=mask)
        vectors: Tensor = output.pooler_output
        return vectors

    def _require_company_not_to_matter(self, use: ModelUse) -> None:
        """Encode a short text alone and beside one of full length, which also tries the limit of tokens."""
        short = [*self._before, *self._ids("a"), *self._after]
        full = [*self._before, *(self._ids("a") * self._room)[: self._room], *self._after]
        with _trying(use), torch.inference_mode():
            alone, together = (self.features(*self.collate(texts)) for texts in ([short], [short, full]))
        _require_shape(alone, use, self.source_dims(self._network, use))
        if functional.cosine_similarity(alone[0].float(), together[0].float(), dim=0) < _SAME:
            raise Misconfigured(
                f"profile {use.profile.name}: {use.source.model} gives a text another vector beside longer ones: its "
                f"family, {self._network.config.model_type!r}, wants texts padded in a way that is not known here; "
                "name a model of another family"
            )


class DualImageEncoder(PretrainedImageEncoder):
    """Pictures by a dual encoder's vision tower."""

    def __init__(self, network: Any, use: ModelUse, **shared: Any) -> None:
        super().__init__(network, use.load(AutoImageProcessor.from_pretrained, backend="pil"), **shared)
        with _trying(use), torch.inference_mode():
            grey = torch.from_numpy(self.prepare(ImageInput(pixels=np.full((8, 8, 3), 128, np.uint8))))
            vectors = self.features(grey.unsqueeze(0).to(self._device, network.dtype))
        _require_shape(vectors, use, self.source_dims(network, use))

    @staticmethod
    def source_dims(network: Any, _: ModelUse) -> int:
        """Length of the vectors before the head."""
        return int(network.config.projection_dim)

    def features(self, pixels: Tensor) -> Tensor:
        """Project the vision tower's pooled output: (n, projection_dim)."""
        vectors: Tensor = self._network.get_image_features(pixel_values=pixels).pooler_output
        return vectors


@contextlib.contextmanager
def _trying(use: ModelUse) -> Iterator[None]:
    """Turn what goes wrong with a sample into what is wrong with the model."""
    try:
        yield
    except (ValueError, RuntimeError, LookupError, TypeError, AttributeError) as exc:
        raise Misconfigured(
            f"profile {use.profile.name}: {use.source.model} cannot encode even a sample ({type(exc).__name__}: "
            f"{exc}); check that its tokenizer and its preprocessing belong to its weights, or name a model of another "
            "family"
        ) from exc


def _require_shape(vectors: Any, use: ModelUse, dims: int) -> None:
    if vectors is None or vectors.shape != (1, dims):
        found = "nothing" if vectors is None else f"an array of shape {tuple(vectors.shape)}"
        raise Misconfigured(
            f"profile {use.profile.name}: {use.source.model} gives {found} for one input where its configuration "
            f"promises one vector of {dims} numbers; name a model of another family"
        )
