"""Events of the topics of a real broker, in a file that training reads."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.vocabulary import QueryId
from tests.integration.delivery_kit import Ground
from tests.unit.workers.relevance.logs import interaction, query_event, result_event
from workers.contracts.topics import Topic
from workers.operate.children import free_port
from workers.operate.cli import app
from workers.relevance.clicks import learn_from, read_clicks


@pytest.fixture
def ground(kafka_bootstrap: str, redis_url: str, prefix: str, tmp_path: Path) -> Ground:
    """Topics of this test."""
    return Ground(kafka=kafka_bootstrap, redis=redis_url, prefix=prefix, folder=tmp_path)


async def export(ground: Ground, out: Path, *topics: Topic) -> str:
    """Run the command and return what it said."""
    config = ground.folder / "settings.json"
    config.write_text(
        json.dumps({"kafka": {"bootstrap_servers": ground.kafka, "topic_prefix": ground.prefix}}), encoding="utf-8"
    )
    words = ["--config", str(config), "export", "events", *topics, "--out", str(out)]
    done = await asyncio.to_thread(CliRunner().invoke, app, words)
    assert done.exit_code == 0, done.output
    return done.output


async def test_clicks_are_learnt_from_what_the_topics_hold(ground: Ground, tmp_path: Path) -> None:
    """Line breaks within an event, what erases a key and what never was an event do no harm."""
    first, second = json.dumps(query_event("q1", "cat"), indent=2), json.dumps(query_event("q2", "dog"))
    sent = {
        Topic.QUERIES: [first.encode(), b"no json", b'{"kind": "search"}', second.encode()],
        Topic.RESULTS: [json.dumps(result_event("q1", ["a", "b"])).encode()],
        Topic.INTERACTIONS: [None, json.dumps(interaction("q1", "b")).encode()],
    }
    async with ground.publisher() as publisher:
        for topic, values in sent.items():
            for number, value in enumerate(values):
                await publisher.send(ground.topic(topic), key=f"key-{number}".encode(), value=value)
    out = tmp_path / "log.jsonl"

    said = await export(ground, out, Topic.QUERIES, Topic.RESULTS, Topic.INTERACTIONS)

    assert f"{out}: 4 events" in said
    assert "2 records are no events" in said
    log = read_clicks([out])
    assert log.queries.keys() == {QueryId("q1"), QueryId("q2")}
    assert [dict(one.gains) for one in learn_from(log, eta=0.0).judged] == [{"b": 1.0}]


async def test_an_empty_topic_gives_an_empty_file(ground: Ground, tmp_path: Path) -> None:
    """Nothing is waited for."""
    out = tmp_path / "none.jsonl"

    assert "0 events" in await export(ground, out, Topic.CONTENT)
    assert out.read_bytes() == b""


async def test_a_failed_export_leaves_the_file_before_it(tmp_path: Path) -> None:
    """No broker answers, and the command ends; yesterday's export is still there, and nothing beside it."""
    config = tmp_path / "settings.json"
    config.write_text(json.dumps({"kafka": {"bootstrap_servers": f"127.0.0.1:{free_port()}"}}), encoding="utf-8")
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "log.jsonl").write_text("yesterday", encoding="utf-8")

    words = ["--config", str(config), "export", "events", "queries", "--out", str(folder / "log.jsonl")]
    done = await asyncio.to_thread(CliRunner().invoke, app, words)

    assert done.exit_code != 0
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == {"log.jsonl": "yesterday"}
