"""The speech tower of the built-in model: 16 kHz samples in, one unit vector of the aligned space out.

Three parts in a row. The front end and the backbone are Google's speech embedding network (Lin et al. 2020,
"Training Keyword Spotters with Limited and Synthesized Speech Data", https://arxiv.org/abs/2002.01322, Apache-2.0),
which yields 96 numbers for each 80 ms. The head is trained here and carries that sequence into the aligned space.

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

SAMPLE_RATE_HZ: Final = 16_000
HOP_SAMPLES: Final = 160
FRAME_SAMPLES: Final = 512
HANN_SAMPLES: Final = 400  # the window sits in the middle of its frame
MEL_BANDS: Final = 32
RECEPTIVE_FRAMES: Final = 76  # spectrogram frames that one backbone output sees
STRIDE_FRAMES: Final = 8  # between two backbone outputs: 80 ms
FEATURES: Final = 96
SLOTS: Final = 16  # a name of 1.3 s keeps every step; a longer one is squeezed
STEP_S: Final = 0.08
KEY_DIMS: Final = 128
SHARPNESS: Final = 50.0  # of the choice among phrases; 30 and less mix too many into the answer
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


def warp_features(features: Tensor, steps: Tensor, places: Tensor | None = None) -> Tensor:
    """Stretch sequences of different lengths to ``SLOTS`` equally spaced steps, interpolating between neighbours.

    A word said slowly and the same word said fast then look alike: linear time normalisation, older than dynamic
    time warping and enough for names.

    Args:
        features: (n, longest, 96).
        steps: (n,) int64, how many steps of each row are real.
        places: (n, SLOTS) other places to look at, in shares of each row's length.

    Returns:
        (n, SLOTS, 96).
    """
    if places is None:
        places = (torch.arange(SLOTS, device=features.device) + 0.5) / SLOTS
    places = places * steps[:, None] - 0.5
    places = torch.minimum(places.clamp_min(0.0), (steps[:, None] - 1).float())
    before = places.floor().long()
    after = torch.minimum(before + 1, steps[:, None] - 1)
    share = (places - before).unsqueeze(-1).to(features.dtype)
    rows = torch.arange(len(features), device=features.device)[:, None]
    return features[rows, before] * (1.0 - share) + features[rows, after] * share


class SpeechHead(nn.Module):
    """Carries a sequence of speech features into the aligned space by way of the phrases that it knows.

    A small residual network turns the time-normalised sequence into a question; the answer is the mean of the known
    phrases' vectors, weighted by how well their learnt keys fit (one step of a modern Hopfield network, Ramsauer et
    al. 2020, "Hopfield Networks is All You Need", https://arxiv.org/abs/2008.02217). Straight regression onto the
    aligned space hears as well and answers worse: recall@10 of held-out artists' pictures 0.59 instead of 0.78.

    Args:
        dims: Length of the vectors of the aligned space.
        phrases: Number of known phrases.
        width: Hidden units.
        dropout: Share of hidden units dropped in training.
    """

    mean: Tensor
    scale: Tensor
    values: Tensor

    def __init__(self, *, dims: int, phrases: int, width: int = 512, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("scale", torch.ones(FEATURES))
        self.enter = nn.Linear(SLOTS * FEATURES + 1, width)
        self.enter_norm = nn.LayerNorm(width)
        self.refine = nn.Linear(width, width)
        self.refine_norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, KEY_DIMS)
        self.dropout = nn.Dropout(dropout)
        self.keys = nn.Parameter(functional.normalize(torch.randn(phrases, KEY_DIMS), dim=-1))
        self.register_buffer("values", functional.normalize(torch.randn(phrases, dims), dim=-1))

    def forward(self, features: Tensor, steps: Tensor) -> Tensor:
        """Turn features (n, steps, 96), of which the first ``steps`` (n,) are real, to unit vectors (n, dims)."""
        fits = self.match(self.normalise(features, steps))
        return functional.normalize((SHARPNESS * fits).softmax(dim=-1) @ self.values, dim=-1)

    def normalise(self, features: Tensor, steps: Tensor, places: Tensor | None = None) -> Tensor:
        """Return what the network sees (n, SLOTS * 96 + 1): standardised slots, and how long the clip is."""
        slots = (warp_features(features, steps, places) - self.mean) / self.scale
        seconds = steps[:, None].to(features.dtype) * STEP_S
        return torch.cat((slots.flatten(1), seconds), dim=1)

    def match(self, inputs: Tensor) -> Tensor:
        """Return the cosine (n, phrases) of normalised inputs (n, SLOTS * 96 + 1) with every phrase's key."""
        hidden = self.dropout(functional.gelu(self.enter_norm(self.enter(inputs))))
        hidden = hidden + self.dropout(functional.gelu(self.refine_norm(self.refine(hidden))))
        question = functional.normalize(self.leave(hidden), dim=-1)
        return question @ functional.normalize(self.keys, dim=-1).T


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
