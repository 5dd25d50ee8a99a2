"""Damaged media files, decoded one by one in a process of their own: how long each takes, and whether one crashes it.

``python -m tests.fuzzing.decoding FIRST END SEED NOTES`` writes a line to the file NOTES before and after each file, so
that whoever started it knows at which one it died.
"""

import json
import resource
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from config.errors import MediaRejected
from config.settings import MediaSettings
from config.vocabulary import Modality
from encoders.media.audio import decode_audio
from encoders.media.image import decode_image
from encoders.media.video import decode_video
from tests.fuzzing.seeds import File, fuzzed_file, media_seeds

DECODERS: Final = {Modality.IMAGE: decode_image, Modality.AUDIO: decode_audio, Modality.VIDEO: decode_video}
SETTINGS: Final = MediaSettings()


def outcome_of(file: File, data: bytes, settings: MediaSettings = SETTINGS) -> str:
    """``decoded``, or the reason of the refusal; anything else that is raised is a defect and raised on."""
    try:
        DECODERS[file.modality](data, settings)
    except MediaRejected as refusal:
        assert refusal.message
        return str(refusal.reason)
    return "decoded"


def resident_mib(pid: int | str = "self") -> float:
    """Memory of a process that is in use now."""
    [line] = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


@dataclass(kw_only=True)
class Decoded:
    """What became of the files.

    Args:
        outcomes: By format and outcome.
        slowest: (seconds, number, format), the slowest last.
        crashes: (number, format, exit status) of files that ended the process.
        resident: (files, MiB), every 250 files.
        peak_mib: The largest of any process.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    slowest: list[tuple[float, int, str]] = field(default_factory=list)
    crashes: list[tuple[int, str, int]] = field(default_factory=list)
    resident: list[tuple[int, float]] = field(default_factory=list)
    peak_mib: float = 0.0


def decode_apart(count: int, seed: int, folder: Path) -> Decoded:
    """Decode so many damaged files in child processes, a new one after each crash."""
    found, first, names = Decoded(), 0, [file.name for file in media_seeds()]
    while first < count:
        notes = folder / f"from-{first}.jsonl"
        command = [sys.executable, "-m", "tests.fuzzing.decoding", *map(str, (first, count, seed, notes))]
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
        last = _read(notes, found)
        if ended.returncode == 0:
            break
        if ended.returncode > 0:  # an error of Python's, which no file may cause
            raise RuntimeError(f"file {last} of seed {seed}: {ended.stderr[-2000:]}")
        found.crashes.append((last, names[last % len(names)], ended.returncode))
        first = last + 1
    found.slowest.sort()
    return found


def _read(notes: Path, found: Decoded) -> int:
    last = -1
    for line in notes.read_text().splitlines():
        told = json.loads(line)
        last = told["number"]
        if "outcome" in told:
            found.outcomes[told["name"], told["outcome"]] += 1
            found.slowest.append((told["s"], told["number"], told["name"]))
            found.peak_mib = max(found.peak_mib, told["peak_mib"])
            if last % 250 == 0:
                found.resident.append((last, told["mib"]))
    return last


def _decode(first: int, end: int, seed: int, notes: Path) -> None:
    files = media_seeds()
    with notes.open("a", buffering=1) as out:
        for number in range(first, end):
            file, data = fuzzed_file(number, seed, files)
            out.write(json.dumps({"number": number}) + "\n")
            began = time.perf_counter()
            told = {"number": number, "name": file.name, "outcome": outcome_of(file, data)}
            used = {"s": time.perf_counter() - began, "mib": resident_mib() if number % 250 == 0 else 0.0}
            peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            out.write(json.dumps(told | used | {"peak_mib": peak_mib}) + "\n")


if __name__ == "__main__":
    _decode(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
