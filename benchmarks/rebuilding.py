"""What a loss of Redis changes once ``crosscurrent rebuild`` has filled it again, and how fast it does.

Run: ``.venv/bin/python benchmarks/rebuilding.py [--items N] [--queries 200] [--profile builtin]``
or:  ``.venv/bin/python benchmarks/rebuilding.py --graph 20000``

The first runs the whole system on the built-in corpus, asks, empties Redis under the running workers, rebuilds, and
asks the same again. Backgrounds are measured before the first question and not again (``query.calibration_refresh_s``
is an hour): a measurement in between changes scores, loss or no loss. Questions are asked one after the other: those
encoded in one batch differ in the sixth digit from those encoded alone.

The second compares graphs: the same vectors written twice in different order into an index large enough that a graph
search misses something. Scores of what is found are exact in both; what is found may differ, and that is counted.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import redis
import yaml
from pydantic import SecretStr
from rich.console import Console
from rich.progress import track

from config.settings import RedisSettings, Settings
from config.vocabulary import ItemId, Modality, ModelRef, Version
from encoders.builtin.corpus import Corpus
from encoders.identity import identify
from fusion.answer import answer
from fusion.index.protocol import Item
from fusion.index.redis_calibration import RedisCalibrationStore
from fusion.index.redis_index import RedisVectorIndex
from fusion.request import QueryPart, RankingRequest
from workers.operate.cli_options import Options
from workers.operate.client import AsyncClient
from workers.operate.demo_script import chosen_items, content_events
from workers.operate.embedded import EmbeddedRedis
from workers.operate.rebuild import rebuild
from workers.operate.system import System

LANGUAGES: Final = ("name", "name_zh", "name_es", "name_de", "name_fr", "name_ja")
STRATEGIES: Final = ("weighted_mean", "attention", "max", "rrf")
PATIENCE_MS: Final = 60_000
CHUNK: Final = 64
Hits = list[tuple[str, float]]


def questions(corpus: Corpus, item_ids: Sequence[str], count: int) -> list[dict[str, Any]]:
    """Names in six languages, and what is like an item, by all strategies."""
    rng = np.random.default_rng(0)
    made: list[dict[str, Any]] = []
    for number, place in enumerate(rng.integers(len(item_ids), size=count)):
        item = corpus.items[item_ids[place]]
        name = str(item.attributes.get(LANGUAGES[number % len(LANGUAGES)], item.name))
        asked = {"kind": "search", "parts": [{"modality": "text", "text": name}]}
        if number % 4 == 3:
            asked = {"kind": "similar", "item_id": item.item_id}
        strategy = STRATEGIES[number // 4 % len(STRATEGIES)]
        made.append({**asked, "fusion": {"strategy": strategy}, "deadline_ms": PATIENCE_MS})
    return made


async def ask(client: AsyncClient, asked: Sequence[dict[str, Any]]) -> list[Hits]:
    """Ids and scores of each answer."""
    found = []
    for question in asked:
        result = await client.query(question, timeout_s=PATIENCE_MS / 1000)
        if result.status != "ok":
            raise SystemExit(f"{question}: {result.status} {result.error} {result.warnings}")
        found.append([(hit.item_id, hit.score) for hit in result.hits])
    return found


async def until_measured(settings: Settings, items: int) -> None:
    """Wait until all items are there and a table of backgrounds counts that will not be measured again soon."""
    space = identify(settings.model)
    index = RedisVectorIndex(settings.redis, space.model, space.dims)
    store = RedisCalibrationStore(settings.redis, space.model, space.dims)
    while True:
        counts, stored = await index.counts(), await store.read()
        if max(counts.values()) >= items and stored is not None:
            newest = stored.tables[-1]
            grown = any(count >= 2 * newest.items.get(kind, 0) for kind, count in counts.items() if count)
            if not grown and newest.effective_at_ms < time.time() * 1000:
                break
        await asyncio.sleep(1)
    await index.close()
    await store.close()


def compare(before: Sequence[Hits], after: Sequence[Hits]) -> str:
    """How many answers are the same, in words."""
    pairs = list(zip(before, after, strict=True))
    ids = sum([hit[0] for hit in one] == [hit[0] for hit in other] for one, other in pairs)
    whole = sum(one == other for one, other in pairs)
    shared = sum(len({hit[0] for hit in one} & {hit[0] for hit in other}) for one, other in pairs)
    scores = [(dict(one)[name], dict(other)[name]) for one, other in pairs for name in dict(one) if name in dict(other)]
    hits, largest = sum(map(len, before)), max(abs(a - b) for a, b in scores)
    return (
        f"{whole} of {len(pairs)} answers are identical in ids and scores, {ids} in ids; {shared} of {hits} hits are "
        f"in both; largest difference of a score {largest:g}"
    )


async def measure(system: System, corpus: Corpus, item_ids: Sequence[str], queries: int) -> None:
    """Publish, ask, lose, rebuild, ask."""
    console, settings = Console(), system.settings
    async with AsyncClient(settings) as client:
        began = time.perf_counter()
        await client.publish_many(content_events(corpus, item_ids))
        await until_measured(settings, len(item_ids))
        console.print(f"{len(item_ids)} items published, encoded and calibrated in {time.perf_counter() - began:.0f} s")
        asked = questions(corpus, item_ids, queries)
        before = await ask(client, asked)
        console.print(f"the same asked twice: {compare(before, await ask(client, asked))}")
        with redis.Redis.from_url(settings.redis.url.get_secret_value()) as server:
            server.flushall()
        began = time.perf_counter()
        done = (await rebuild(settings, lambda *_: None)).vectors
        seconds = time.perf_counter() - began
        console.print(f"rebuilt {done.items} items in {seconds:.1f} s, {done.items / seconds:.0f} items a second")
        console.print(f"before and after: {compare(before, await ask(client, asked))}")


def corpus_run(items: int | None, queries: int, profile: str, folder: Path) -> None:
    """Run the system and measure."""
    corpus = Corpus()
    config = folder / "settings.yaml"
    config.write_text(yaml.safe_dump({"query": {"calibration_refresh_s": 3600.0}}))
    with System(folder, Options(config=config), profile=profile) as system:
        asyncio.run(measure(system, corpus, chosen_items(corpus, items), queries))


def random_items(count: int, dims: int = 256) -> list[Item]:
    """Items around 200 centres, with two vectors each."""
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((200, dims))
    made = []
    for number in range(count):
        own = centres[rng.integers(200)] + rng.standard_normal(dims)
        vectors = {}
        for kind in (Modality.TEXT, Modality.IMAGE):
            raw = own + 0.5 * rng.standard_normal(dims)
            vectors[kind] = (raw / np.linalg.norm(raw)).astype(np.float32)
        made.append(Item(item_id=ItemId(f"item-{number:06d}"), version=Version(number, 0), vectors=vectors))
    return made


async def graph_run(count: int, queries: int, folder: Path) -> None:
    """Write the same items in two orders, and ask both indexes the same."""
    items = random_items(count)
    rng = np.random.default_rng(4)
    vectors = [items[place].vectors[Modality.TEXT] + 0.05 * rng.standard_normal(256) for place in range(queries)]
    asked = [RankingRequest(parts=(QueryPart(modality=Modality.TEXT, vector=np.float32(each)),)) for each in vectors]
    found: list[list[Hits]] = []
    for order in (range(count), rng.permutation(count)):
        with EmbeddedRedis(folder / f"redis-{len(found)}") as server:
            index = RedisVectorIndex(RedisSettings(url=SecretStr(server.url)), ModelRef("random", "1"), 256)
            for start in track(range(0, count, CHUNK), description=f"order {len(found) + 1}"):
                await index.write([items[place] for place in order[start : start + CHUNK]])
            answers = [await answer(each, index, {}) for each in asked]
            found.append([[(hit.item_id, hit.score) for hit in ranking.hits] for ranking in answers])
            await index.close()
    Console().print(f"{count} items in two orders: {compare(*found)}")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, help="only so many of the corpus")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--profile", default="builtin")
    parser.add_argument("--graph", type=int, help="compare graphs of so many random items instead")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if wanted.graph:
            asyncio.run(graph_run(wanted.graph, wanted.queries, Path(folder)))
        else:
            corpus_run(wanted.items, wanted.queries, wanted.profile, Path(folder))


if __name__ == "__main__":
    main()
