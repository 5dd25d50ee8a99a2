"""Wrong input to the running system: a clear refusal with reason and origin each time, and the next event is served."""

import asyncio
import base64
import io
import json
import wave
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from PIL import Image

from config.vocabulary import ResultStatus
from workers.contracts.dead_letter import DEAD_LETTERS, DeadLetter
from workers.contracts.parse import parse_event
from workers.contracts.result import Result
from workers.contracts.topics import Topic
from workers.operate.cli_options import Options
from workers.operate.client import AsyncClient
from workers.operate.system import System

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ITEM = "wrong-item"
GOOD = "good-item"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Servers and three workers that know no cats, but refuse like any other; one folder may be read.

    The settings are for a protected cluster: what they say of it must not reach the embedded servers.
    """
    folder = tmp_path_factory.mktemp("system")
    allowed = folder / "allowed"
    allowed.mkdir()
    config = folder / "settings.yaml"
    config.write_text(
        "kafka: {security_protocol: SASL_PLAINTEXT, username: u, password: p, replication_factor: 3}\n"
        f"model: {{profile: deterministic, threads: 1}}\nmedia: {{allowed_folders: ['{allowed}']}}\n"
    )
    with System(folder, Options(config=config)) as running:
        yield running


def content(**modalities: Any) -> dict[str, Any]:
    """A content event of the wrong item."""
    return {"type": "content.upsert", "item_id": ITEM, "modalities": modalities}


def inline(data: bytes) -> dict[str, str]:
    """Media in the event."""
    return {"data": base64.b64encode(data).decode()}


def png(*, side_px: int = 64) -> bytes:
    """A whole picture."""
    target = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (side_px, side_px, 3), dtype=np.uint8)
    Image.fromarray(noise).save(target, "PNG")
    return target.getvalue()


def silent_wav() -> bytes:
    """A sound file that holds no sample."""
    target = io.BytesIO()
    with wave.open(target, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
    return target.getvalue()


def video_without_frames() -> bytes:
    """A clip whose header promises a picture that never comes."""
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        container.start_encoding()
    return target.getvalue()


def wide_png() -> bytes:
    """A few hundred kilobytes that would unpack to 200 MB of pixels."""
    target = io.BytesIO()
    Image.new("L", (16_000, 12_500)).save(target, "PNG")
    return target.getvalue()


WRONG_CONTENT: Mapping[str, tuple[str, bytes | dict[str, Any]]] = {
    "not JSON": ("not_json", b"{item"),
    "not UTF-8": ("not_utf8", b'{"item_id": "\xff\xfe"}'),
    "unknown field": ("invalid_event", content(text={"text": "a"}) | {"colour": "red"}),
    "wrong type": ("invalid_event", content(text={"text": 7})),
    "empty modalities": ("invalid_event", content()),
    "latitude 91": ("invalid_event", content(location={"latitude": 91, "longitude": 0})),
    "a later schema": ("unsupported_schema_version", content(text={"text": "a"}) | {"schema_version": 2}),
    "200 MB of pixels": ("media_too_large", content(image=inline(wide_png()))),
    "truncated PNG": ("media_undecodable", content(image=inline(png()[:600]))),
    "sound of zero samples": ("media_empty", content(audio=inline(silent_wav()))),
    "video without frames": ("media_undecodable", content(video=inline(video_without_frames()))),
    "file outside": ("media_not_allowed", content(image={"uri": "file:///etc/passwd"})),
    "loopback": ("media_not_allowed", content(image={"uri": "http://127.0.0.1:9/a.png"})),
    "loopback by name": ("media_not_allowed", content(image={"uri": "http://localhost:9/a.png"})),
    "private address": ("media_not_allowed", content(image={"uri": "http://10.0.0.1/a.png"})),
    "cloud metadata": ("media_not_allowed", content(image={"uri": "http://169.254.169.254/latest"})),
    "IPv6 loopback": ("media_not_allowed", content(image={"uri": "http://[::1]/a.png"})),
}


@asynccontextmanager
async def dead_letters(system: System) -> AsyncIterator[AIOKafkaConsumer]:
    """Reads the dead letters written from now on."""
    topic = Topic.DEAD_LETTERS.named(system.settings.kafka.topic_prefix)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=system.settings.kafka.bootstrap_servers, group_id=None, fetch_max_wait_ms=50
    )
    await consumer.start()
    try:
        await consumer._client.set_topics([topic])
        from aiokafka import TopicPartition

        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        consumer.assign(partitions)
        await consumer.seek_to_end(*partitions)
        yield consumer
    finally:
        await consumer.stop()


async def refused(system: System, topic: Topic, value: bytes) -> tuple[DeadLetter, int, int]:
    """The dead letter of a record, and the partition and offset at which the record was written."""
    name = topic.named(system.settings.kafka.topic_prefix)
    async with dead_letters(system) as consumer:
        async with AIOKafkaProducer(bootstrap_servers=system.settings.kafka.bootstrap_servers) as producer:
            written = await producer.send_and_wait(name, value, key=ITEM.encode())
        record = await asyncio.wait_for(consumer.getone(), 30)
    return parse_event(record.value, DEAD_LETTERS), written.partition, written.offset


async def ask(system: System, **fields: Any) -> Result:
    """The result of a query."""
    async with AsyncClient(system.settings) as client:
        return await client.query({"deadline_ms": 30_000, **fields})


async def ask_bytes(system: System, query: dict[str, Any]) -> Result:
    """The result of a query that no honest client would send."""
    async with AsyncClient(system.settings) as client:
        listener = await client._listen()
        result = listener.expect(query["query_id"])
        topic = Topic.QUERIES.named(system.settings.kafka.topic_prefix)
        async with AIOKafkaProducer(bootstrap_servers=system.settings.kafka.bootstrap_servers) as producer:
            await producer.send_and_wait(topic, json.dumps(query).encode(), key=query["query_id"].encode())
        return await asyncio.wait_for(result, 30)


@pytest.mark.parametrize("case", WRONG_CONTENT)
async def test_wrong_content_becomes_a_dead_letter_and_the_next_event_is_served(system: System, case: str) -> None:
    """Reason, message, origin and the original bytes are kept; an item sent right after is searchable."""
    reason, event = WRONG_CONTENT[case]
    value = event if isinstance(event, bytes) else json.dumps(event).encode()
    letter, partition, offset = await refused(system, Topic.CONTENT, value)
    assert letter.reason == reason, letter
    assert letter.message
    assert (letter.origin.partition, letter.origin.offset) == (partition, offset)
    assert letter.original_value() == value
    assert "root:" not in letter.message, "the content of a file must never show"
    async with AsyncClient(system.settings) as client:
        await client.publish({"type": "content.upsert", "item_id": ITEM, "modalities": {"text": {"text": case}}})
        result = await eventually_found(client, ITEM)
    assert result.status is ResultStatus.OK


async def eventually_found(client: AsyncClient, item_id: str) -> Result:
    """The neighbours of an item that may still be on its way in."""
    for _ in range(100):
        result = await client.query({"kind": "similar", "item_id": item_id, "deadline_ms": 30_000})
        if result.status is ResultStatus.OK:
            break
        await asyncio.sleep(0.1)
    return result


async def test_a_wrong_interaction_becomes_a_dead_letter(system: System) -> None:
    """A rating without a value."""
    event = {"type": "interaction", "event_id": "1", "user_id": ITEM, "item_id": "x", "action": "rate"}
    letter, _, _ = await refused(system, Topic.INTERACTIONS, json.dumps(event).encode())
    assert letter.reason == "invalid_event"
    assert letter.role == "interactions"
    assert "'value'" in letter.message


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("invalid_event", {"k": 0}),
        ("invalid_event", {"k": 10**9}),
        ("invalid_filter", {"filter": ".year >"}),
        ("invalid_event", {"colour": "red"}),
        ("invalid_event", {"parts": []}),
        ("media_not_allowed", {"parts": [{"modality": "image", "uri": "http://127.0.0.1:9/"}]}),
        ("media_undecodable", {"parts": [{"modality": "image", **inline(b"no picture")}]}),
        ("unknown_item", {"kind": "similar", "item_id": "nobody-knows", "parts": None}),
    ],
)
async def test_a_wrong_query_gets_an_error_result(system: System, reason: str, fields: dict[str, Any]) -> None:
    """One result with a code and a message, and the next query is answered."""
    question = {"query_id": f"wrong-{reason}-{abs(hash(str(fields)))}", "kind": "search",
                "parts": [{"modality": "text", "text": "a"}], "deadline_ms": 30_000}  # fmt: skip
    question = {name: value for name, value in (question | fields).items() if value is not None}
    result = await ask_bytes(system, question)
    assert result.status is ResultStatus.ERROR
    assert result.error is not None
    assert result.error.code == reason, result.error
    assert result.error.message
    following = await ask(system, kind="search", parts=[{"modality": "text", "text": "a"}])
    assert following.status is ResultStatus.OK


async def test_a_picture_by_file_inside_an_allowed_folder_is_read(system: System, tmp_path: Path) -> None:
    """The allowed folder works, and a link that leads out of it does not."""
    allowed = system.settings.media.allowed_folders[0]
    (allowed / "a.png").write_bytes(png())
    (tmp_path / "secret.png").write_bytes(png())
    (allowed / "link.png").symlink_to(tmp_path / "secret.png")
    async with AsyncClient(system.settings) as client:
        uri = (allowed / "a.png").as_uri()
        await client.publish({"type": "content.upsert", "item_id": GOOD, "modalities": {"image": {"uri": uri}}})
        assert (await eventually_found(client, GOOD)).status is ResultStatus.OK
    link = content(image={"uri": (allowed / "link.png").as_uri()})
    letter, _, _ = await refused(system, Topic.CONTENT, json.dumps(link).encode())
    assert letter.reason == "media_not_allowed"


async def test_nothing_wrong_stopped_a_worker(system: System) -> None:
    """All three still run."""
    system.check()
    assert all(worker.is_ready() for worker in system.workers.values())
