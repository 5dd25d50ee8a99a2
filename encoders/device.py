"""The one place that decides where tensors live, how many threads compute, and how torch's relatives are imported."""

import contextlib
import importlib.util
import logging
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

Dtype = Literal["auto", "float32", "float16", "bfloat16"]
CPU_QUOTA_FILE: Final = Path("/sys/fs/cgroup/cpu.max")
_TORCHAUDIO_EXTENSION: Final = "torchaudio._extension"


def prepare_torch(threads: int = -1) -> None:
    """Import torch, make ``torchaudio`` and ``transformers`` importable beside it, and set its threads.

    Call it before either is imported. Safe to call again.

    Args:
        threads: CPU threads of the forward pass; 0 takes as many as this process may use, -1 leaves them as they are.

    Raises:
        Misconfigured: If torch is missing.
    """
    try:
        import torch  # heavy, and absent where only light profiles run
    except ImportError as exc:
        raise Misconfigured("this model profile needs PyTorch: pip install 'torch>=2.6' 'torchaudio>=2.6'") from exc
    if torch.version.cuda is None:
        _stand_in_for_torchaudio_extension()
        _import_torchvision_without_operators()
    if threads >= 0:
        torch.set_num_threads(threads or usable_cpus())


@contextlib.contextmanager
def one_cpu_thread() -> Iterator[None]:
    """Let torch compute in this thread alone: for layers so small that waiting for another thread costs more."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _stand_in_for_torchaudio_extension() -> None:
    """Keep torchaudio's optional C++ part from being loaded.

    The wheel on the Python index is built against CUDA. Beside a CPU build of torch its library cannot load, and then
    ``import torchaudio`` fails as a whole, and with it parts of ``transformers``. The Python part needs none of it.
    """
    if _TORCHAUDIO_EXTENSION in sys.modules:
        return

    def unavailable(*_: object, **__: object) -> None:
        msg = "torchaudio's compiled extension is not loaded beside a CPU build of torch"
        raise RuntimeError(msg)

    stand_in: Any = types.ModuleType(_TORCHAUDIO_EXTENSION)
    stand_in._IS_TORCHAUDIO_EXT_AVAILABLE = False  # noqa: SLF001 - torchaudio's own name for it
    stand_in._IS_ALIGN_AVAILABLE = False  # noqa: SLF001
    stand_in._check_cuda_version = lambda: None  # noqa: SLF001
    stand_in._load_lib = lambda _: False  # noqa: SLF001
    stand_in.fail_if_no_align = lambda _: unavailable
    sys.modules[_TORCHAUDIO_EXTENSION] = stand_in


def _import_torchvision_without_operators() -> None:
    """Import torchvision, where it is installed but its compiled part is not built for this torch.

    As with torchaudio, the wheel on the Python index is built against CUDA, and whoever finds torchvision installed
    imports it: ``transformers`` and ``timm`` do. The import fails when it describes operators that were not loaded.
    Nothing here needs any of them.
    """
    spec = importlib.util.find_spec("torchvision") if "torchvision" not in sys.modules else None
    if spec is None or spec.origin is None:
        return
    torch: Any = importlib.import_module("torch")
    with contextlib.suppress(OSError, StopIteration):
        torch.ops.load_library(str(next(Path(spec.origin).parent.glob("_C.*"))))  # what torchvision itself tries
        return
    describe = torch.library.register_fake
    torch.library.register_fake = lambda *_, **__: lambda function: function
    try:
        importlib.import_module("torchvision")
    finally:
        torch.library.register_fake = describe


def usable_cpus(quota_file: Path = CPU_QUOTA_FILE) -> int:
    """Count the CPUs this process may use: its affinity, and a container's quota where there is one."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # no control groups, or no quota ("max 100000")
        quota_us, period_us = quota_file.read_text(encoding="ascii").split()
        cpus = min(cpus, max(1, int(quota_us) // int(period_us)))
    return cpus


def resolve_device(name: str) -> "torch.device":
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` into a device that is there.

    Raises:
        Misconfigured: If the named device is not.
    """
    prepare_torch()
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise Misconfigured(
            f"model.device: {name} asked for, but torch {torch.__version__} sees {torch.cuda.device_count()} CUDA "
            "devices; set model.device to auto or cpu, or install a CUDA build of torch and the driver"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise Misconfigured("model.device: mps asked for, but there is none here; set model.device to auto or cpu")
    return device


def resolve_dtype(name: Dtype, device: "torch.device") -> "torch.dtype":
    """Choose the precision of the forward pass: half on a GPU and single on a CPU, unless the profile says."""
    prepare_torch()
    import torch

    if name == "auto":
        name = "float16" if device.type == "cuda" else "float32"
    dtype: torch.dtype = getattr(torch, name)
    return dtype


class HostCopy:
    """A result on its way from the device to the host, so that the device starts the next batch meanwhile.

    Args:
        output: Tensor of shape (n, dims) on any device; the copy starts in the constructor and does not wait.
    """

    def __init__(self, output: "torch.Tensor") -> None:
        self._event: Any = None
        if not output.is_cuda:
            self._host = output.float().cpu()
            return
        import torch

        self._host = torch.empty(output.shape, dtype=torch.float32, pin_memory=True)
        self._host.copy_(output.float(), non_blocking=True)
        self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._event.record(torch.cuda.current_stream(output.device))

    def numpy(self) -> NDArray[np.float32]:
        """Wait for the copy and return it: float32 of shape (n, dims)."""
        if self._event is not None:
            self._event.synchronize()
        array: NDArray[np.float32] = self._host.numpy()
        return array
