"""Inputs a second of every modality of a profile on the device that is there: one by one against the best batch.

Run: ``.venv/bin/python benchmarks/encoder_rates.py [--profile builtin] [--device cuda] [--unaligned] [--json FILE]``

Preparing runs on the CPU, in several threads while the device is busy, so it is measured for itself, in one thread.
The network's rate is that of ``forward`` and ``finish`` on inputs that are prepared already, each batch brought home
before the next starts. Inputs are random: texts of 12 words, pictures of 640 by 480, sounds of 5 s at 16 kHz.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from config.settings import ModelSettings
from config.vocabulary import Modality
from encoders.base import (
    AudioInput,
    Encoder,
    EncoderInput,
    EncoderSet,
    ImageInput,
    LocationInput,
    SensorInput,
    TextInput,
)
from encoders.forwarding import is_out_of_memory
from encoders.registry import load_encoders

WORDS = ("river", "boat", "night", "red", "small", "window", "garden", "music", "seven", "walks", "old", "rain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One modality's numbers, all of them inputs a second but the last two."""

    modality: str
    prepare: float
    single: float
    best: float
    best_batch: int
    single_ms: float


def some_input(modality: Modality, rng: np.random.Generator) -> EncoderInput:
    """Draw one input."""
    match modality:
        case Modality.TEXT:
            return TextInput(text=" ".join(rng.choice(WORDS, 12)))
        case Modality.IMAGE:
            return ImageInput(pixels=rng.integers(0, 256, (480, 640, 3), dtype=np.uint8))
        case Modality.AUDIO:
            return AudioInput(samples=rng.uniform(-0.5, 0.5, 80_000).astype(np.float32), sample_rate_hz=16_000)
        case Modality.LOCATION:
            return LocationInput(latitude=float(rng.uniform(-80, 80)), longitude=float(rng.uniform(-180, 180)))
        case _:
            values = rng.normal(20, 3, (48, 1)).astype(np.float32)
            return SensorInput(channels=("temperature_celsius",), sample_rate_hz=0.1, values=values)


def per_second(run: Callable[[], object], count: int, seconds: float) -> float:
    """Return how many inputs a second ``run`` handles that takes ``count`` at a time, after one run to warm up."""
    run()
    began, runs = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        run()
        runs += 1
    return runs * count / passed


def measure(encoder: Encoder, batches: Sequence[int], seconds: float) -> Rate:
    """Measure one modality; batches that the device has no memory for are left out, and so are larger ones."""
    rng = np.random.default_rng(0)
    items = [some_input(encoder.modality, rng) for _ in range(max(batches))]
    prepared = [encoder.prepare(item) for item in items]
    turns = itertools.cycle(items)
    rates: dict[int, float] = {}
    for batch in batches:
        try:
            rates[batch] = per_second(lambda: through(encoder, prepared[:batch]), batch, seconds)  # noqa: B023 - now
        except Exception as exc:
            if not is_out_of_memory(exc):
                raise
            break
    best = max(rates, key=lambda batch: rates[batch])
    return Rate(
        modality=str(encoder.modality),
        prepare=per_second(lambda: encoder.prepare(next(turns)), 1, seconds),
        single=rates[1],
        best=rates[best],
        best_batch=best,
        single_ms=1e3 / rates[1],
    )


def through(encoder: Encoder, prepared: Sequence[Any]) -> object:
    """Run prepared inputs through the network and bring their vectors home."""
    return encoder.finish(encoder.forward(prepared))


def circumstances(encoders: EncoderSet, settings: ModelSettings) -> dict[str, Any]:
    """Tell what was measured, and on what."""
    import torch

    from encoders.device import resolve_device

    device = resolve_device(settings.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    precisions = {str(network.dtype) for e in encoders.encoders.values() if (network := getattr(e, "_network", None))}
    return {
        "model": str(encoders.model),
        "device": name,
        "threads": torch.get_num_threads(),
        "precision": sorted(precisions),
        "torch": torch.__version__,
    }


def show(facts: dict[str, Any], rates: Sequence[Rate]) -> None:
    """Print the table."""
    about = [facts["device"], f"{facts['threads']} threads", *facts["precision"], f"torch {facts['torch']}"]
    table = Table(title=f"{facts['model']}: inputs/s ({', '.join(about)})")
    for heading in ("modality", "prepare, one thread", "one by one", "best batch", "of", "gain", "ms for one"):
        table.add_column(heading, justify="left" if heading == "modality" else "right")
    for rate in rates:
        numbers = [f"{number:,.{0 if number >= 100 else 1}f}" for number in (rate.prepare, rate.single, rate.best)]
        gain = f"{rate.best / rate.single:.1f}x"
        table.add_row(rate.modality, *numbers, str(rate.best_batch), gain, f"{rate.single_ms:.2f}")
    Console().print(table)


def main() -> None:
    """Read the arguments, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="builtin", help="a profile's name or file")
    parser.add_argument("--heads", help="heads trained on it")
    parser.add_argument(
        "--unaligned", action="store_true", help="without heads: how to measure profiles that lack them"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of the forward pass; 0 takes all")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64, 128, 256])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each measurement")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    args = parser.parse_args()
    settings = ModelSettings(profile=args.profile, heads=args.heads, device=args.device, threads=args.threads)
    encoders = load_encoders(settings, unaligned=args.unaligned)
    batches = sorted({1, *args.batches})
    rates = [
        measure(encoder, batches, args.seconds)
        for encoder in track(list(encoders.encoders.values()), description="measuring")
    ]
    facts = circumstances(encoders, settings)
    show(facts, rates)
    if args.json is not None:
        args.json.write_text(
            json.dumps(facts | {"rates": [asdict(rate) for rate in rates]}, indent=2) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
