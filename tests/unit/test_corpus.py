"""What did harm once does none: every file of the corpus is served or refused, soon and in little memory."""

import json
import subprocess
import sys
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
FILES = sorted(path.relative_to(CORPUS) for path in CORPUS.glob("*/*"))
MODALITIES = {"pictures": "image", "sounds": "audio", "clips": "video"}

DECODE = """
import json, resource, sys, time
from pathlib import Path
from config.vocabulary import Modality
from tests.fuzzing.decoding import File, outcome_of

def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

for line in sys.stdin:
    path, modality = line.split()
    before, began = peak_mib(), time.perf_counter()
    outcome = outcome_of(File(name=path, modality=Modality(modality), data=b""), Path(path).read_bytes())
    print(json.dumps({"outcome": outcome, "s": time.perf_counter() - began, "mib": peak_mib() - before}), flush=True)
"""


def test_every_file_says_how_it_was_made() -> None:
    """In the table of the README."""
    told = (CORPUS / "README.md").read_text(encoding="utf-8")
    assert [str(path) for path in FILES if f"`{path}`" not in told] == []


def test_files_are_decoded_or_refused_soon_and_in_little_memory() -> None:
    """In a process of its own: some of them ended the one that decoded them."""
    media = [path for path in FILES if path.parts[0] in MODALITIES]
    given = "".join(f"{CORPUS / path} {MODALITIES[path.parts[0]]}\n" for path in media)
    ended = subprocess.run([sys.executable, "-c", DECODE], input=given, capture_output=True, text=True, check=False)
    lines = ended.stdout.splitlines()
    assert len(lines) == len(media), f"ended with {ended.returncode} at {media[len(lines)]}: {ended.stderr[-1000:]}"
    for path, line in zip(media, lines, strict=True):
        told = json.loads(line)
        assert told["s"] < 5, path  # a millisecond, on a machine that does nothing else
        assert told["mib"] < 100, path
