"""Everything that a topic holds is read, however it was sent."""

import asyncio
from pathlib import Path

import pytest

from tests.integration.delivery_kit import Ground
from workers.contracts.topics import Topic
from workers.operate.past_records import past_batches, past_records


async def test_a_last_batch_larger_than_what_is_read_together_is_read_whole(
    kafka_bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    """Asked for a partition's end, the embedded broker counts one record of the last batch, however many it holds."""
    ground = Ground(kafka=kafka_bootstrap, redis="redis://127.0.0.1:1/0", prefix=prefix, folder=tmp_path)
    told: list[tuple[int, int]] = []
    async with ground.publisher() as publisher:
        sent = (publisher.send(ground.topic(Topic.CONTENT), key=b"one", value=b"%d" % each) for each in range(3000))
        await asyncio.gather(*sent)

    found = [
        record.value async for record in past_records(ground.settings.kafka, Topic.CONTENT, lambda *at: told.append(at))
    ]

    assert found == [b"%d" % each for each in range(3000)]
    assert told[-1] == (3000, 3000)


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
    batches = past_batches(ground.settings.kafka, Topic.QUERIES, lambda *step: told.append(step), catch_up=True)

    found = [record.value async for batch in batches for record in batch]

    assert sorted(found) == sorted(b"%d" % number for number in range(count))
    assert told[-1] == (count, count)
