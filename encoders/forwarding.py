"""Running one batch, and finding out who is to blame when it fails: the batch's size, one input, or the device.

Everything here runs in worker threads and knows nothing of the event loop.
"""

import gc
import logging
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from config.errors import CrosscurrentError, Reason, RejectEvent, RetryLater
from encoders.base import Encoder, EncoderInput
from encoders.samples import sample_input
from encoders.waiting import Outcome

log = logging.getLogger(__name__)


def prepare_each(encoder: Encoder, items: Sequence[EncoderInput]) -> list[Any]:
    """Prepare inputs one by one; a bad one becomes its ``RejectEvent`` in its place.

    Raises:
        RetryLater: If an encoder says so.
    """
    return [_prepare(encoder, item) for item in items]


def _prepare(encoder: Encoder, item: EncoderInput) -> Any:
    try:
        return encoder.prepare(item)
    except RejectEvent as exc:
        return exc
    except CrosscurrentError:
        raise
    except Exception as exc:
        log.exception("%s input could not be prepared", encoder.modality)
        return _rejection(encoder, exc)


def outcomes_of(encoder: Encoder, rows: Any, count: int) -> list[Outcome]:
    """Check vectors (count, dims) as they leave an encoder; a row that is not finite is refused alone.

    Raises:
        ValueError: If there are not as many rows as inputs, or they have another length than the space.
    """
    if rows.shape != (count, encoder.dims):
        msg = f"{encoder.modality} encoder gave vectors {rows.shape} for {count} inputs of {encoder.dims} numbers"
        raise ValueError(msg)
    finite = np.isfinite(rows).all(axis=1)
    error = ArithmeticError("its vector has no direction")
    return [row if good else _rejection(encoder, error) for row, good in zip(rows, finite, strict=True)]


def recover(encoder: Encoder, prepared: Sequence[Any], error: Exception) -> list[Outcome]:
    """Encode a batch that failed as a whole, in parts, in the device's thread.

    Out of memory: by halves, down to single inputs. Anything else: one by one.

    Args:
        encoder: The encoder that failed.
        prepared: The batch.
        error: What the whole batch failed with.

    Raises:
        RetryLater: If the device fails on a known good input too: then no input is to blame.
    """
    if isinstance(error, RetryLater):
        raise error
    if is_out_of_memory(error):
        _release_memory()
    if len(prepared) > 1:
        step = (len(prepared) + 1) // 2 if is_out_of_memory(error) else 1
        parts = [prepared[start : start + step] for start in range(0, len(prepared), step)]
        return [outcome for part in parts for outcome in _encode(encoder, part)]
    if isinstance(error, RejectEvent):
        return [error]
    _require_working_device(encoder)
    log.error("%s input could not be encoded", encoder.modality, exc_info=error)
    return [_rejection(encoder, error)]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device or the machine had too little memory; by words, so that torch need not be imported."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in words or "can't allocate memory" in words)


def _encode(encoder: Encoder, prepared: Sequence[Any]) -> list[Outcome]:
    try:
        return outcomes_of(encoder, encoder.finish(encoder.forward(prepared)), len(prepared))
    except Exception as exc:
        return recover(encoder, prepared, exc)


def _require_working_device(encoder: Encoder) -> None:
    """Tell a broken input from a broken device, which would otherwise dead-letter every event that comes.

    Raises:
        RetryLater: If a known good input fails as well.
    """
    try:
        encoder.finish(encoder.forward([encoder.prepare(sample_input(encoder.modality))]))
    except Exception as exc:
        message = (
            f"the {encoder.modality} encoder fails on known good input ({exc}); restart the worker, look at the device"
        )
        raise RetryLater(message, retry_after_s=5.0) from exc


def _rejection(encoder: Encoder, error: BaseException) -> RejectEvent:
    if is_out_of_memory(error):
        message = f"this {encoder.modality} needs more memory than the device has, even alone; send a smaller one"
    else:
        message = f"the {encoder.modality} encoder cannot encode this input ({type(error).__name__}: {error})"
    return RejectEvent(Reason.ENCODER_FAILED, message)


def _release_memory() -> None:
    gc.collect()
    torch: Any = sys.modules.get("torch")  # whoever ran out of a device's memory has imported it
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
