"""Single requests under steady load, next to offline batches of the best size: what does micro-batching cost?

Run: ``.venv/bin/python benchmarks/microbatching.py [--modality text] [--repeats 7] [--seconds 3] [--json]``

Offline is the best that plain code gets out of the same encoder: batches of 1, 2, 4, … 256, prepared in the loop itself
or by two threads one batch ahead of the network, whichever is fastest. The batcher serves so many concurrent callers,
each of whom awaits one input after the other. Both take the same inputs, decoded beforehand. The sides alternate, and
each round gives one ratio: a machine that others use slows both. CPU time for each input is told beside, which others
change least. Last, the time of a lone request.
"""

import os

# As workers have it, before numpy is imported: two threads of OpenBLAS wait for each other on cores that others use.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import asyncio
import itertools
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from config.settings import MediaSettings, ModelSettings
from config.vocabulary import Modality
from encoders.base import Encoder, EncoderInput, EncoderSet, TextInput
from encoders.batching import DeviceBatcher
from encoders.builtin.corpus import Corpus
from encoders.media.audio import decode_audio
from encoders.media.image import decode_image
from encoders.registry import load_encoders

MODALITIES: Final = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)
SIZES: Final = tuple(2**power for power in range(9))
LANGUAGES: Final = ("name", "name_zh", "name_es", "name_de", "name_fr", "name_ja")
INPUTS: Final = 512
PREPARING_THREADS: Final = 2  # as the batcher has
SCAN_SHARE: Final = 0.3  # of a round's time, for each size while the best is looked for
FINALISTS: Final = (6, 6, 3, 3)  # are tried again: once is not enough beside others
SETTLED_BATCHES: Final = 4  # the first are as small as whatever came first
LEAST_BATCHES: Final = 4
LONE_REQUESTS: Final = 100
GOAL: Final = 0.9

Cost = dict[str, float]
Offline = Callable[[Encoder, Sequence[EncoderInput], int, float], Cost]


class Meter:
    """Inputs a second and CPU milliseconds for each, since it was made."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), time.process_time()

    def read(self, done: int) -> dict[str, float]:
        """What so many inputs took."""
        wall_s, cpu_s = time.perf_counter() - self._began, time.process_time() - self._cpu
        return {"per_s": done / wall_s, "cpu_ms": cpu_s * 1e3 / max(done, 1)}

    def passed(self, seconds: float) -> bool:
        """Whether so much time went by."""
        return time.perf_counter() - self._began >= seconds


def inputs_of(corpus: Corpus, modality: Modality) -> list[EncoderInput]:
    """Names in six languages, pictures or spoken names, decoded."""
    items, media = list(corpus.items.values())[:INPUTS], MediaSettings()
    if modality is Modality.TEXT:
        names = [str(one.attributes.get(LANGUAGES[n % len(LANGUAGES)], one.name)) for n, one in enumerate(items)]
        return [TextInput(text=name) for name in names]
    if modality is Modality.IMAGE:
        return [decode_image(corpus.media(one.item_id, "image"), media) for one in items]
    return [decode_audio(corpus.media(one.item_id, "audio"), media) for one in items]


def batches(inputs: Sequence[EncoderInput], size: int) -> Iterator[list[EncoderInput]]:
    """Batches for ever, the inputs in turn."""
    turning = itertools.cycle(inputs)
    while True:
        yield list(itertools.islice(turning, size))


def in_a_loop(encoder: Encoder, inputs: Sequence[EncoderInput], size: int, seconds: float) -> Cost:
    """One thread does everything."""
    done, meter = 0, Meter()
    for batch in batches(inputs, size):
        encoder.finish(encoder.forward([encoder.prepare(one) for one in batch]))
        done += size
        if meter.passed(seconds):
            break
    return meter.read(done)


def overlapped(encoder: Encoder, inputs: Sequence[EncoderInput], size: int, seconds: float) -> Cost:
    """Threads prepare the next batch while the network runs this one."""
    with ThreadPoolExecutor(PREPARING_THREADS) as threads:

        def start(batch: Sequence[EncoderInput]) -> list[Future[list[Any]]]:
            step = -(-len(batch) // PREPARING_THREADS)
            parts = [batch[at : at + step] for at in range(0, len(batch), step)]
            return [threads.submit(lambda part: [encoder.prepare(one) for one in part], part) for part in parts]

        source = batches(inputs, size)
        ahead = start(next(source))
        done, meter = 0, Meter()
        while not done or not meter.passed(seconds):
            prepared = [one for part in ahead for one in part.result()]
            ahead = start(next(source))
            encoder.finish(encoder.forward(prepared))
            done += size
        return meter.read(done)


WAYS: Final[Mapping[str, Offline]] = {"in a loop": in_a_loop, "overlapped": overlapped}


class Diary:
    """When each batch was done, what the process had computed by then, and how many inputs it held."""

    def __init__(self) -> None:
        self._batches: list[tuple[float, float, int]] = []

    def observe(self, modality: Modality, size: int, wait_s: float, encode_s: float) -> None:
        """Note a batch of the device."""
        del modality, wait_s, encode_s
        self._batches.append((time.perf_counter(), time.process_time(), size))

    def __len__(self) -> int:
        return len(self._batches)

    def cost(self, settled: int, ended: int) -> Cost:
        """From the end of one batch to the end of another: whole batches in whole time."""
        (began, cpu_began, _), *counted = self._batches[settled - 1 : ended]
        done = sum(size for _, _, size in counted)
        return {"per_s": done / (counted[-1][0] - began), "cpu_ms": (counted[-1][1] - cpu_began) * 1e3 / done}


async def served(
    encoders: EncoderSet, modality: Modality, inputs: Sequence[EncoderInput], callers: int, seconds: float
) -> Cost:
    """So many callers await single encodings; counted once all are under way."""
    diary = Diary()
    batcher = DeviceBatcher(encoders, ModelSettings(), diary)
    turning, stop = itertools.cycle(inputs), False

    async def call() -> None:
        while not stop:
            await batcher.encode(modality, next(turning))

    async def batches(count: int) -> None:
        while len(diary) < count:  # noqa: ASYNC110 - looking now and then is no work
            await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(call()) for _ in range(callers)]
    await batches(SETTLED_BATCHES)
    settled = len(diary)
    await asyncio.sleep(seconds)
    await batches(settled + LEAST_BATCHES)
    ended, stop = len(diary), True
    await asyncio.gather(*tasks)
    await batcher.close()
    return diary.cost(settled, ended)


async def alone(encoders: EncoderSet, modality: Modality, inputs: Sequence[EncoderInput]) -> float:
    """Median milliseconds of a request while there is no other."""
    batcher = DeviceBatcher(encoders, ModelSettings())
    times = []
    for one in itertools.islice(itertools.cycle(inputs), LONE_REQUESTS):
        began = time.perf_counter()
        await batcher.encode(modality, one)
        times.append((time.perf_counter() - began) * 1e3)
    await batcher.close()
    return statistics.median(times)


def measure(
    encoders: EncoderSet,
    modality: Modality,
    tell: Callable[[str], None],
    *,
    callers: int,
    repeats: int,
    seconds: float,
) -> dict[str, Any]:
    """Look for the best offline batches, then alternate with the batcher."""
    encoder, inputs = encoders.encoders[modality], inputs_of(Corpus(), modality)
    scan: dict[tuple[str, int], list[float]] = {each: [] for each in itertools.product(WAYS, SIZES)}
    hopeful = list(scan)
    for count in (len(scan), *FINALISTS):
        hopeful = sorted(hopeful, key=lambda each: -max(scan[each], default=0.0))[:count]
        for way, size in hopeful:
            tell(f"{modality}: offline, {way}, batches of {size}")
            scan[way, size].append(WAYS[way](encoder, inputs, size, SCAN_SHARE * seconds)["per_s"])
    way, size = max(scan, key=lambda each: max(scan[each]))
    rounds = []
    for number in range(repeats):
        tell(f"{modality}: round {number + 1} of {repeats}")
        sides: list[Callable[[], tuple[str, Cost]]] = [
            lambda: ("offline", WAYS[way](encoder, inputs, size, seconds)),
            lambda: ("served", asyncio.run(served(encoders, modality, inputs, callers, seconds))),
        ]
        rounds.append(dict(side() for side in (sides if number % 2 else reversed(sides))))
    ratios = sorted(one["served"]["per_s"] / one["offline"]["per_s"] for one in rounds)
    tell(f"{modality}: lone requests")
    lone_ms = asyncio.run(alone(encoders, modality, inputs))
    return {
        "scan": {f"{each[0]}, {each[1]}": round(max(rates), 1) for each, rates in scan.items()},
        "best": {"way": way, "size": size},
        "rounds": rounds,
        "offline": {key: statistics.median(one["offline"][key] for one in rounds) for key in ("per_s", "cpu_ms")},
        "served": {key: statistics.median(one["served"][key] for one in rounds) for key in ("per_s", "cpu_ms")},
        "ratios": ratios,
        "ratio": statistics.median(ratios),
        "lone_ms": lone_ms,
    }


def machine() -> dict[str, Any]:
    """What it was measured on."""
    import torch

    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return {
        "cpu": model[0] if model else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
    }


def show(report: Mapping[str, Any], callers: int) -> None:
    """Print the table."""
    about = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in report["machine"].items())
    table = Table(title=f"single requests by {callers} callers beside offline batches\n{about}", title_justify="left")
    for name in ("modality", "best offline"):
        table.add_column(name)
    for name in (
        "offline /s",
        "served /s",
        "ratio",
        "lowest",
        "highest",
        "CPU ms: offline",
        "served",
        "lone request, ms",
    ):
        table.add_column(name, justify="right")
    for modality, one in report["modalities"].items():
        best = f"{one['best']['size']}, {one['best']['way']}"
        rates = [f"{one[side]['per_s']:,.0f}" for side in ("offline", "served")]
        costs = [f"{one[side]['cpu_ms']:.2f}" for side in ("offline", "served")]
        ratio = f"{one['ratio']:.2f}" + ("" if one["ratio"] >= GOAL else " (below goal)")
        spread = [f"{one['ratios'][place]:.2f}" for place in (0, -1)]
        table.add_row(modality, best, *rates, ratio, *spread, *costs, f"{one['lone_ms']:.1f}")
    Console(width=120).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--modality", type=Modality, action="append", choices=MODALITIES, help="only this one; repeatable"
    )
    parser.add_argument("--callers", type=int, default=256, help="concurrent callers of the batcher")
    parser.add_argument("--repeats", type=int, default=7, help="rounds, each of both sides")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each side of a round")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    wanted = parser.parse_args()
    encoders = load_encoders(ModelSettings())
    found = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring", total=None)
        for modality in wanted.modality or MODALITIES:
            found[str(modality)] = measure(
                encoders,
                modality,
                lambda text: progress.update(task, description=text),
                callers=wanted.callers,
                repeats=wanted.repeats,
                seconds=wanted.seconds,
            )
    report = {"machine": machine(), "callers": wanted.callers, "modalities": found}
    if wanted.json:
        print(json.dumps(report, indent=2))
    else:
        show(report, wanted.callers)


if __name__ == "__main__":
    main()
