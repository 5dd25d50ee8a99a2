"""The encoders of the built-in model: text, pictures and speech through the towers that ship with the package."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from config.vocabulary import Modality, ModelRef
from encoders.base import AudioInput, ImageInput, TextInput
from encoders.builtin.artifacts import Manifest, load_image_tower, load_text_head
from encoders.builtin.image import preprocess
from encoders.builtin.speech import SAMPLE_RATE_HZ, WINDOW_SAMPLES, load_speech_tower
from encoders.builtin.text import UseBackbone
from encoders.device import HostCopy, one_cpu_thread
from encoders.modalities.passages import cut_samples, cut_text
from encoders.modalities.pooling import average, flatten
from encoders.modalities.readable import require_readable, spell_pictographs
from encoders.modalities.resampling import resample
from encoders.vectors import unit_rows

WHOLE_WINDOWS: Final = 8
"""Sounds of up to this many windows are heard whole."""

CPU_BLOCK: Final = 16
"""Inputs that a CPU takes at once: activations of more fall out of its cache. On two cores a picture took 4.0 ms in
blocks of 16 and 6.6 ms in batches of 64, a spoken name 4.7 ms and 12.3 ms. A GPU takes the batch whole."""


class Builtin:
    """What they share: identity, device, and the way back to the host.

    Args:
        manifest: The weights' own description.
        device: Where the tower runs.
    """

    modality: Modality

    def __init__(self, manifest: Manifest, device: torch.device) -> None:
        self._manifest = manifest
        self._device = device

    @property
    def model(self) -> ModelRef:
        """Identity of the aligned space."""
        return self._manifest.model

    @property
    def dims(self) -> int:
        """Length of the vectors."""
        return self._manifest.dims

    def _blocks(self, count: int) -> Iterator[slice]:
        """Cut a batch into what the device takes at once."""
        step = CPU_BLOCK if self._device.type == "cpu" else count
        return (slice(start, start + step) for start in range(0, count, step))

    def finish(self, output: HostCopy) -> NDArray[np.float32]:
        """Wait for the copy and return unit vectors (n, dims)."""
        return unit_rows(output.numpy())


class BuiltinTextEncoder(Builtin):
    """Texts in 16 languages, by the Universal Sentence Encoder and a head.

    Rules for one text: emoji are read by their names; above 512 characters it is cut into overlapping passages whose
    unit vectors are averaged (see ``passages``). The backbone is numpy on the CPU in one thread: it runs in ``forward``
    nevertheless, because a batch of texts costs it little more than one (5,000 texts/s against 1,200).
    """

    modality = Modality.TEXT
    crowd: Final = 4
    """Texts for one picture. The backbone reads its weights once for each 384 tokens: of 64 names a name took 0.42 ms,
    of 256 names 0.36 ms, and all 256 together less than half of what 64 pictures take."""

    def __init__(self, manifest: Manifest, device: torch.device, folder: Path | None = None) -> None:
        super().__init__(manifest, device)
        self._backbone = UseBackbone()
        self._head = load_text_head(folder, str(device))

    def prepare(self, item: TextInput) -> list[str]:
        """Return the text's passages.

        Raises:
            RejectEvent: If there is nothing to read.
        """
        return cut_text(spell_pictographs(require_readable(item.text)))

    def forward(self, prepared: Sequence[list[str]]) -> HostCopy:
        """Encode passages and average them text by text."""
        passages, counts = flatten(prepared)
        # The head of 64 texts is 1 ms for one thread; with two, on cores that others use, a text cost a third more.
        with torch.inference_mode(), one_cpu_thread():
            return HostCopy(average(self.read(passages), counts))

    def read(self, passages: Sequence[str]) -> torch.Tensor:
        """Return unit vectors (n, dims) of short texts, on the device; for its one thread alone."""
        features = torch.from_numpy(self._backbone.encode(list(passages)))
        vectors: torch.Tensor = self._head(features.to(self._device))
        return vectors


class BuiltinImageEncoder(Builtin):
    """Drawings and photographs, by EfficientNet-Lite with tuned last stages."""

    modality = Modality.IMAGE

    def __init__(self, manifest: Manifest, device: torch.device, folder: Path | None = None) -> None:
        super().__init__(manifest, device)
        self._tower = load_image_tower(folder, str(device))

    def prepare(self, item: ImageInput) -> NDArray[np.float32]:
        """Return normalised pixels (3, 128, 128)."""
        return preprocess(item.pixels)

    def forward(self, prepared: Sequence[NDArray[np.float32]]) -> HostCopy:
        """Encode a stack of pictures."""
        with torch.inference_mode():
            blocks = [np.stack(prepared[block]) for block in self._blocks(len(prepared))]
            return HostCopy(torch.cat([self._tower(torch.from_numpy(block).to(self._device)) for block in blocks]))


class BuiltinSpeechEncoder(Builtin):
    """Speech, by Google's speech embedding and a head; ``builtin.speech`` states what becomes of silence and length.

    A sound of more than 48 s is heard in 16 places: windows of 6 s, evenly spread from its beginning to its end, whose
    unit vectors are averaged. Ten minutes heard whole took 2 GB and as long as a hundred words.
    """

    modality = Modality.AUDIO
    max_padded: Final = 160 * SAMPLE_RATE_HZ
    """Samples of one padded batch at most: 64 clips of 2.5 s, half a gigabyte of activations."""

    def __init__(self, manifest: Manifest, device: torch.device, folder: Path | None = None) -> None:
        super().__init__(manifest, device)
        self._tower = load_speech_tower(folder, str(device))

    def prepare(self, item: AudioInput) -> list[NDArray[np.float32]]:
        """Return samples at 16 kHz, whole or in windows.

        Raises:
            MediaRejected: If there are none.
        """
        samples = resample(item, SAMPLE_RATE_HZ)
        whole = samples.shape[0] <= WHOLE_WINDOWS * WINDOW_SAMPLES
        return [samples] if whole else cut_samples(samples, length=WINDOW_SAMPLES)

    def size(self, prepared: list[NDArray[np.float32]]) -> int:
        """Return the number of samples, which is what padding costs."""
        return sum(piece.shape[0] for piece in prepared)

    def forward(self, prepared: Sequence[list[NDArray[np.float32]]]) -> HostCopy:
        """Encode sounds padded to the longest of their block, and average those that came in windows."""
        pieces, counts = flatten(prepared)
        with torch.inference_mode():
            rows = torch.cat([self._hear(pieces[block]) for block in self._blocks(len(pieces))])
            return HostCopy(average(rows, counts))

    def _hear(self, pieces: Sequence[NDArray[np.float32]]) -> torch.Tensor:
        lengths = torch.tensor([piece.shape[0] for piece in pieces])
        samples = torch.zeros(len(pieces), int(lengths.max()))
        for row, piece in enumerate(pieces):
            samples[row, : piece.shape[0]] = torch.from_numpy(piece)
        heard: torch.Tensor = self._tower(samples.to(self._device), lengths.to(self._device))
        return heard
