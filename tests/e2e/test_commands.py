"""The commands against a running system named by a settings file, as an operator uses them."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

from tests.scenes import ARTICLE, SCENES, TOPICS, clip_of_scenes, scene_at, topic_of
from workers.contracts.topics import Topic
from workers.operate.cli import app
from workers.operate.cli_options import Options
from workers.operate.system import System

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Servers and workers with the encoders that need no weights."""
    with System(tmp_path_factory.mktemp("system"), Options(), profile="deterministic") as running:
        yield running


@pytest.fixture
def run(system: System, tmp_path: Path) -> Run:
    """Runs a command with a settings file that names the system's servers."""
    config = tmp_path / "settings.yaml"
    servers = {"kafka": {"bootstrap_servers": system.servers["broker"]}, "redis": {"url": system.servers["redis"]}}
    config.write_text(yaml.safe_dump({**servers, "model": {"profile": "deterministic"}}))
    return lambda *words, **options: CliRunner().invoke(app, ["--config", str(config), *words], **options)


def answered(run: Run, *words: str) -> dict[str, Any]:
    """The JSON result of a command that asks; asked again while the items are on their way in."""
    for _ in range(40):
        done = run(*words, "--json")
        if done.exit_code == 0 and (read := json.loads(done.stdout))["hits"]:
            return dict(read)
    raise AssertionError(done.output)


def lines(*events: dict[str, Any]) -> str:
    """JSON lines."""
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)


def test_what_is_published_is_found_filtered_and_recommended(run: Run, tmp_path: Path) -> None:
    """Content from a file, interactions from standard input, then every kind of question."""
    items = [
        {"type": "content.upsert", "item_id": f"cli-{number}", "attributes": {"year": 2020 + number},
         "modalities": {"text": {"text": f"a grey cat number {number}"}}}
        for number in range(4)
    ]  # fmt: skip
    (tmp_path / "items.jsonl").write_text(lines(*items))
    done = run("publish", "content", str(tmp_path / "items.jsonl"))
    assert done.exit_code == 0, done.output
    assert "4 events published and confirmed" in done.stdout
    found = answered(run, "query", "--text", "grey cat", "--text", "dog^-0.2", "--filter", ".year > 2021", "--k", "5")
    assert {hit["item_id"] for hit in found["hits"]} == {"cli-2", "cli-3"}
    assert "cli-1" not in {hit["item_id"] for hit in answered(run, "similar", "--item", "cli-1")["hits"]}
    # Now that the item is known to be indexed: before that a like would be remembered and shape no taste.
    click = {"type": "interaction", "event_id": "c1", "user_id": "ann", "item_id": "cli-1", "action": "like"}
    assert run("publish", "interactions", "-", input=lines(click)).exit_code == 0
    assert answered(run, "recommend", "--user", "ann", "--explain")["hits"]


def test_a_folder_of_pictures_is_found_by_a_picture(run: Run, tmp_path: Path) -> None:
    """Publishing twice changes nothing; the unreadable file is told and the rest is there."""
    folder = tmp_path / "holiday"
    folder.mkdir()
    for number, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (900, 600), colour).save(folder / f"{colour}-{number}.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    for _ in range(2):
        done = run("publish", "folder", str(folder))
        assert done.exit_code == 1, "one file could not be used"
        assert "3 events published and confirmed" in done.stdout
        assert "broken.jpg: cannot be read" in done.stderr
    found = answered(run, "query", "--image", str(folder / "red-0.jpg"), "--in", "image", "--k", "3")
    assert "holiday/red-0.jpg" in {hit["item_id"] for hit in found["hits"]}


def test_tables_are_printed_for_people(run: Run) -> None:
    """Without ``--json`` a ranking is a table; an unknown item is one line and 1."""
    items = [
        {"type": "content.upsert", "item_id": name, "modalities": {"text": {"text": f"a lighthouse {name}"}}}
        for name in ("shown", "beside")
    ]
    run("publish", "content", "-", input=lines(*items))
    answered(run, "similar", "--item", "shown")
    done = run("query", "--text", "lighthouse", "--explain")
    assert done.exit_code == 0
    assert "score" in done.stdout
    assert "shown" in done.stdout
    assert "text 1 → text  █" in done.stdout
    assert "made by weighted_mean" in done.stdout
    unknown = run("similar", "--item", "never-published")
    assert unknown.exit_code == 1
    assert "unknown_item" in unknown.stdout


def test_an_article_and_a_clip_are_summarised(run: Run, tmp_path: Path) -> None:
    """Each topic has its passage and each scene its frame, with places; parts steer; a table is printed for people."""
    clip = base64.b64encode(clip_of_scenes()).decode()
    items = [
        {"type": "content.upsert", "item_id": "article", "modalities": {"text": {"text": ARTICLE, "language": "en"}}},
        {"type": "content.upsert", "item_id": "clip", "modalities": {"video": {"data": clip}}},
    ]
    done = run("publish", "content", "-", input=lines(*items))
    assert done.exit_code == 0, done.output
    answered(run, "summarize", "--item", "article")
    answered(run, "summarize", "--item", "clip")

    summary = answered(run, "summarize", "--item", "clip", "--item", "article", "--frames", "5")["summary"]
    assert [topic_of(each["text"]) for each in summary["passages"]] == list(TOPICS)
    assert all(ARTICLE[each["start"] : each["end"]] == each["text"] for each in summary["passages"])
    assert [scene_at(each["time_s"]) for each in summary["frames"]] == list(range(SCENES))
    assert {each["item_id"] for each in summary["frames"]} == {"clip"}

    steered = answered(run, "summarize", "--item", "article", "--text", "concert", "--passages", "1")["summary"]
    assert topic_of(steered["text"]) == "concert"
    found = answered(run, "summarize", "--text", "harbour boats", "--k", "1")
    assert [hit["item_id"] for hit in found["hits"]] == ["article"]
    shown = run("summarize", "--item", "clip")
    assert shown.exit_code == 0
    assert "frame" in shown.stdout
    assert "0:0" in shown.stdout
    assert run("summarize", "--item", "never-published").exit_code == 1


def test_judged_queries_measure_and_teach_the_running_system(run: Run, tmp_path: Path) -> None:
    """Two settings side by side over Kafka; weights trained on what the running Redis holds."""
    words = [f"a {colour} boat" for colour in ("red", "white", "long", "slow", "tall")]
    items = [
        {"type": "content.upsert", "item_id": f"boat-{place}", "modalities": {"text": {"text": text}}}
        for place, text in enumerate(words)
    ]
    run("publish", "content", "-", input=lines(*items))
    answered(run, "similar", "--item", f"boat-{len(words) - 1}")
    judged = tmp_path / "judged.jsonl"
    asked = [{"modality": "text", "text": text} for text in words]
    judged.write_text(lines(*({"query": {"parts": [one]}, "relevant": [f"boat-{n}"]} for n, one in enumerate(asked))))

    done = run("evaluate", "ranking", str(judged), "--b", "fusion.strategy=attention", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert [report["runs"][name]["ndcg_at_10"]["mean"] for name in ("a", "b")] == [1.0, 1.0]

    out = tmp_path / "boats"
    course = ("--steps", "2", "--validation-share", "0.8")
    trained = run("train", "fusion", "--judged", str(judged), "--out", str(out), *course)
    assert trained.exit_code == 0, trained.output
    assert (out / "fusion.safetensors").is_file()


def test_topics_and_doctor_find_all_well(run: Run) -> None:
    """Nothing differs, nothing is missing."""
    listed = run("topics", "list")
    assert listed.exit_code == 0, listed.output
    assert listed.stdout.count("as it should be") == len(Topic)
    well = run("doctor")
    assert well.exit_code == 0, well.output
    assert "trouble" not in well.stdout
    assert "the embedded broker keeps everything in memory only" in well.stdout
    assert "crosscurrent up --data DIR keeps it" in well.stdout


def test_without_a_worker_a_query_says_what_to_check(system: System, run: Run, tmp_path: Path) -> None:
    """Topics without workers: the wait ends, and the message names the way on."""
    config = tmp_path / "other.yaml"
    config.write_text(
        yaml.safe_dump({"kafka": {"bootstrap_servers": system.servers["broker"], "topic_prefix": "nobody"}})
    )
    cli = CliRunner()
    missing = cli.invoke(app, ["--config", str(config), "query", "--text", "cat"])
    assert missing.exit_code == 78
    assert "crosscurrent topics create" in missing.stderr
    assert cli.invoke(app, ["--config", str(config), "topics", "create"]).exit_code == 0
    silent = cli.invoke(app, ["--config", str(config), "query", "--text", "cat", "--timeout", "0.5"])
    assert silent.exit_code == 1
    assert "crosscurrent doctor" in silent.stderr
