"""The speech tower of the built-in model: 16 kHz samples in, one unit vector of the aligned space out.

Three parts in a row. The front end and the backbone are Google's speech embedding network (Lin et al. 2020,
"Training Keyword Spotters with Limited and Synthesized Speech Data", https://arxiv.org/abs/2002.01322, Apache-2.0),
which yields 96 numbers for each 80 ms. The head (``speech_head.py``) is trained here and carries that sequence into the
aligned space.

Rules for one clip, whatever else is in its batch:

1. Silence at both ends (40 dB below the clip's loudest 10 ms) is trimmed and the level is brought to a fixed RMS,
   so neither a late start nor a quiet microphone moves the vector.
2. What is left is cut into windows of 6 s every 3 s; the clip's vector is the normalised mean of its windows.
3. Each window gets 0.3 s of digital silence on both sides, and as much more at its end as the backbone needs
   to see anything at all: a click of a few milliseconds is as valid an input as a sentence.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from encoders.builtin.artifacts import BUILTIN_DIMS, load_manifest, load_module
from encoders.builtin.speech_head import FEATURES, SpeechHead

SAMPLE_RATE_HZ: Final = 16_000
HOP_SAMPLES: Final = 160
FRAME_SAMPLES: Final = 512
HANN_SAMPLES: Final = 400  # the window sits in the middle of its frame
MEL_BANDS: Final = 32
RECEPTIVE_FRAMES: Final = 76  # spectrogram frames that one backbone output sees
STRIDE_FRAMES: Final = 8  # between two backbone outputs: 80 ms
MARGIN_SAMPLES: Final = 4_800
WINDOW_SAMPLES: Final = 6 * SAMPLE_RATE_HZ
WINDOW_HOP_SAMPLES: Final = 3 * SAMPLE_RATE_HZ
TRIM_DB: Final = 40.0
LEVEL_RMS: Final = 2_000.0  # in 16-bit steps, the scale that the backbone was trained on
WEIGHTS_FILE: Final = "speech.safetensors"


class MelFrontEnd(nn.Module):
    """Log mel spectrogram as the backbone expects it: 32 bands, 10 ms apart, at most 80 dB deep."""

    window: Tensor
    mel: Tensor

    def __init__(self) -> None:
        super().__init__()
        margin = (FRAME_SAMPLES - HANN_SAMPLES) // 2
        window = functional.pad(torch.hann_window(HANN_SAMPLES), (margin, margin))
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("mel", torch.zeros(FRAME_SAMPLES // 2 + 1, MEL_BANDS))

    def forward(self, samples: Tensor) -> Tensor:
        """Turn samples (n, time) in 16-bit steps into (n, frames, 32), without padding at the ends."""
        frames = samples.unfold(-1, FRAME_SAMPLES, HOP_SAMPLES) * self.window
        power = torch.fft.rfft(frames).abs().square()
        decibels = 10.0 * torch.log10((power @ self.mel).clamp_min(1e-10))
        floor = decibels.amax(dim=(1, 2), keepdim=True) - 80.0
        return torch.maximum(decibels, floor) / 10.0 + 2.0


# Channels of each pair of convolutions (over bands, then over time), and the pooling (time, bands) that follows it.
_STAGES: Final[tuple[tuple[int, int, tuple[int, int]], ...]] = (
    (24, 1, (2, 2)),
    (48, 2, (1, 2)),
    (72, 2, (2, 2)),
    (96, 2, (1, 2)),
    (96, 2, (2, 2)),
)


def _squash(values: Tensor) -> Tensor:
    return functional.leaky_relu(values, 0.2).clamp_min(-0.4)


class SpeechBackbone(nn.Module):
    """Google's speech embedding, run once over the whole clip instead of window by window.

    It has no padding in time, so output t depends on frames 8 t to 8 t + 75 and on nothing else: silence that a batch
    adds behind a clip cannot reach the outputs that belong to the clip.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 24, (3, 3), padding=(0, 1), bias=False)
        self.norm = nn.BatchNorm2d(24, eps=1e-3)
        convolutions: list[nn.Conv2d] = []
        channels = 24
        for width, pairs, _ in _STAGES:
            for _ in range(pairs):
                convolutions.append(nn.Conv2d(channels, width, (1, 3), padding=(0, 1)))
                convolutions.append(nn.Conv2d(width, width, (3, 1)))
                channels = width
        self.convolutions = nn.ModuleList(convolutions)
        self.last = nn.Conv2d(channels, FEATURES, (3, 1), bias=False)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Turn spectrograms (n, frames, 32) into features (n, steps, 96), one step each 80 ms."""
        values = _squash(self.norm(functional.relu(self.stem(spectrogram.unsqueeze(1)))))
        values = values.contiguous(memory_format=torch.channels_last)  # twice as fast on a CPU
        layers = iter(self.convolutions)
        for _, pairs, pooling in _STAGES:
            for _ in range(2 * pairs):
                values = _squash(next(layers)(values))
            values = functional.max_pool2d(values, pooling)
        features: Tensor = self.last(values).squeeze(-1)
        return features.transpose(1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechWindows:
    """Windows of a batch of clips: equal lengths for the device, and which clip each one came from."""

    samples: Tensor  # (windows, time) float32 in 16-bit steps
    steps: Tensor  # (windows,) int64: backbone outputs that belong to the window
    clips: Tensor  # (windows,) int64: row of the clip


def trim_silence(samples: Tensor) -> Tensor:
    """Cut leading and trailing 10 ms blocks of samples (time,) that lie 40 dB under the loudest; never to nothing."""
    blocks = functional.pad(samples, (0, -samples.shape[0] % HOP_SAMPLES)).view(-1, HOP_SAMPLES)
    energy = blocks.square().mean(dim=1)
    loud = torch.nonzero(energy >= energy.max() * 10.0 ** (-TRIM_DB / 10.0))
    return samples[int(loud[0]) * HOP_SAMPLES : (int(loud[-1]) + 1) * HOP_SAMPLES]


def _level(samples: Tensor) -> Tensor:
    rms = samples.square().mean().sqrt().clamp_min(1e-6)  # digital silence stays digital silence
    return samples * (LEVEL_RMS / rms)


def _cut(samples: Tensor) -> list[Tensor]:
    last = max(samples.shape[0] - WINDOW_SAMPLES, 0)
    starts = [*range(0, last, WINDOW_HOP_SAMPLES), last]
    return [samples[start : start + WINDOW_SAMPLES] for start in starts]


def count_steps(samples: int) -> int:
    """Return how many backbone outputs a window of that many samples yields, its silent margins included."""
    frames = (samples + 2 * MARGIN_SAMPLES - FRAME_SAMPLES) // HOP_SAMPLES + 1
    return max((frames - RECEPTIVE_FRAMES) // STRIDE_FRAMES + 1, 1)


def cut_windows(samples: Tensor, lengths: Tensor) -> SpeechWindows:
    """Apply the rules of this module to samples (n, time) in [-1, 1] with true lengths (n,).

    Raises:
        ValueError: a length is not between 1 and time; the message names the row.
    """
    for row, length in enumerate(lengths.tolist()):
        if not 0 < length <= samples.shape[1]:
            msg = f"clip {row} claims {length} samples of {samples.shape[1]}: give between 1 and {samples.shape[1]}"
            raise ValueError(msg)
    cuts = [_cut(_level(trim_silence(clip[:length]))) for clip, length in zip(samples, lengths.tolist(), strict=True)]
    windows = [window for cut in cuts for window in cut]
    steps = [count_steps(window.shape[0]) for window in windows]
    longest = ((max(steps) - 1) * STRIDE_FRAMES + RECEPTIVE_FRAMES - 1) * HOP_SAMPLES + FRAME_SAMPLES
    padded = samples.new_zeros(len(windows), max(longest, 2 * MARGIN_SAMPLES + max(map(len, windows))))
    for row, window in enumerate(windows):
        padded[row, MARGIN_SAMPLES : MARGIN_SAMPLES + window.shape[0]] = window
    clips = [row for row, cut in enumerate(cuts) for _ in cut]
    device = samples.device
    return SpeechWindows(
        samples=padded, steps=torch.tensor(steps, device=device), clips=torch.tensor(clips, device=device)
    )


class SpeechTower(nn.Module):
    """Front end, backbone and head: 16 kHz mono speech to unit vectors of the aligned space."""

    def __init__(self, *, dims: int, phrases: int) -> None:
        super().__init__()
        self.dims = dims
        self.front_end = MelFrontEnd()
        self.backbone = SpeechBackbone()
        self.head = SpeechHead(dims=dims, phrases=phrases)

    def features(self, windows: SpeechWindows) -> Tensor:
        """Return the backbone's features (windows, steps, 96) of windows that ``cut_windows`` made."""
        features: Tensor = self.backbone(self.front_end(windows.samples))
        return features

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """Encode clips.

        Args:
            samples: (n, time) float32 mono at 16 kHz in [-1, 1]; what lies beyond a clip's length is ignored.
            lengths: (n,) int64, true samples of each clip, at least 1.

        Returns:
            (n, dims) float32 of unit norm; a clip's row does not depend on its neighbours in the batch.

        Raises:
            ValueError: a clip has no samples or claims more than it has.
        """
        windows = cut_windows(samples, lengths)
        vectors = self.head(self.features(windows), windows.steps)
        sums = vectors.new_zeros(samples.shape[0], self.dims).index_add_(0, windows.clips, vectors)
        return functional.normalize(sums, dim=-1)


def load_speech_tower(folder: Path | None = None, device: str = "cpu") -> SpeechTower:
    """Return the trained speech tower, ready for inference; ``None`` is the folder that ships with the package.

    Raises:
        Misconfigured: A file is missing, damaged or not the one the manifest names.
    """
    facts = load_manifest(folder).facts.get("speech", {})
    tower = SpeechTower(dims=BUILTIN_DIMS, phrases=int(facts.get("phrases", 1)))
    return load_module(tower, WEIGHTS_FILE, folder, device)
