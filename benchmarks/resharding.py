"""What another number of shards costs: the rate of the fill, and writes and queries before it, while and after.

Run: ``.venv/bin/python -m benchmarks.resharding [--items 10000] [--shards 4]``

Random vectors around 200 centres (256 numbers, two modalities) lie in one shard and on the vectors topic of an embedded
broker. A second layout is filled while one client asks and another one writes as content workers do, one after the
other; the same clients are measured before, with one layout, and after, with two that are filled. Everything shares
this machine's cores.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.rebuilding import random_items
from config.settings import Settings, load_settings
from config.vocabulary import Modality, Version
from encoders.identity import identify
from fusion.answer import answer
from fusion.index.followed_index import FollowedIndex
from fusion.index.protocol import Item
from fusion.request import QueryPart, RankingRequest
from workers.contracts.topics import Topic
from workers.operate.admin import create_topics
from workers.operate.embedded import EmbeddedKafka, EmbeddedRedis
from workers.operate.layout_desk import LayoutDesk
from workers.operate.reshard import compare_layouts, fill
from workers.streams.publisher import KafkaPublisher
from workers.streams.vectors_topic import VectorsTopic

CHUNK = 64
SPELL_S = 5.0


async def rates(
    index: FollowedIndex, items: list[Item], during: Callable[[], Awaitable[object]]
) -> tuple[float, float, float]:
    """Items written a second, and the median and the 99th percentile of a query in ms, while something else goes on."""
    rng, stop, waits, written = np.random.default_rng(1), asyncio.Event(), list[float](), 0

    async def ask() -> None:
        while not stop.is_set():
            vector = items[int(rng.integers(len(items)))].vectors[Modality.TEXT]
            began = time.perf_counter()
            await answer(RankingRequest(parts=(QueryPart(modality=Modality.TEXT, vector=vector),)), index, {})
            waits.append((time.perf_counter() - began) * 1000)

    async def write() -> None:
        nonlocal written
        while not stop.is_set():
            places = rng.integers(len(items), size=CHUNK)
            now = time.time_ns() // 1_000_000
            batch = {place: items[place] for place in places}
            await index.write([_newer(item, now) for item in batch.values()])
            written += len(batch)

    tasks = [asyncio.create_task(one()) for one in (ask, write)]
    began = time.perf_counter()
    await during()
    seconds = time.perf_counter() - began
    stop.set()
    await asyncio.gather(*tasks)
    return written / seconds, float(np.median(waits)), float(np.percentile(waits, 99))


def _newer(item: Item, at_ms: int) -> Item:
    return Item(item_id=item.item_id, version=Version(at_ms, 0), vectors=item.vectors)


async def measure(settings: Settings, count: int, shards: int) -> None:
    """Fill the first layout, then the second one."""
    console, space = Console(), identify(settings.model)
    items = random_items(count, space.dims)
    index = FollowedIndex(settings.redis, space.model, space.dims)
    await index.check()
    async with KafkaPublisher(settings.kafka, client_id="benchmark") as publisher:
        topic = VectorsTopic(Topic.VECTORS.named(settings.kafka.topic_prefix), publisher, index)
        for start in range(0, count, CHUNK):
            await topic.publish(items[start : start + CHUNK])
            await index.write(items[start : start + CHUNK])
    async with LayoutDesk(settings) as desk:

        async def filling() -> None:
            began = time.perf_counter()
            done = await fill(desk, shards, lambda *_: None)
            seconds, total = time.perf_counter() - began, done.items + done.kept
            console.print(f"filled {done.items} of {total} items in {seconds:.1f} s, {total / seconds:.0f} a second")

        async def waiting() -> None:
            await asyncio.sleep(SPELL_S)

        for name, during in (("one layout", waiting), ("filling", filling), ("two layouts", waiting)):
            rate, median, worst = await rates(index, items, during)
            console.print(f"{name}: {rate:.0f} writes a second, queries {median:.1f} ms, p99 {worst:.1f} ms")
        found = await compare_layouts(desk, 200)
        console.print(f"{found.identical} of {len(found.answers)} identical, overlap@10 {found.overlap:.4f}")
        began = time.perf_counter()
        await desk.flip()
        console.print(f"flipped in {(time.perf_counter() - began) * 1000:.0f} ms")
    await index.close()


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--shards", type=int, default=4)
    wanted = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedRedis(Path(folder) / "redis") as redis,
        EmbeddedKafka(Path(folder) / "kafka") as kafka,
    ):
        settings = load_settings(
            overrides={
                "kafka": {"bootstrap_servers": kafka.bootstrap_servers},
                "redis": {"url": redis.url},
                "model": {"profile": "deterministic"},
            }
        )
        create_topics(settings.kafka)
        asyncio.run(measure(settings, wanted.items, wanted.shards))


if __name__ == "__main__":
    main()
