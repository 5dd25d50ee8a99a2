"""Everything that a topic holds is read, however it was sent."""

import asyncio
from pathlib import Path

from tests.integration.delivery_kit import Ground
from workers.contracts.topics import Topic
from workers.operate.past_records import past_records


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
