"""Tags through a real broker and a real Redis: filters find them, counts are exact, also after ``kill -9``."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from config.vocabulary import Modality, ModelRef
from encoders.base import TextInput
from encoders.deterministic import deterministic_encoders
from fusion.index.protocol import VectorSearch
from fusion.index.redis_index import RedisVectorIndex
from tests.integration.delivery_kit import Ground, eventually
from workers.contracts.tag_counts import TAG_COUNTS
from workers.contracts.topics import Topic
from workers.operate.cli import app
from workers.operate.tag_totals import TagTotals
from workers.streams.publisher import KafkaPublisher

pytestmark = pytest.mark.slow

SETS = {
    "sentiment": {"labels": {"positive": ["lovely great happy"], "negative": ["awful bad sad"]}, "min_confidence": 0},
    "topics": {"labels": {name: [f"{name} {name}s"] for name in ("cat", "sun", "sea", "car", "hat")}, "multi": True},
}
TEXTS = ("a lovely cat", "an awful car", "cat cats and sun suns, so happy", "sad")
TAGS = {
    "sentiment": {"positive": 2, "negative": 2},
    "topics": {"cat": 2, "sun": 1, "sea": 0, "car": 1, "hat": 0},
}
"""What four texts give together."""


@pytest.fixture
def ground(kafka_bootstrap: str, redis_url: str, prefix: str, tmp_path: Path) -> Ground:
    """Topics and names of this test, with small batches and a session short enough to see a takeover."""
    return Ground(
        kafka=kafka_bootstrap,
        redis=redis_url,
        prefix=prefix,
        folder=tmp_path,
        extra={
            "CROSSCURRENT_TAGGING__SETS": json.dumps(SETS),
            "CROSSCURRENT_TAGGING__WINDOW_S": "60",
            "CROSSCURRENT_KAFKA__SESSION_TIMEOUT_S": "6",
            "CROSSCURRENT_DELIVERY__BATCH_EVENTS": "8",
        },
    )


async def publish(ground: Ground, publisher: KafkaPublisher, items: range) -> None:
    """Publish texts in turn, spread over five minutes of their own time."""

    async def one(item: int) -> None:
        event = {
            "type": "content.upsert",
            "item_id": f"item-{item}",
            "occurred_at": f"2026-05-01T12:{item // len(TEXTS) % 5:02}:00Z",
            "modalities": {"text": {"text": TEXTS[item % len(TEXTS)]}},
        }
        await publisher.send(ground.topic(Topic.CONTENT), key=f"item-{item}".encode(), value=json.dumps(event).encode())

    await asyncio.gather(*map(one, items))


async def totals(ground: Ground) -> dict[str, Counter[str]]:
    """Items and labels of each set over all windows and partitions, from the topic as it is."""
    read = TagTotals()
    read.add(TAG_COUNTS.validate_json(value or b"") for _, value in await ground.read(Topic.TAG_COUNTS))
    found: dict[str, Counter[str]] = {}
    for name, windows in read.latest(1_000).items():
        found[name] = Counter()
        for window in windows:
            found[name].update(window.counts, items=window.items)
    return found


def expected(items: int) -> dict[str, Counter[str]]:
    """What so many items must give."""
    rounds = items // len(TEXTS)
    return {
        name: Counter({label: count * rounds for label, count in labels.items()} | {"items": items})
        for name, labels in TAGS.items()
    }


async def test_tags_are_found_by_filters_and_counted_by_windows(ground: Ground) -> None:
    """SIGTERM loses no count; the command line adds the partitions up; a second worker counts nothing again."""
    async with ground.publisher() as publisher:
        with ground.worker() as worker:
            await worker.ready()
            await publish(ground, publisher, range(80))
            await worker.until(lambda: worker.ended("done") == 80)
            assert worker.metric('tagged_items_total{label="cat",set="topics"}') == 40
            assert worker.metric('tagged_items_total{label="hat",set="topics"}') == 0
            assert worker.stop() == 0
        assert await totals(ground) == expected(80)

        with ground.worker() as worker:
            await worker.ready()
            await publish(ground, publisher, range(80, 120))
            await worker.until(lambda: worker.ended("done") == 40)
            assert worker.stop() == 0
    assert await totals(ground) == expected(120)
    assert await filtered(ground, '.sentiment == "negative" and "car" in .topics') == {
        f"item-{n}" for n in range(1, 120, 4)
    }
    assert len(await filtered(ground, '.sentiment == "positive" and .topics_confidence > 0.5')) == 60

    lines = await asyncio.to_thread(command, ground, "tags", "--set", "topics", "--windows", "2", "--json")
    shown = [json.loads(line) for line in lines.splitlines()]
    assert [window["window_start"] for window in shown] == ["2026-05-01T12:03:00Z", "2026-05-01T12:04:00Z"]
    assert [(window["items"], window["counts"]["cat"]) for window in shown] == [(24, 12), (24, 12)]
    assert "05-01 12:04" in await asyncio.to_thread(command, ground, "tags", "--windows", "1")


async def filtered(ground: Ground, filter_: str) -> set[str]:
    """Ids of the items that a filter selects."""
    [encoder] = deterministic_encoders([Modality.TEXT]).encoders.values()
    [vector] = encoder.finish(encoder.forward([encoder.prepare(TextInput(text="cat"))]))
    index = RedisVectorIndex(ground.settings.redis, ModelRef("deterministic", "1"), 256)
    try:
        search = VectorSearch(target=Modality.TEXT, vector=vector, count=200, filter=filter_)
        return {found.item_id for found in (await index.search([search])).neighbours[0]}
    finally:
        await index.close()


def command(ground: Ground, *words: str) -> str:
    """What a command prints."""
    config = ground.folder / "settings.yaml"
    config.write_text(yaml.safe_dump({"kafka": {"bootstrap_servers": ground.kafka, "topic_prefix": ground.prefix}}))
    done = CliRunner().invoke(app, ["--config", str(config), *words])
    assert done.exit_code == 0, done.output
    return done.stdout


async def test_kill_9_of_one_of_two_workers_counts_everything_exactly_once(ground: Ground) -> None:
    """The other goes on from what was sent: nothing is lost with the memory, and nothing that comes again counts.

    The one that is killed has committed before, so that its windows are half counted when the other takes them over.
    """
    count = 1600
    async with ground.publisher() as publisher:
        with ground.worker() as first, ground.worker() as second:
            await first.ready()
            await second.ready()
            await publish(ground, publisher, range(400))
            await first.until(lambda: first.metric("last_commit_timestamp_seconds") > 0)
            before = first.ended("done")
            publishing = asyncio.create_task(publish(ground, publisher, range(400, count)))
            await first.until(lambda: first.ended("done") >= before + 20)
            first.kill()
            await publishing

            async def all_counted() -> bool:
                return (await totals(ground)).get("topics", Counter())["items"] >= count

            await eventually(all_counted)
            assert second.ended("dead_letter") == 0
            assert second.metric("tagged_too_late_total") == 0
            assert second.stop() == 0
    assert await totals(ground) == expected(count)
