"""Device and threads: what is asked for is there or refused with a way out; torch's relatives can be imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from config.errors import Misconfigured
from encoders.device import HostCopy, resolve_device, resolve_dtype, usable_cpus


def test_torchaudio_and_transformers_import_beside_a_cpu_build():
    """In a fresh process both import, and torchaudio's Python part works."""
    code = (
        "from encoders.device import prepare_torch\n"
        "prepare_torch(1)\n"
        "import torch, torchaudio\n"
        "from transformers import ClapModel, CLIPModel\n"
        "assert torchaudio.functional.resample(torch.zeros(441), 44100, 16000).shape == (160,)\n"
        "assert torch.get_num_threads() == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=280)


def test_a_torchvision_of_another_build_does_no_harm(tmp_path: Path):
    """A torchvision whose compiled part was built against CUDA imports beside a CPU build, and so does transformers."""
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "_C.so").write_bytes(b"built for another torch")
    (package / "__init__.py").write_text(
        "import torch\n@torch.library.register_fake('torchvision::nms')\ndef meta_nms(boxes): return boxes\n",
        encoding="utf-8",
    )
    describe = "import torch; kept = torch.library.register_fake\n"
    code = (
        "from encoders.device import prepare_torch\n"
        "prepare_torch(1)\n"
        "import torchvision\n"
        "assert torch.library.register_fake is kept\n"
    )
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    run = [sys.executable, "-c", describe + code]
    if torch.version.cuda is None:
        subprocess.run(run, check=True, timeout=280, env={**os.environ, "PYTHONPATH": paths})


@pytest.mark.parametrize(
    ("quota", "most"), [("max 100000", 10_000), ("150000 100000", 1), ("50000 100000", 1), ("?", 10_000)]
)
def test_counts_the_cpus_of_a_container(tmp_path: Path, quota: str, most: int):
    """A container's quota bounds the threads, whole CPUs and at least one; no or odd quotas change nothing."""
    file = tmp_path / "cpu.max"
    file.write_text(quota, encoding="ascii")

    assert 1 <= usable_cpus(file) <= most
    assert usable_cpus(tmp_path / "none") >= 1


def test_a_device_that_is_not_there_is_refused():
    """Asking for a GPU that does not exist names the ways out."""
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(Misconfigured, match=r"set model\.device to auto or cpu"):
        resolve_device("cuda:99")


def test_half_precision_is_for_gpus():
    """``auto`` is single precision on the CPU and half on CUDA; what the profile says beats it."""
    assert resolve_dtype("auto", torch.device("cpu")) == torch.float32
    assert resolve_dtype("auto", torch.device("cuda")) == torch.float16
    assert resolve_dtype("bfloat16", torch.device("cpu")) == torch.bfloat16


def test_results_come_home_in_single_precision():
    """Whatever the network computed in, the host gets float32."""
    array = HostCopy(torch.ones(2, 3, dtype=torch.float16)).numpy()

    assert array.dtype.name == "float32"
    assert array.shape == (2, 3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_results_come_home_from_a_gpu():
    """A copy that started before the numbers were ready holds the numbers."""
    values = torch.randn(512, 4096, device="cuda")
    product = values
    for _ in range(20):
        product = torch.nn.functional.normalize(product @ values.T @ values, dim=1)
    copy = HostCopy(product[:, :64])

    assert torch.equal(torch.from_numpy(copy.numpy()), product[:, :64].cpu())
