"""Workers that die and servers that go away: nothing is lost, nothing is blamed."""

import asyncio
from pathlib import Path

import pytest

from config.vocabulary import Modality, ModelRef
from fusion.index.redis_index import RedisVectorIndex
from tests.integration.delivery_kit import Ground, RestartableRedis, eventually, publish
from workers.contracts.topics import Topic

pytestmark = pytest.mark.slow


@pytest.fixture
def ground(kafka_bootstrap: str, redis_url: str, prefix: str, tmp_path: Path) -> Ground:
    """Topics and names of this test, with a session short enough to see a takeover."""
    return Ground(
        kafka=kafka_bootstrap,
        redis=redis_url,
        prefix=prefix,
        folder=tmp_path,
        extra={"CROSSCURRENT_KAFKA__SESSION_TIMEOUT_S": "6", "CROSSCURRENT_DELIVERY__BATCH_EVENTS": "8"},
    )


async def texts(ground: Ground) -> int:
    """How many items the index holds."""
    index = RedisVectorIndex(ground.settings.redis, ModelRef("deterministic", "1"), 256)
    try:
        return (await index.counts()).get(Modality.TEXT, 0)
    finally:
        await index.close()


async def test_kill_9_of_one_of_two_workers_loses_nothing(ground: Ground) -> None:
    """One of two workers is killed while it works; the other takes over and finishes, with the same keys."""
    count = 1500
    topic = ground.topic(Topic.CONTENT)
    async with ground.publisher() as publisher:
        with ground.worker() as first, ground.worker() as second:
            await first.ready()
            await second.ready()
            publishing = asyncio.create_task(publish(publisher, topic, range(count)))
            await first.until(lambda: first.ended("done") >= 50)
            first.kill()
            at_kill = await texts(ground)
            await publishing
            await eventually(lambda: _equals(ground, count))

            assert at_kill < count
            assert second.ended("dead_letter") == 0
    written = await ground.read(Topic.VECTORS)
    assert {key for key, _ in written} == {f"item-{item}".encode() for item in range(count)}
    assert await ground.read(Topic.DEAD_LETTERS) == []


async def _equals(ground: Ground, count: int) -> bool:
    return await texts(ground) == count


async def test_redis_away_is_waited_for(kafka_bootstrap: str, prefix: str, tmp_path: Path) -> None:
    """Without Redis the partition waits: not ready, but live; no dead letter; and all is done once it is back."""
    with RestartableRedis(tmp_path / "redis") as redis:
        ground = Ground(
            kafka=kafka_bootstrap,
            redis=redis.url,
            prefix=prefix,
            folder=tmp_path,
            extra={"CROSSCURRENT_DELIVERY__RETRY_MAX_S": "1", "CROSSCURRENT_DELIVERY__STALL_AFTER_S": "3"},
        )
        async with ground.publisher() as publisher:
            with ground.worker() as worker:
                await worker.ready()
                await publish(publisher, ground.topic(Topic.CONTENT), range(20))
                await worker.until(lambda: worker.ended("done") == 20)

                redis.stop()
                await publish(publisher, ground.topic(Topic.CONTENT), range(20, 60))
                await worker.until(lambda: worker.status("/ready") == 503)
                await asyncio.sleep(6.0)  # twice the watchdog's patience

                assert worker.status("/live") == 200
                assert worker.ended("done") == 20
                redis.come_back()
                await worker.until(lambda: worker.ended("done") + worker.ended("stale") >= 60)

                await worker.until(lambda: worker.status("/ready") == 200)
                assert worker.ended("dead_letter") == 0
                assert worker.stop() == 0
        assert await texts(ground) == 60


async def test_a_worker_started_before_its_servers_waits(kafka_bootstrap: str, prefix: str, tmp_path: Path) -> None:
    """Redis comes up later: the worker says what it waits for and then serves."""
    redis = RestartableRedis(tmp_path / "redis")
    redis.start()
    redis.stop()
    ground = Ground(kafka=kafka_bootstrap, redis=redis.url, prefix=prefix, folder=tmp_path)
    with ground.worker() as worker:
        await worker.until(lambda: worker.status("/ready") == 503)
        await asyncio.sleep(3.0)
        assert worker.status("/live") == 200

        redis.come_back()
        try:
            await worker.ready()
        finally:
            redis.stop()
