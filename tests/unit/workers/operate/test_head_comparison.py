"""Heads under similarities on planted pairs, and what the commands say of them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from config.errors import Misconfigured
from config.vocabulary import ModelRef
from encoders.alignment.options import FitOptions
from encoders.alignment.sightings import Sighted, sight
from tests.unit.encoders.alignment.planted import planted
from tests.unit.workers.streams.support import inline, png
from workers.operate.cli import app
from workers.operate.head_comparison import METHODS, Tell, Trial, chosen_methods, compare_heads, heads_table

QUICK = {
    "procrustes": FitOptions(head="linear", solver="procrustes"),
    "network": FitOptions(dims=16, hidden=32, steps=40, batch_size=64, learning_rate=3e-3, warm_up_steps=5),
    "binary": FitOptions(dims=16, hidden=32, steps=40, batch_size=64, learning_rate=3e-3, warm_up_steps=5, binary=True),
}


@contextmanager
def unwatched(_: str) -> Iterator[Tell]:
    """Nobody looks."""
    yield lambda *_: None


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """Three heads on planted pairs, measured on items of another seed."""
    seen = sight(planted(80, seed=5, noise=0.15))
    test = Sighted(queries=seen, items=seen)
    trial = Trial(title="planted", base=ModelRef("planted", "1"), training=planted(200, noise=0.15), test=test)
    return compare_heads(trial, QUICK, unwatched)


def test_every_head_is_measured_by_every_similarity(report: dict[str, Any]) -> None:
    """On all six ordered pairs of three modalities; every head learnt something."""
    assert report["heads"].keys() == QUICK.keys()
    for one in report["heads"].values():
        assert one["similarities"].keys() == {"cosine", "euclidean", "weighted_cosine", "hamming"}
        for scores in one["similarities"].values():
            assert len(scores["pairs"]) == 6
            assert scores["mean"]["items"] == 80
        assert one["similarities"]["cosine"]["mean"]["recall_at_10"] > 0.5, "chance is 0.125"
    assert heads_table(report).row_count == 3


def test_euclidean_and_cosine_score_the_same(report: dict[str, Any]) -> None:
    """Not nearly: exactly, for every head and pair. The weighted cosine and codes do not."""
    for one in report["heads"].values():
        assert one["similarities"]["euclidean"]["pairs"] == one["similarities"]["cosine"]["pairs"]
        assert one["similarities"]["weighted_cosine"]["pairs"] != one["similarities"]["cosine"]["pairs"]
        assert one["similarities"]["hamming"]["pairs"] != one["similarities"]["cosine"]["pairs"]


def test_codes_find_most_of_what_vectors_find(report: dict[str, Any]) -> None:
    """Sixteen bits instead of sixteen numbers, trained for them."""
    binary = report["heads"]["binary"]["similarities"]
    assert binary["hamming"]["mean"]["recall_at_10"] > 0.5 * binary["cosine"]["mean"]["recall_at_10"]


def test_heads_are_chosen_by_name() -> None:
    """All, some, or a refusal that names them."""
    assert chosen_methods((), steps=7, seed=1).keys() == METHODS.keys()
    assert chosen_methods(("network",), steps=7, seed=1)["network"].steps == 7
    with pytest.raises(Misconfigured, match="choose among linear, least squares; "):
        chosen_methods(("magic",), steps=7, seed=1)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Items whose texts name their pictures' colour among other words."""
    rng = np.random.default_rng(0)
    colours = {f"colour{number}": tuple(int(v) for v in rng.integers(0, 255, 3)) for number in range(12)}
    events = [
        {
            "type": "content.upsert",
            "item_id": f"{name}-{number}",
            "modalities": {"text": {"text": f"{name} thing {number}"}, "image": inline(png(colour))},  # type: ignore[arg-type]
            "attributes": {"colour": name},
        }
        for number in range(8)
        for name, colour in colours.items()
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")
    return file


def run(*command: str) -> Any:
    """A command in this process."""
    return CliRunner().invoke(app, [*command, "--profile", "deterministic"])


def test_the_command_compares_heads_on_a_file(pairs: Path) -> None:
    """As JSON, with items and encoders of the user's; without a file a profile means nothing."""
    done = run(
        "evaluate", "heads", "--pairs", str(pairs), "--head", "linear, least squares", "--cache", str(pairs.parent),
        "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["model"], report["training"], report["test"]) == ("deterministic@1", 72, {"text": 24, "image": 24})
    assert report["heads"].keys() == {"linear, least squares"}
    assert run("evaluate", "heads").exit_code == 2


def test_weights_learnt_by_the_command_are_used(pairs: Path, tmp_path: Path) -> None:
    """From a file to a file, which search reads by a setting; both similarities are measured on items kept aside."""
    out, cache = tmp_path / "weights.json", str(tmp_path)
    done = run("train", "weights", "--pairs", str(pairs), "--out", str(out), "--cache", cache, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["similarities"].keys() == {"cosine", "weighted_cosine"}
    assert report["weights"]["smallest"] < 1.0 < report["weights"]["largest"]

    config = tmp_path / "settings.yaml"
    config.write_text(f"model: {{dimension_weights: '{out}'}}\n")
    command = ["--config", str(config), "evaluate", "pairs", "--pairs", str(pairs), "--similarity", "weighted_cosine"]
    done = run(*command, "--same", "colour", "--cache", cache, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["similarity"] == "weighted_cosine"
