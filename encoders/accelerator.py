"""How much memory this process holds on the accelerator, for a gauge."""

import sys


def accelerator_memory_bytes() -> int:
    """Bytes that torch has reserved on all CUDA devices; 0 without one, and torch is not imported to find out."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return 0
    return sum(torch.cuda.memory_reserved(device) for device in range(torch.cuda.device_count()))
