"""Texts, pictures and sounds by Perception Encoder Audiovisual (PE-AV).

Vyas et al. 2025, "Pushing the Frontier of Audiovisual Perception with Large-Scale Multimodal Correspondence Learning",
https://arxiv.org/abs/2512.19687. The model looks at clips. A clip comes here as its pictures and its track, and each
picture is encoded as a clip of one frame: the network takes any number of frames, sees each one by itself, and sums
them up behind that; its picture tower alone ends in another space. The tower that fuses track and frames is not used.
"""

import contextlib
import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoTokenizer, PeAudioFeatureExtractor, PeAudioVideoModel

from config.vocabulary import Modality
from encoders.base import AudioInput, ImageInput
from encoders.device import HostCopy
from encoders.modalities.pair_blocks import Pair, arrange, pairs_of
from encoders.modalities.passages import cut_samples
from encoders.modalities.pictures import PretrainedImageEncoder
from encoders.modalities.pooling import flatten
from encoders.modalities.pretrained import ModelUse, PretrainedEncoder, load_network
from encoders.modalities.resampling import resample
from encoders.modalities.texts import PretrainedTextEncoder, token_limit

WINDOWS_S: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Lengths that sounds are padded up to. The codec's convolutions let padding be heard in the last moment before it:
with these lengths a sound is always padded alike, whoever shares its batch, and beyond a second to twice its length at
most."""
TOKENS: Final = 512
"""Most tokens of one passage: the text tower takes thousands, which would cost the square of that."""


def load_pe_av(use: ModelUse) -> Any:
    """Load all towers; the pictures' is one of timm's, so that the library wants timm even for the configuration."""
    with contextlib.redirect_stdout(io.StringIO()):  # the library prints remarks on its own documentation
        return load_network(PeAudioVideoModel, use)


def pe_dims(network: Any, use: ModelUse) -> int:
    """Length of the vectors before the head: one block for each pair of modalities in use."""
    return int(network.config.text_config.hidden_size) * len(pairs_of(use.users))


class PeTextEncoder(PretrainedTextEncoder):
    """Texts by the text tower, with the head for sounds, for pictures, or, alone in a profile, for both fused."""

    source_dims = staticmethod(pe_dims)

    def __init__(self, network: Any, use: ModelUse, **shared: Any) -> None:
        tokenizer = use.load(AutoTokenizer.from_pretrained, config=network.config)  # reading it again takes seconds
        super().__init__(tokenizer, token_limit(tokenizer, network.config.text_config, said=TOKENS), use, **shared)
        self._network = network
        self._pairs = pairs_of(use.users)

    def features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Read the first token of the last layer through each head: (passages, hidden_size × pairs)."""
        output = self._network.text_model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        first = output.hidden_states[-1][:, 0]
        return arrange(self.modality, self._pairs, lambda pair: self._head_for(pair)(first))

    def _head_for(self, pair: Pair) -> Any:
        if Modality.AUDIO in pair:
            return self._network.audio_model.text_audio_head
        if Modality.IMAGE in pair:
            return self._network.video_model.text_video_head
        return self._network.text_audio_video_head


class PeImageEncoder(PretrainedImageEncoder):
    """Pictures as clips of one frame."""

    source_dims = staticmethod(pe_dims)

    def __init__(self, network: Any, use: ModelUse, **shared: Any) -> None:
        from transformers import PeVideoVideoProcessor  # needs torchvision, as timm does

        super().__init__(network, use.load(PeVideoVideoProcessor.from_pretrained), **shared)
        self._pairs = pairs_of(use.users)

    def prepare(self, item: ImageInput) -> NDArray[np.float32]:
        """Return normalised pixels (3, height, width) of the size that the tower was trained on."""
        clip = torch.from_numpy(item.pixels).permute(2, 0, 1).unsqueeze(0)
        processed = self._processor([clip], do_sample_frames=False, return_tensors="pt")
        pixels: NDArray[np.float32] = processed["pixel_values_videos"][0, 0].numpy()
        return pixels

    def features(self, pixels: Tensor) -> Tensor:
        """Run the video tower on single frames: (n, hidden_size × pairs)."""
        video = self._network.video_model
        vectors = video.video_head(video.video_encoder(pixel_values_videos=pixels.unsqueeze(1)).pooler_output)
        return arrange(self.modality, self._pairs, lambda _: vectors)


class PeAudioEncoder(PretrainedEncoder):
    """Sounds by the audio tower; one of more than 32 s is cut into windows whose vectors are averaged."""

    modality = Modality.AUDIO
    source_dims = staticmethod(pe_dims)

    def __init__(self, network: Any, use: ModelUse, **shared: Any) -> None:
        super().__init__(**shared)
        self._network = network
        self._extractor = use.load(PeAudioFeatureExtractor.from_pretrained)
        self._lengths: list[int] = [seconds * self._extractor.sampling_rate for seconds in WINDOWS_S]
        self._pairs = pairs_of(use.users)

    def prepare(self, item: AudioInput) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Return windows (samples,) and their masks (samples,), each padded to one of ``WINDOWS_S``.

        Raises:
            MediaRejected: If there are no samples.
        """
        samples = resample(item, self._extractor.sampling_rate)
        return [self._padded(window) for window in cut_samples(samples, length=self._lengths[-1])]

    def size(self, prepared: Sequence[tuple[NDArray[np.float32], Any]]) -> int:
        """Return the samples of all windows."""
        return sum(len(window) for window, _ in prepared)

    @property
    def max_padded(self) -> int:
        """Samples of one batch at most, 16 of the longest windows."""
        return 16 * self._lengths[-1]

    def forward(self, prepared: Sequence[Any]) -> HostCopy:
        """Encode windows, those of one length together, and average them sound by sound."""
        windows, counts = flatten(prepared)
        by_length: dict[int, list[int]] = {}
        for place, (window, _) in enumerate(windows):
            by_length.setdefault(window.shape[0], []).append(place)
        with torch.inference_mode():
            parts = [self.features([windows[place] for place in places]) for places in by_length.values()]
            order = torch.tensor([place for places in by_length.values() for place in places], device=self._device)
            return self.align(torch.cat(parts)[order.argsort()], counts)

    def features(self, windows: Sequence[tuple[NDArray[np.float32], NDArray[np.int64]]]) -> Tensor:
        """Run the audio tower on windows of one length: (windows, hidden_size × pairs)."""
        samples, mask = (torch.from_numpy(np.stack(part)).to(self._device) for part in zip(*windows, strict=True))
        audio = self._network.audio_model
        vectors = audio.get_audio_embeds(samples.unsqueeze(1).to(self._network.dtype), padding_mask=mask)
        return arrange(self.modality, self._pairs, lambda _: vectors)

    def _padded(self, window: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Fill up the last codec frame by reflection, as the model's own preprocessing does, the rest with silence."""
        hop = self._extractor.hop_length
        filled = np.pad(window, (0, -len(window) % hop), mode="reflect")
        length = next(length for length in self._lengths if length >= len(filled))
        mask = np.zeros(length, np.int64)
        mask[: len(filled)] = 1
        return np.pad(filled, (0, length - len(filled))), mask
