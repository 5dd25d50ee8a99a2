"""The client against a real broker: confirmed sends, answers to the right question, and errors that help."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from config.errors import CrosscurrentError, Misconfigured, RejectEvent
from config.settings import Settings
from config.vocabulary import ResultStatus
from workers.contracts.result import Result
from workers.contracts.topics import Topic
from workers.operate.admin import create_topics
from workers.operate.client import AsyncClient, Client, NoResultError
from workers.operate.outgoing import PublishError


@pytest.fixture
def settings(kafka_bootstrap: str, prefix: str) -> Settings:
    """Settings with topics of their own."""
    made = Settings(kafka={"bootstrap_servers": kafka_bootstrap, "topic_prefix": prefix})  # type: ignore[arg-type]
    create_topics(made.kafka)
    return made


@asynccontextmanager
async def echo_worker(settings: Settings, *, delay_s: float = 0.0) -> AsyncIterator[None]:
    """Answer every query with an empty result, in reverse order of a burst; no encoders, no index."""
    topic = Topic.QUERIES.named(settings.kafka.topic_prefix)
    bootstrap = settings.kafka.bootstrap_servers
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)

    async def answer() -> None:
        while True:
            batches = await consumer.getmany(timeout_ms=100)
            await asyncio.sleep(delay_s)
            for record in reversed([record for records in batches.values() for record in records]):
                query = json.loads(record.value)
                result = Result(query_id=query["query_id"], status=ResultStatus.OK, model="echo@1")
                target = query.get("reply_to") or Topic.RESULTS.named(settings.kafka.topic_prefix)
                await producer.send(target, key=record.key, value=result.to_bytes())

    await consumer.start()
    await producer.start()
    task = asyncio.create_task(answer())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await producer.stop()
        await consumer.stop()


async def read_all(settings: Settings, topic: Topic, count: int) -> list[Any]:
    """The first records of a topic."""
    name = topic.named(settings.kafka.topic_prefix)
    bootstrap = settings.kafka.bootstrap_servers
    async with AIOKafkaConsumer(name, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        return [await asyncio.wait_for(consumer.getone(), 20) for _ in range(count)]


def text_item(item_id: str, text: str = "a cat") -> dict[str, Any]:
    """A content event."""
    return {"type": "content.upsert", "item_id": item_id, "modalities": {"text": {"text": text}}}


async def test_events_arrive_keyed_and_in_order(settings: Settings) -> None:
    """Many events are all confirmed; those of one item keep their order, and each topic gets its own kind."""
    confirmed: list[None] = []
    events = [text_item(f"item-{number % 10}", str(number)) for number in range(1000)]
    async with AsyncClient(settings) as client:
        assert await client.publish_many(events, lambda: confirmed.append(None)) == 1000
        await client.publish({"type": "user.forget", "user_id": "mika"})
    assert len(confirmed) == 1000
    records = await read_all(settings, Topic.CONTENT, 1000)
    for item in range(10):
        texts = [json.loads(r.value)["modalities"]["text"]["text"] for r in records if r.key == f"item-{item}".encode()]
        assert texts == [str(number) for number in range(item, 1000, 10)]
    [forget] = await read_all(settings, Topic.INTERACTIONS, 1)
    assert forget.key == b"mika"


async def test_each_question_gets_its_own_answer(settings: Settings) -> None:
    """Fifty questions at once, answered out of order, through one reader."""
    async with echo_worker(settings), AsyncClient(settings) as client:
        queries = [{"query_id": f"q{number}", "kind": "similar", "item_id": "x"} for number in range(50)]
        results = await asyncio.gather(*(client.query(query) for query in queries))
    assert [result.query_id for result in results] == [query["query_id"] for query in queries]


async def test_a_summary_is_asked_of_items_and_of_words(settings: Settings) -> None:
    """Items, what it should be about, and what it should hold, as a query event says them."""
    async with echo_worker(settings), AsyncClient(settings) as client:
        await client.summarize("a", "b", text="ships", summary={"passages": 5})
        await client.summarize(text="ships")
    asked = [json.loads(record.value) for record in await read_all(settings, Topic.QUERIES, 2)]
    of_words, of_items = sorted(asked, key=lambda query: len(query["item_ids"]))
    assert (of_items["kind"], of_items["item_ids"]) == ("summarize", ["a", "b"])
    assert of_items["summary"]["passages"] == 5
    assert of_items["parts"][0]["text"] == of_words["parts"][0]["text"] == "ships"
    assert not of_words["item_ids"]


async def test_an_answer_is_not_missed_by_a_new_client(settings: Settings) -> None:
    """The very first question is heard: the reader stands at the end before the question is sent."""
    async with echo_worker(settings):
        for _ in range(5):
            async with AsyncClient(settings) as client:
                assert (await client.search("cat", k=3)).model == "echo@1"


async def test_answers_may_go_to_a_topic_of_ones_own(settings: Settings) -> None:
    """With ``reply_to`` the client listens there and says so in its questions."""
    own = Topic.VECTORS.named(settings.kafka.topic_prefix)  # any other topic that exists
    async with echo_worker(settings), AsyncClient(settings, reply_to=own) as client:
        assert (await client.search("cat")).status is ResultStatus.OK
        with pytest.raises(CrosscurrentError, match="this client does not read elsewhere"):
            await client.search("cat", reply_to="elsewhere")


async def test_silence_says_what_to_check(settings: Settings) -> None:
    """Nobody answers: the message names the query, the topic, the prefix and the doctor."""
    async with AsyncClient(settings) as client:
        with pytest.raises(NoResultError, match=r"no result for query q7 on .*\.results within 0.2 s.*doctor"):
            await client.query({"query_id": "q7", "kind": "recommend", "user_id": "mika"}, timeout_s=0.2)


async def test_wrong_events_are_refused_before_they_are_sent(settings: Settings) -> None:
    """A typo names its field; nothing reaches the topic."""
    async with AsyncClient(settings) as client:
        with pytest.raises(RejectEvent, match=r"modalities.text.txet"):
            await client.publish({"item_id": "1", "type": "content.upsert", "modalities": {"text": {"txet": "a"}}})
        with pytest.raises(RejectEvent, match=r"^k: "):
            await client.search("cat", k=0)
        await client.publish(text_item("good"))
    assert [record.key for record in await read_all(settings, Topic.CONTENT, 1)] == [b"good"]


async def test_a_missing_results_topic_is_named(kafka_bootstrap: str) -> None:
    """Asking where no topics are says how to make them, and does not hang."""
    bare = Settings(kafka={"bootstrap_servers": kafka_bootstrap, "topic_prefix": "never-made"})  # type: ignore[arg-type]
    async with AsyncClient(bare) as client:
        with pytest.raises(Misconfigured, match=r"no topic never-made.results: .*topics create"):
            await client.search("cat")


async def test_an_event_too_large_for_the_producer_is_named(settings: Settings) -> None:
    """The event that does not fit is named, with the setting that admits it."""
    small = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"max_event_bytes": 1024})})
    from workers.contracts.content import CONTENT_EVENTS

    event = CONTENT_EVENTS.validate_python(text_item("big", "x" * 90_000))
    async with AsyncClient(small) as client:
        with pytest.raises(PublishError, match=r"'big' .*kafka.max_event_bytes"):
            await client.publish(event)


def test_the_plain_client_needs_no_event_loop(settings: Settings) -> None:
    """The same from ordinary code: publish, many, a question, a timeout."""
    with Client(settings) as client:
        client.publish(text_item("one"))
        assert client.publish_many(text_item(str(number)) for number in range(10)) == 10
        with pytest.raises(NoResultError):
            client.query({"kind": "similar", "item_id": "x"}, timeout_s=0.1)


def test_an_absent_broker_is_an_error_at_once(unused_tcp_port: int) -> None:
    """The plain client leaves no thread behind when it cannot connect."""
    absent = Settings(kafka={"bootstrap_servers": f"127.0.0.1:{unused_tcp_port}"})  # type: ignore[arg-type]
    started = time.monotonic()
    with (
        pytest.raises(
            Misconfigured, match=rf"nobody listens at 127\.0\.0\.1:{unused_tcp_port}.*kafka\.bootstrap_servers"
        ),
        Client(absent),
    ):
        pass
    assert time.monotonic() - started < 10
