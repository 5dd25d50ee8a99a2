"""A topic is read to its very end."""

import asyncio
from pathlib import Path

import pytest

from tests.integration.delivery_kit import Ground
from workers.contracts.topics import Topic
from workers.operate.past_records import past_batches


@pytest.mark.parametrize("count", [0, 1, 1200])
async def test_the_last_batch_is_read_whole(kafka_bootstrap: str, prefix: str, tmp_path: Path, count: int) -> None:
    """Also where a broker says that the topic ends within it: small records, hundreds of which travel together."""
    ground = Ground(kafka=kafka_bootstrap, redis="redis://nowhere", prefix=prefix, folder=tmp_path)
    told: list[tuple[int, int]] = []
    async with ground.publisher() as publisher:
        topic = ground.topic(Topic.QUERIES)
        await asyncio.gather(
            *(publisher.send(topic, key=b"k", value=b"%d" % number, partition=0) for number in range(count))
        )
    batches = past_batches(ground.settings.kafka, Topic.QUERIES, lambda *step: told.append(step))

    found = [record.value async for batch in batches for record in batch]

    assert sorted(found) == sorted(b"%d" % number for number in range(count))
    assert told[-1:] == ([(count, count)] if count else [])
