"""The converted speech backbone computes what its ONNX original computes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from config.errors import Misconfigured
from encoders.builtin.speech import RECEPTIVE_FRAMES, STRIDE_FRAMES
from encoders.builtin.training.packages import DEFAULT_CACHE, read_member
from encoders.builtin.training.speech_convert import EMBEDDING_FILE, MEL_FILE, find_wheel, load_from_wheel


def test_both_networks_agree_with_onnxruntime() -> None:
    """On two seconds of noise the mel front end and the backbone equal the originals to 1e-4."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="the comparison needs onnxruntime: pip install onnxruntime")
    pytest.importorskip("onnx", reason="reading the original needs onnx: pip install 'crosscurrent[train]'")
    wheel = find_wheel(DEFAULT_CACHE)
    if wheel is None:
        pytest.skip(f"the original is not in {DEFAULT_CACHE}: 'crosscurrent train builtin' fetches it")
    front_end, backbone = load_from_wheel(wheel)
    samples = (np.random.default_rng(0).standard_normal((1, 32_000)) * 3_000).astype(np.float32)

    mel = onnxruntime.InferenceSession(read_member(wheel, MEL_FILE)).run(None, {"input": samples})[0]
    mel = mel.squeeze() / 10.0 + 2.0  # the scale on which the backbone was trained
    starts = range(0, len(mel) - RECEPTIVE_FRAMES + 1, STRIDE_FRAMES)
    windows = np.stack([mel[start : start + RECEPTIVE_FRAMES] for start in starts])[..., None]
    wanted = onnxruntime.InferenceSession(read_member(wheel, EMBEDDING_FILE)).run(None, {"input_1": windows})[0]
    with torch.inference_mode():
        our_mel = front_end(torch.from_numpy(samples))
        ours = backbone(our_mel)

    assert np.abs(our_mel[0].numpy() - mel).max() < 1e-4
    assert np.abs(ours[0].numpy() - wanted.reshape(-1, 96)).max() < 1e-4


def test_another_file_is_refused(tmp_path: Path) -> None:
    """A file that is no such wheel is named, with the wheel that is wanted."""
    other = tmp_path / "other.whl"
    other.write_bytes(b"PK not a wheel")

    with pytest.raises(Misconfigured, match=r"openwakeword==0\.4\.0"):
        load_from_wheel(other)
