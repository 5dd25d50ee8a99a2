"""Dead letters on a real broker: seen, sent again once, refused again with their lineage, and deleted."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.errors import Reason, RetryLater
from config.vocabulary import Role
from tests.conftest import KAFKA_VARIABLE
from tests.integration.delivery_kit import Ground, content
from tests.unit.workers.streams.support import png
from workers.contracts.dead_letter import dead_letter
from workers.contracts.replays import REPLAY_HEADER, Origin
from workers.contracts.topics import Topic
from workers.operate.admin import open_admin
from workers.operate.cli import app
from workers.operate.dead_letters import Letter, Selection, chosen_letters, read_marks
from workers.operate.past_records import past_records
from workers.operate.replaying import Replayer, Report, Terms
from workers.streams.publisher import KafkaPublisher

pytestmark = pytest.mark.slow


@pytest.fixture
def ground(kafka_bootstrap: str, redis_url: str, prefix: str, tmp_path: Path) -> Ground:
    """Topics of this test, and a folder that workers may read."""
    media = tmp_path / "media"
    media.mkdir()
    extra = {"CROSSCURRENT_MEDIA__ALLOWED_FOLDERS": json.dumps([str(media)])}
    return Ground(kafka=kafka_bootstrap, redis=redis_url, prefix=prefix, folder=tmp_path, extra=extra)


def options(ground: Ground) -> list[str]:
    """What every command begins with."""
    config = ground.folder / "settings.json"
    config.write_text(json.dumps({"kafka": {"bootstrap_servers": ground.kafka, "topic_prefix": ground.prefix}}))
    return ["--config", str(config), "dead-letters"]


async def run(ground: Ground, *words: str, code: int = 0) -> Result:
    """Run a command over dead letters."""
    done = await asyncio.to_thread(CliRunner().invoke, app, [*options(ground), *words])
    assert done.exit_code == code, done.output
    return done


async def objects(ground: Ground, *words: str) -> list[dict[str, object]]:
    """What a command prints as lines of JSON."""
    return [json.loads(line) for line in (await run(ground, *words, "--json")).stdout.splitlines()]


async def sent_events(ground: Ground) -> int:
    """How many records the content topic holds."""
    return len(await ground.read(Topic.CONTENT))


async def test_refused_events_are_seen_served_after_a_fix_and_never_twice(ground: Ground) -> None:
    """A picture that was not there, and bytes that are no event: a replay serves the first, and never the second."""
    picture = ground.folder / "media" / "cat.png"
    event = {"type": "content.upsert", "item_id": "cat", "modalities": {"image": {"uri": picture.as_uri()}}}
    garbage = b'\x1b[2J{"password": "hunter2", "uri": "https://ann:hunter2@host/a?sig=hunter2"'
    async with ground.publisher() as publisher:
        await publisher.send(ground.topic(Topic.CONTENT), key=b"cat", value=json.dumps(event).encode())
        await publisher.send(
            ground.topic(Topic.CONTENT), key=b"odd", value=garbage, headers={"authorization": b"hunter2", "trace": b"7"}
        )
        await publisher.send(ground.topic(Topic.CONTENT), key=content(1)[0], value=content(1)[1])
    with ground.worker() as worker:
        await worker.ready()
        await worker.until(lambda: worker.ended("dead_letter") == 2 and worker.ended("done") == 1)

        counted = await objects(ground, "count")
        assert {(each["reason"], each["stage"], each["letters"]) for each in counted} == {
            ("media_not_found", "fetch", 1),
            ("not_json", "parse", 1),
        }
        listed = {each["reason"]: each for each in await objects(ground, "list")}
        assert listed["not_json"]["event_bytes"] == len(garbage)
        assert "value" not in listed["not_json"]
        assert "media_not_found" in (await run(ground, "list", "--reason", "media_not_found")).stdout
        assert await objects(ground, "list", "--since", "1h", "--topic", "queries") == []
        assert await objects(ground, "list", "--until", "1h") == []

        odd = str(listed["not_json"]["letter"])
        shown = (await run(ground, "show", odd, "--out", str(ground.folder / "odd"))).stdout
        assert "hunter2" not in shown
        assert "\x1b" not in shown
        assert r"\x1b[2J" in shown
        assert (ground.folder / "odd").read_bytes() == garbage
        [whole] = await objects(ground, "show", odd)
        assert whole["headers"] == {"authorization": "aHVudGVyMg==", "trace": "Nw=="}

        before = await sent_events(ground)
        dry = await run(ground, "replay", "--reason", "media_not_found", "--dry-run")
        assert "1 events would be sent again" in dry.stdout
        assert await sent_events(ground) == before

        picture.write_bytes(png())
        for expected in ((1, 0), (0, 1)):
            [report] = await objects(ground, "replay", "--reason", "media_not_found", "--since", "1h")
            assert (report["sent"], report["before"]) == expected
        await worker.until(lambda: worker.ended("done") == 2)
        assert await sent_events(ground) == before + 1

        [report] = await objects(ground, "replay", "--all")
        assert (report["sent"], report["before"], report["given_up"]) == (1, 1, 0)
        await worker.until(lambda: worker.ended("dead_letter") == 3)
        [again] = [each for each in await objects(ground, "list", "--reason", "not_json") if each["letter"] != odd]
        assert again["attempts"] == 2
        lineage = again["replayed"]
        assert isinstance(lineage, Mapping)
        assert f"{lineage['first']['partition']}:{lineage['first']['offset']}" == odd
        assert "replay of" in (await run(ground, "show", str(again["letter"]))).stdout

        [report] = await objects(ground, "replay", "--all", "--most-attempts", "2")
        assert (report["sent"], report["before"], report["given_up"]) == (0, 2, 1)
        assert await sent_events(ground) == before + 2


@pytest.mark.skipif(
    not {KAFKA_VARIABLE, "KAFKA_HOME"} & os.environ.keys(),
    reason="the embedded broker confirms what is sent to a topic that was deleted: name an Apache Kafka by KAFKA_HOME",
)
async def test_a_worker_goes_on_without_the_topic_of_dead_letters(ground: Ground) -> None:
    """Somebody deleted it: good events behind a bad one are served, and the log and a metric tell of the letter."""
    patience = {"CROSSCURRENT_DELIVERY__LETTER_PATIENCE_S": "1"}
    with replace(ground, extra={**ground.extra, **patience}).worker() as worker:
        await worker.ready()
        with open_admin(ground.settings.kafka) as admin:
            admin.delete_topics([ground.topic(Topic.DEAD_LETTERS)])
        async with ground.publisher() as publisher:
            for key, value in [(b"odd", b"no json"), content(1), (b"odd", b"none either"), content(2)]:
                await publisher.send(ground.topic(Topic.CONTENT), key=key, value=value, partition=0)
        await worker.until(lambda: worker.ended("done") == 2 and worker.ended("dead_letter") == 2, timeout_s=60.0)

        assert worker.metric('dead_letters_unsent_total{reason="not_json"}') == 2
        await worker.until(lambda: worker.status("/ready") == 200)
        assert "dead letter not sent" in worker.child.log.read_text(encoding="utf-8")


@pytest.fixture
async def publisher(ground: Ground) -> AsyncIterator[KafkaPublisher]:
    """A producer."""
    async with ground.publisher() as made:
        yield made


async def refuse(
    ground: Ground, publisher: KafkaPublisher, count: int, *, cut: bool = False, older_ms: int = 0
) -> None:
    """Events on the content topic and their letters, as a worker writes them."""
    name = ground.topic(Topic.CONTENT)
    for number in range(count):
        key, value = content(number)
        await publisher.send(name, key=key, value=value, headers={"trace": b"\xff"})
    async for record in past_records(ground.settings.kafka, Topic.CONTENT):
        letter = dead_letter(
            role=Role.CONTENT,
            reason=Reason.INTERNAL,
            stage="handle",
            message="a defect",
            field="",
            origin=Origin(
                topic=name, partition=record.partition, offset=record.offset, timestamp_ms=record.at_ms - older_ms
            ),
            key=None if cut else record.key,
            value=None if cut else record.value,
            headers={} if cut else record.headers,
            cut=cut,
        )
        await publisher.send(ground.topic(Topic.DEAD_LETTERS), key=record.key, value=letter.to_bytes())


def all_letters(ground: Ground) -> AsyncIterator[Letter]:
    """Every letter."""
    selection = Selection(prefix=ground.prefix)
    return chosen_letters(ground.settings.kafka, selection, on_unreadable=lambda _: None, tell=lambda *_: None)


async def replayed(ground: Ground, publisher: object) -> Report:
    """One run over everything."""
    kafka = ground.settings.kafka
    replayer = Replayer(kafka, publisher, await read_marks(kafka), Terms())  # type: ignore[arg-type]
    return await replayer.run(all_letters(ground))


class _Dying:
    """A publisher that ends a run at the first mark that says what was sent: everything before took place."""

    def __init__(self, publisher: KafkaPublisher, replays: str) -> None:
        self._publisher = publisher
        self._replays = replays

    async def send(self, topic: str, **record: object) -> None:
        """Send, or end."""
        if topic == self._replays and b'"sent"' in record["value"]:  # type: ignore[operator]
            raise RetryLater("killed")
        await self._publisher.send(topic, **record)  # type: ignore[arg-type]


async def test_a_run_that_ended_half_way_is_gone_on_with(ground: Ground, publisher: KafkaPublisher) -> None:
    """The events were sent and not noted: the next run finds them on their topic and sends none of them again."""
    await refuse(ground, publisher, 5)
    with pytest.raises(RetryLater, match="killed"):
        await replayed(ground, _Dying(publisher, ground.topic(Topic.REPLAYS)))
    assert await sent_events(ground) == 10

    second, third = await replayed(ground, publisher), await replayed(ground, publisher)

    assert (second.sent, second.found, second.before) == (0, 5, 5)
    assert (third.sent, third.found, third.before) == (0, 0, 5)
    assert await sent_events(ground) == 10


async def test_what_a_letter_leaves_out_is_read_at_the_origin(ground: Ground, publisher: KafkaPublisher) -> None:
    """Key, bytes and headers come from there, and go to the partition that they came from."""
    await refuse(ground, publisher, 3, cut=True)

    assert (await replayed(ground, publisher)).sent == 3

    found: dict[bytes | None, list[object]] = {}
    async for record in past_records(ground.settings.kafka, Topic.CONTENT):
        found.setdefault(record.key, []).append((record.partition, record.value, record.headers["trace"]))
        assert (REPLAY_HEADER in record.headers) is (len(found[record.key]) == 2)
    assert len(found) == 3
    assert all(first == second for first, second in found.values())


async def test_another_record_at_the_origin_is_not_sent(ground: Ground, publisher: KafkaPublisher) -> None:
    """The topic was made anew since: what lies at the place now is someone else's event."""
    await refuse(ground, publisher, 2, cut=True, older_ms=1000)

    report = await replayed(ground, publisher)

    assert report.sent == 0
    assert ["another record" in problem for problem in report.problems] == [True, True]
    assert await sent_events(ground) == 2


async def test_a_letter_cannot_send_its_event_elsewhere(ground: Ground, publisher: KafkaPublisher) -> None:
    """Whoever writes letters must not write elsewhere with the rights of whoever replays; what is no letter is told."""
    await refuse(ground, publisher, 1)
    [(key, value)] = await ground.read(Topic.DEAD_LETTERS)
    forged = (value or b"").replace(ground.topic(Topic.CONTENT).encode(), ground.topic(Topic.VECTORS).encode())
    no_base64 = re.sub(rb'"key":"[^"]*"', b'"key":"a"', value or b"")
    for odd in (forged, b"no letter", no_base64, None):
        await publisher.send(ground.topic(Topic.DEAD_LETTERS), key=key, value=odd)

    report = await replayed(ground, publisher)

    assert report.sent == 1
    assert [problem.partition(": its origin ")[2].split(" ")[0] for problem in report.problems] == [
        ground.topic(Topic.VECTORS)
    ]
    assert await ground.read(Topic.VECTORS) == []
    assert "3 records are no dead letters" in (await run(ground, "count")).stderr


async def test_purging_deletes_or_says_what_to_do_instead(ground: Ground, publisher: KafkaPublisher) -> None:
    """Apache Kafka deletes; the embedded broker cannot, and says so before anything is lost."""
    await refuse(ground, publisher, 3)
    assert "3 dead letters would be deleted and 0 kept" in (await run(ground, "purge", "--all", "--dry-run")).stdout
    assert "0 dead letters would be deleted and 3 kept" in (await run(ground, "purge", "--until", "1h")).stdout
    assert "--yes" in (await run(ground, "purge", "--all", code=2)).output
    done = await asyncio.to_thread(CliRunner().invoke, app, [*options(ground), "purge", "--all", "--yes"])

    if done.exit_code == 0:
        assert "3 dead letters deleted, 0 kept" in done.stdout
        assert await objects(ground, "count") == []
    else:
        assert done.exit_code == 78
        assert "retention.ms" in done.stderr
        assert [each["letters"] for each in await objects(ground, "count")] == [3]
