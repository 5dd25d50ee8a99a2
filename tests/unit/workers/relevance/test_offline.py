"""The commands end to end without any server: items from a file, judged queries, clicks, and the encoders of tests."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from fusion.attention_weights import WEIGHTS_FILE, read_weights
from fusion.learning.card import CARD
from tests.unit.workers.relevance.logs import biased_log, write
from workers.operate.cli import app

WORDS = [
    f"{colour} {thing}" for colour in ("red", "blue", "old", "new") for thing in ("cat", "car", "hat", "sun", "key")
]


@pytest.fixture
def items(tmp_path: Path) -> Path:
    """Twenty texts."""
    events = [
        {
            "type": "content.upsert",
            "item_id": word.replace(" ", "-"),
            "occurred_at": "2026-05-01T12:00:00Z",
            "modalities": {"text": {"text": word}},
            "attributes": {"colour": word.split()[0]},
        }
        for word in WORDS
    ]
    return write(tmp_path / "items.jsonl", *events)


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """Each text asks for itself, and the plain list finds it."""
    lines = [
        {"query": {"parts": [{"modality": "text", "text": word}]}, "relevant": [word.replace(" ", "-")]}
        for word in WORDS
    ]
    return write(tmp_path / "judged.jsonl", *lines)


def run(tmp_path: Path, *words: str) -> Result:
    """A command under settings that need no weights and no servers."""
    config = tmp_path / "settings.yaml"
    config.write_text(yaml.safe_dump({"model": {"profile": "deterministic"}}), encoding="utf-8")
    return CliRunner().invoke(app, ["--config", str(config), *words])


def test_rankings_are_measured_side_by_side(tmp_path: Path, items: Path, judged: Path) -> None:
    """What asks for itself is found first under both settings, unless a filter forbids it under one."""
    words = ("evaluate", "ranking", str(judged), "--items", str(items), "--b", 'filter=.colour == "red"')

    told = run(tmp_path, *words, "--json")
    shown = run(tmp_path, *words)

    assert told.exit_code == 0, told.output
    report = json.loads(told.stdout)
    assert report["runs"]["a"]["ndcg_at_10"]["mean"] == 1.0
    assert report["runs"]["b"]["ndcg_at_10"]["mean"] == pytest.approx(5 / 20)
    assert report["difference"]["ndcg_at_10"]["high"] < 0
    assert (report["better"], report["worse"]) == (0, 15)
    assert "15 worse" in shown.stdout


def test_queries_that_fail_are_told(tmp_path: Path, items: Path, judged: Path) -> None:
    """They count as nothing found, and the command ends with 1."""
    done = run(tmp_path, "evaluate", "ranking", str(judged), "--items", str(items), "--a", "k=2000")

    assert done.exit_code == 1
    assert "counted as nothing found" in done.stderr


@pytest.mark.parametrize("source", ["judged", "clicks"])
def test_weights_are_trained_and_loaded(tmp_path: Path, items: Path, judged: Path, source: str) -> None:
    """From judged queries or from clicks; the card says from which, and a setting loads them."""
    out = tmp_path / "mine"
    if source == "judged":
        given = ["--judged", str(judged)]
    else:
        shown = {word: [word.replace(" ", "-"), "red-cat", "old-sun", "new-key"] for word in WORDS[1:15]}
        wanted = {word: {order[0]: 0.9} for word, order in shown.items()}
        given = ["--interactions", str(write(tmp_path / "log.jsonl", *biased_log(wanted, shown, eta=1.0, often=12)))]

    done = run(tmp_path, "train", "fusion", *given, "--items", str(items), "--out", str(out), "--steps", "4")

    assert done.exit_code == 0, done.output
    weights = read_weights(out)
    assert (str(weights.model), weights.name.split("@")[0]) == ("deterministic@1", "mine")
    assert weights.facts["validation_ndcg_at_10"] >= weights.facts["validation_ndcg_at_10_before"]
    card = (out / CARD).read_text(encoding="utf-8")
    assert ("judged queries" if source == "judged" else "clicks on the results") in card
    assert (source == "clicks") == ("eta" in weights.facts)

    config: dict[str, Any] = {"model": {"profile": "deterministic"}, "query": {"fusion_weights": str(out)}}
    (tmp_path / "use.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    words = ["evaluate", "ranking", str(judged), "--items", str(items), "--a", "fusion.strategy=attention", "--json"]
    used = CliRunner().invoke(app, ["--config", str(tmp_path / "use.yaml"), *words])
    assert used.exit_code == 0, used.output
    assert json.loads(used.stdout)["runs"]["a"]["ndcg_at_10"]["mean"] == 1.0


def test_weights_that_are_not_there_are_refused(tmp_path: Path, items: Path, judged: Path) -> None:
    """Before anything is asked, with the way out."""
    config = {"model": {"profile": "deterministic"}, "query": {"fusion_weights": "nobody"}}
    (tmp_path / "use.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    words = ["evaluate", "ranking", str(judged), "--items", str(items)]

    done = CliRunner().invoke(app, ["--config", str(tmp_path / "use.yaml"), *words])

    assert done.exit_code == 78
    assert "crosscurrent train fusion" in done.stderr


def test_one_source_is_named(tmp_path: Path, judged: Path) -> None:
    """Neither none nor two."""
    both = run(tmp_path, "train", "fusion", "--judged", str(judged), "--builtin", "--out", str(tmp_path / "x"))
    none = run(tmp_path, "train", "fusion", "--out", str(tmp_path / "x"))

    assert both.exit_code == none.exit_code == 2
    assert not (tmp_path / "x" / WEIGHTS_FILE).exists()


def test_items_that_cannot_be_indexed_are_told(tmp_path: Path, judged: Path) -> None:
    """With their line: a ranking of the others would be another."""
    broken = write(tmp_path / "broken.jsonl", {"type": "content.upsert", "item_id": "x"})

    done = run(tmp_path, "evaluate", "ranking", str(judged), "--items", str(broken))

    assert done.exit_code == 78
    assert "line 1: modalities" in done.stderr
