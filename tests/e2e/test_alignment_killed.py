"""``train alignment`` survives SIGKILL: no cleaning up runs, and the same command still ends where it would have."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from encoders.alignment.record import RECORD, load_record
from encoders.alignment.run import CHECKPOINT
from tests.unit.workers.streams.support import inline, png

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STEPS = 400
COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (30, 30, 220), "white": (250, 250, 250)}
PATIENCE_S = 120


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Items whose texts name their pictures' colour among other words."""
    events = [
        {
            "type": "content.upsert",
            "item_id": f"{name}-{number}",
            "modalities": {"text": {"text": f"{name} thing {number}"}, "image": inline(png(colour))},
        }
        for number in range(20)
        for name, colour in COLOURS.items()
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")
    return file


def start(pairs: Path, out: Path) -> subprocess.Popen[bytes]:
    """The command, as a user starts it."""
    options = {
        "pairs": pairs, "out": out, "profile": "deterministic", "steps": STEPS, "patience": STEPS,
        "validation-share": 0.2, "batch-size": 32,
    }  # fmt: skip
    command = [sys.executable, "-m", "workers.operate", "train", "alignment"]
    command += [word for name, value in options.items() for word in (f"--{name}", str(value))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def kill_after(process: subprocess.Popen[bytes], checkpoint: Path, step: int, *, since: int = 0) -> int:
    """SIGKILL the command once a checkpoint says that it did so many steps, and return how many it says.

    A checkpoint of fewer steps than ``since`` would be one of a run that began anew.
    """
    deadline = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < deadline and process.poll() is None:
            if checkpoint.exists():
                done = steps_of(checkpoint)
                assert done >= since
                if done >= step:
                    process.send_signal(signal.SIGKILL)
                    assert process.wait() == -signal.SIGKILL
                    return done
            time.sleep(0.01)
    finally:
        process.kill()
    raise AssertionError(f"no checkpoint of step {step}: {process.communicate()[1].decode()[-2000:]}")


def steps_of(checkpoint: Path) -> int:
    """Steps that a checkpoint has."""
    return int(torch.load(checkpoint, weights_only=True)["fitter"]["steps_done"])


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for a command that ends by itself."""
    _, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, told.decode()[-2000:]


def logged(folder: Path) -> list[dict[str, Any]]:
    """What the run measured, step by step."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_killed_twice_it_ends_like_an_unbroken_run(tmp_path: Path, pairs: Path) -> None:
    """Scores, heads and weights per dimension are the same but for the order in which products were summed."""
    broken, unbroken = tmp_path / "a" / "mine", tmp_path / "b" / "mine"
    first = kill_after(start(pairs, broken), broken / CHECKPOINT, 100)
    again = kill_after(start(pairs, broken), broken / CHECKPOINT, first + 1, since=first)
    assert first < again < STEPS
    assert not (broken / RECORD).exists()

    for process in [start(pairs, broken), start(pairs, unbroken)]:
        finish(process)

    ours, theirs = load_record(broken), load_record(unbroken)
    assert ours.facts["best_step"] == theirs.facts["best_step"]
    for pair, scores in theirs.facts["validation"].items():
        assert ours.facts["validation"][pair] == pytest.approx(scores, abs=1e-6)
        assert scores["recall_at_10"] > 0.9, "it learnt something that a broken run could lose"
    assert ours.dimension_weights is not None
    assert theirs.dimension_weights is not None
    np.testing.assert_allclose(ours.dimension_weights.values, theirs.dimension_weights.values, atol=1e-3)
    for modality in theirs.files:
        heads = [load_file(folder / f"{modality}.safetensors") for folder in (broken, unbroken)]
        for name, weights in heads[0].items():
            np.testing.assert_allclose(weights, heads[1][name], atol=1e-4)
    lines, expected = logged(broken), logged(unbroken)
    assert [line["step"] for line in lines] == [line["step"] for line in expected] == list(range(1, STEPS + 1))
    assert [line["loss"] for line in lines] == pytest.approx([line["loss"] for line in expected], abs=1e-3)
    assert not (broken / CHECKPOINT).exists()
