"""What a run measured, step by step: JSON lines always, TensorBoard where it is installed."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

log = logging.getLogger(__name__)

METRICS = "metrics.jsonl"
TENSORBOARD = "tensorboard"


class Tracker:
    """Logs of one run.

    Args:
        folder: Gets ``metrics.jsonl`` and ``tensorboard/``.
        first_step: Steps that were done before; later lines of a broken run are dropped, for they come again.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        path = folder / METRICS
        kept = _lines_until(path, first_step)
        path.write_text("".join(kept), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")
        self._writer = _summary_writer(folder / TENSORBOARD, first_step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        if self._writer is not None:
            self._writer.close()

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Note what a step measured."""
        self._file.write(json.dumps({"step": step, **{k: round(v, 6) for k, v in scalars.items()}}) + "\n")
        if self._writer is not None:
            for name, value in scalars.items():
                self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """Write out what is held back, before a checkpoint says that it is done."""
        self._file.flush()
        if self._writer is not None:
            self._writer.flush()


def _lines_until(path: Path, step: int) -> list[str]:
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]  # a kill may have cut the last one
    return [line for line in whole if json.loads(line)["step"] <= step]


def _summary_writer(folder: Path, first_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info("no TensorBoard logs: pip install 'crosscurrent[train]' adds them; metrics.jsonl has the same numbers")
        return None
    # purge_step hides what a broken run logged after its last checkpoint.
    return SummaryWriter(folder, purge_step=first_step or None)
