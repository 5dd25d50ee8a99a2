"""Encoders with trained heads after them: the same inputs, another space."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from config.errors import Misconfigured
from config.vocabulary import Modality, ModelRef
from encoders.alignment.heads import Head, load_head
from encoders.alignment.record import Alignment, load_record
from encoders.base import Encoder, EncoderSet
from encoders.vectors import unit_rows
from encoders.waiting import PaddedEncoder

log = logging.getLogger(__name__)


class AlignedEncoder:
    """An encoder whose vectors go through a head on their way out.

    The head runs on the CPU in ``finish``: a few hundred thousand multiplications, beside a forward pass of billions.
    """

    def __init__(self, base: Encoder, head: Head, model: ModelRef, dims: int) -> None:
        self._base = base
        self._head = head
        self._model = model
        self._dims = dims

    @property
    def modality(self) -> Modality:
        """The base encoder's."""
        return self._base.modality

    @property
    def model(self) -> ModelRef:
        """Identity of the space that the heads make."""
        return self._model

    @property
    def dims(self) -> int:
        """Length of the aligned vectors."""
        return self._dims

    def prepare(self, item: Any) -> Any:
        """As the base encoder does."""
        return self._base.prepare(item)

    def forward(self, prepared: Sequence[Any]) -> Any:
        """As the base encoder does."""
        return self._base.forward(prepared)

    def finish(self, output: Any) -> NDArray[np.float32]:
        """Bring the base vectors back and carry them over: unit rows (n, dims)."""
        with torch.inference_mode():
            return unit_rows(self._head(torch.from_numpy(self._base.finish(output))).numpy())


class AlignedPaddedEncoder(AlignedEncoder):
    """The same for an encoder whose batches are padded, which the batcher asks about sizes."""

    def __init__(self, base: Encoder, head: Head, model: ModelRef, dims: int) -> None:
        super().__init__(base, head, model, dims)
        assert isinstance(base, PaddedEncoder)  # noqa: S101 - the caller chose this class for it
        self._padded = base

    @property
    def max_padded(self) -> int:
        """As the base encoder says."""
        return self._padded.max_padded

    def size(self, prepared: Any) -> int:
        """As the base encoder says."""
        return self._padded.size(prepared)


def with_heads(encoders: EncoderSet, folder: Path) -> EncoderSet:
    """Return the encoders with the heads of a folder after them, its calibration and its weights per dimension.

    A modality for which the folder has no head lies in another space and is left out.

    Raises:
        Misconfigured: The heads were trained on other encoders, are damaged, or fit none.
    """
    alignment = load_record(folder)
    if alignment.base != encoders.model:
        raise Misconfigured(
            f"{folder} was trained on {alignment.base}, these encoders are {encoders.model}: train the heads again "
            "with `crosscurrent train alignment`, or choose the profile they belong to"
        )
    made = {m: _aligned(encoder, alignment, folder) for m, encoder in encoders.encoders.items() if m in alignment.files}
    if not made:
        raise Misconfigured(f"{folder} has heads for {', '.join(alignment.files)}, which this profile does not encode")
    if left := [str(m) for m in encoders.encoders if m not in made]:
        log.warning("heads %s were not trained for %s: left out", folder, ", ".join(left))
    return EncoderSet(
        model=alignment.model,
        dims=alignment.dims,
        encoders=made,
        calibration=alignment.calibration,
        dimension_weights=alignment.dimension_weights,
    )


def _aligned(encoder: Encoder, alignment: Alignment, folder: Path) -> Encoder:
    head = load_head(folder, encoder.modality, source=encoder.dims, dims=alignment.dims)
    if head is None:
        raise Misconfigured(f"{folder} lacks the head of {encoder.modality} that its record names: train it again")
    kind = AlignedPaddedEncoder if isinstance(encoder, PaddedEncoder) else AlignedEncoder
    return kind(encoder, head, alignment.model, alignment.dims)
