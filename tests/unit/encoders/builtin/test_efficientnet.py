"""The backbone: the reference network's numbers, with batch normalisation folded away."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from encoders.builtin.efficientnet import STAGES, STEM_CHANNELS, SameConv, Tail, Trunk, from_reference


def _norm(name: str, channels: int) -> dict[str, Tensor]:
    return {
        f"{name}.weight": torch.rand(channels) + 0.5,
        f"{name}.bias": torch.randn(channels) * 0.3,
        f"{name}.running_mean": torch.randn(channels) * 0.1,
        f"{name}.running_var": torch.rand(channels) + 0.5,
    }


def _random_reference() -> dict[str, Tensor]:
    """A state dict of the reference's names and shapes with weights of a trained network's size."""
    state = {"_conv_stem.weight": torch.randn(STEM_CHANNELS, 3, 3, 3) * 0.3, **_norm("_bn0", STEM_CHANNELS)}
    index, channels = 0, STEM_CHANNELS
    for stage in STAGES:
        for _ in range(stage.repeats):
            inner, prefix = channels * stage.expansion, f"_blocks.{index}."
            if stage.expansion > 1:
                state[f"{prefix}_expand_conv.weight"] = torch.randn(inner, channels, 1, 1) / channels**0.5
                state |= _norm(f"{prefix}_bn0", inner)
            state[f"{prefix}_depthwise_conv.weight"] = torch.randn(inner, 1, stage.kernel, stage.kernel) / stage.kernel
            state[f"{prefix}_project_conv.weight"] = torch.randn(stage.channels, inner, 1, 1) / inner**0.5
            state |= {**_norm(f"{prefix}_bn1", inner), **_norm(f"{prefix}_bn2", stage.channels)}
            index, channels = index + 1, stage.channels
    state["_conv_head.weight"] = torch.randn(1280, channels, 1, 1) / channels**0.5
    return {**state, **_norm("_bn1", 1280)}


def _step(state: Mapping[str, Tensor], maps: Tensor, conv: str, norm: str, *, stride: int = 1) -> Tensor:
    """One convolution and its normalisation, written out as the reference has them."""
    weight = state[f"{conv}.weight"]
    kernel, size = weight.shape[-1], maps.shape[-1]
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    padded = functional.pad(maps, (total // 2, total - total // 2) * 2)
    groups = maps.shape[1] if weight.shape[1] == 1 and maps.shape[1] > 1 else 1
    out = functional.conv2d(padded, weight, None, stride, groups=groups)
    values = [state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    return functional.batch_norm(out, *values, training=False, eps=1e-3)


def _reference_features(state: Mapping[str, Tensor], pixels: Tensor) -> Tensor:
    maps = functional.relu6(_step(state, pixels, "_conv_stem", "_bn0", stride=2))
    index = 0
    for stage in STAGES:
        for repeat in range(stage.repeats):
            prefix, inner = f"_blocks.{index}.", maps
            if stage.expansion > 1:
                inner = functional.relu6(_step(state, maps, f"{prefix}_expand_conv", f"{prefix}_bn0"))
            stride = stage.stride if repeat == 0 else 1
            inner = functional.relu6(_step(state, inner, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride=stride))
            out = _step(state, inner, f"{prefix}_project_conv", f"{prefix}_bn2")
            maps = out + maps if out.shape == maps.shape and stride == 1 else out
            index += 1
    return functional.relu6(_step(state, maps, "_conv_head", "_bn1")).mean((2, 3))


def test_folded_network_equals_the_reference() -> None:
    """Folding normalisation into the convolutions changes no feature, at a size with one-sided padding everywhere."""
    torch.manual_seed(0)
    state = _random_reference()
    trunk, tail = from_reference(state)
    pixels = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        folded, expected = tail(trunk(pixels)), _reference_features(state, pixels)
    torch.testing.assert_close(folded, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("size", "kernel", "pads"), [(128, 3, (0, 1)), (128, 5, (1, 2)), (7, 3, (1, 1))])
def test_padding_is_tensorflows(size: int, kernel: int, pads: tuple[int, int]) -> None:
    """With stride 2 "same" padding puts the odd zero behind."""
    conv = SameConv(1, 1, kernel, 2)
    assert conv.pads(size) == pads
    assert conv(torch.zeros(1, 1, size, size)).shape[-1] == -(-size // 2)


def test_trunk_and_tail_have_the_documented_shapes() -> None:
    """The trunk gives 112 maps of 8 x 8 for 128 px, the tail 1,280 features."""
    with torch.inference_mode():
        maps = Trunk()(torch.zeros(1, 3, 128, 128))
        assert maps.shape == (1, 112, 8, 8)
        assert Tail()(maps).shape == (1, 1280)
