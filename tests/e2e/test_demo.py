"""The whole system through its command line: real broker, real Redis, three worker processes, nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from encoders.builtin.artifacts import IMAGE_FILE, TEXT_FILE, WEIGHTS
from encoders.builtin.speech import WEIGHTS_FILE as SPEECH_FILE

HAS_WEIGHTS = all((WEIGHTS / name).exists() for name in (TEXT_FILE, IMAGE_FILE, SPEECH_FILE))
PROFILE = "builtin" if HAS_WEIGHTS else "deterministic"
ITEMS = 60
COMMAND = [sys.executable, "-m", "workers.operate"]
PROGRAMS = ("tansu", "redis-server", "workers.operate")


def environment(scratch: Path) -> dict[str, str]:
    """Ours, with a mark by which every process of the test is found again and a folder for what is temporary."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CROSSCURRENT_")}
    return clean | {"TMPDIR": str(scratch), "TEST_MARK": str(scratch)}


def processes_of(scratch: Path) -> list[str]:
    """Command lines of the living processes that carry the test's mark."""
    mark, found = f"TEST_MARK={scratch}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found += [command] if any(program in command for program in PROGRAMS) else []
        except OSError:
            continue
    return found


def wait_for(text: str, log: Path, *, within_s: float = 120.0) -> str:
    """What a process has written, once it holds the text."""
    deadline = time.monotonic() + within_s
    while text not in (written := log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert text in written, written
    return written


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A demo of sixty items: its JSON, what it printed, and what it left."""
    folder = tmp_path_factory.mktemp("demo")
    scratch = folder / "scratch"
    scratch.mkdir()
    options = ["--limit", str(ITEMS), "--json", str(folder / "demo.json"), "--profile", PROFILE]
    done = subprocess.run(
        [*COMMAND, "demo", *options], check=False, env=environment(scratch), capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {
        "report": json.loads((folder / "demo.json").read_text()),
        "printed": done.stdout,
        "processes": processes_of(scratch),
        "files": [str(path) for path in scratch.rglob("*")],
    }


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_item_is_indexed_and_found(seen: dict[str, Any]) -> None:
    """Nothing is refused, nothing is lost, and each item's neighbours can be asked for."""
    report = seen["report"]
    assert report["content_indexed"] == ITEMS
    assert report["found_by_similar"] == ITEMS
    assert report["dead_letters"] == 0
    assert report["problems"] == []
    assert 0 < report["event_to_searchable_ms"]["p50"] <= report["event_to_searchable_ms"]["p99"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_kind_of_question_is_answered(seen: dict[str, Any]) -> None:
    """Questions of every kind and modality have hits, each with its modalities."""
    queries = {query["name"]: query for query in seen["report"]["queries"]}
    assert len(queries) >= 8
    assert {query["kind"] for query in queries.values()} == {"search", "recommend", "similar"}
    asked = {part for query in queries.values() for part in query["modalities"]}
    assert asked == {"text", "image", "audio", "location", "sensor"}
    for query in queries.values():
        assert query["hits"], query["name"]
        assert query["latency_ms"] > 0
        scores = [hit["score"] for hit in query["hits"]]
        assert scores == sorted(scores, reverse=True)
        if query["name"] != "cold-user":  # trends are counted, not compared
            assert all(hit["modality_scores"] for hit in query["hits"]), query["name"]
    assert all(hit["item_id"] != "emoji-1f680" for hit in queries["similar"]["hits"]), (
        "an item is no neighbour of itself"
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(PROFILE != "builtin", reason="the built-in weights are not here: the others know no cats")
@pytest.mark.parametrize("name", ["text-to-image", "chinese-to-image", "image", "speech"])
def test_cats_are_found_by_word_picture_and_voice(seen: dict[str, Any], name: str) -> None:
    """A cat is among the first three pictures, whichever way it is asked for."""
    [query] = [query for query in seen["report"]["queries"] if query["name"] == name]
    assert any("cat" in hit["label"] for hit in query["hits"][:3]), query["hits"]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(PROFILE != "builtin", reason="the built-in weights are not here: the others know no places")
@pytest.mark.parametrize(
    ("name", "wanted"),
    [("clip", "rocket"), ("place", "flag: Japan"), ("readings", "cloud with lightning and rain")],
)
def test_clips_places_and_readings_find_what_they_show(seen: dict[str, Any], name: str, wanted: str) -> None:
    """What a clip shows, where a place lies and what the weather was is among the first three."""
    [query] = [query for query in seen["report"]["queries"] if query["name"] == name]
    assert any(wanted in hit["label"] for hit in query["hits"][:3]), query["hits"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_is_left_behind(seen: dict[str, Any]) -> None:
    """No process, no temporary file."""
    assert seen["processes"] == []
    assert seen["files"] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_printed_can_be_read_in_a_file(seen: dict[str, Any]) -> None:
    """Piped output holds the rankings and the summary, and no control characters of a terminal."""
    assert "\x1b" not in seen["printed"]
    for words in ("neighbours of the rocket", "dead letters", "event to searchable", "found by similar"):
        assert words in seen["printed"]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_up_ends_with_all_its_children(tmp_path: Path, ending: signal.Signals) -> None:
    """Ctrl-C and SIGTERM stop it in good order; after kill -9 its children go by themselves."""
    log = tmp_path / "log"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with log.open("wb") as output:
        up = subprocess.Popen(
            [*COMMAND, "up", "--profile", "deterministic"],
            env=environment(scratch), stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for("Ctrl-C stops it", log)
        assert len(processes_of(scratch)) >= 5
        up.send_signal(ending)
        code = up.wait(60)
    finally:
        up.kill()
    deadline = time.monotonic() + 10
    while processes_of(scratch) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(scratch) == []
    if ending is not signal.SIGKILL:
        assert code == 0, log.read_text()
        assert list(scratch.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_up_reports_a_worker_that_dies(tmp_path: Path) -> None:
    """A worker killed from outside is named with the end of its log, and everything stops with an error."""
    log = tmp_path / "log"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with log.open("wb") as output:
        up = subprocess.Popen(
            [*COMMAND, "up", "--profile", "deterministic", "--logs", str(tmp_path / "logs")],
            env=environment(scratch), stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for("Ctrl-C stops it", log)
        victim = json.loads((tmp_path / "logs" / "queries.json").read_text())["pid"]
        os.kill(victim, signal.SIGKILL)
        assert up.wait(60) == 1
    finally:
        up.kill()
    assert "queries worker ended with code 137" in log.read_text()
    assert processes_of(scratch) == []
