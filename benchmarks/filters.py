"""Whether filters fill the page, find what exact search finds, and what they cost: 50,000 items in a real Redis.

Run: ``.venv/bin/python benchmarks/filters.py [--items 50000] [--dims 256] [--queries 100] [--shards 1]``

Items have two modalities and are searched with one part. A filter selects a share of them at random (``.u < 0.001``),
or, where items cluster, those of one cluster alone that is not the query's (``.cluster == 7``): there a walk from near
to nearer meets none of them. Exact is the same fusion over every item that the filter selects. A page is full when it
has 10 hits, or as many as the filter selects; recall@10 counts those that exact search has too. Milliseconds are of
the whole answer, with the load average of the machine beside them. ``--redis URL`` takes a server of your own and fills
it only once.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr
from rich.console import Console
from rich.progress import track
from rich.table import Table

from config.settings import RedisSettings
from config.vocabulary import Attributes, ItemId, Modality, ModelRef, Version
from fusion.answer import answer
from fusion.index.filters import parse_filter
from fusion.index.memory_index import MemoryVectorIndex
from fusion.index.protocol import Item, Neighbour, SearchReport, VectorSearch
from fusion.index.redis_index import RedisVectorIndex
from fusion.request import QueryPart, RankingRequest
from workers.operate.embedded import EmbeddedRedis

MODEL = ModelRef("benchmark-filters", "1")
KINDS = (Modality.TEXT, Modality.IMAGE)
SHARES = (1e-1, 1e-2, 1e-3, 1e-4)
CLUSTERS = 500
CHUNK = 64
PAGE = 10
WARM_UP = 5
UNFILTERED = "none"


class SelectedIndex(MemoryVectorIndex):
    """Proposes every item that the filter selects, so that ``answer`` scores all of them."""

    async def search(self, searches: Sequence[VectorSearch]) -> SearchReport:
        """All ids, in one list."""
        wanted = parse_filter(searches[0].filter) if searches[0].filter else None
        chosen = [each for each, item in self._items.items() if wanted is None or wanted.matches(item.attributes)]
        return SearchReport(neighbours=[[Neighbour(item_id=item_id, cosine=0.0) for item_id in chosen]])


@dataclass(frozen=True, slots=True)
class Collection:
    """Items, and the vectors that queries are made near of; ``clusters`` is empty where there are none."""

    name: str
    items: Sequence[Item]
    centres: NDArray[np.float64]
    clusters: NDArray[np.intp]


def collection(name: str, count: int, dims: int) -> Collection:
    """Items in one shapeless cloud, or around centres; each modality in its own cone (the modality gap)."""
    rng = np.random.default_rng(1)
    clustered = name == "clustered"
    clusters = rng.integers(CLUSTERS, size=count) if clustered else np.zeros(0, np.intp)
    own = rng.standard_normal((count, dims))
    if clustered:
        own = rng.standard_normal((CLUSTERS, dims))[clusters] + 0.8 * own
    vectors = {kind: own + 0.5 * rng.standard_normal((count, dims)) + 0.4 * rng.standard_normal(dims) for kind in KINDS}
    units = {kind: _units(raw) for kind, raw in vectors.items()}
    chance = rng.random(count)
    items = [
        Item(
            item_id=ItemId(f"item-{place:06d}"),
            version=Version(1, place),
            vectors={kind: units[kind][place] for kind in KINDS},
            attributes=_attributes(float(chance[place]), int(clusters[place]) if clustered else None),
        )
        for place in range(count)
    ]
    return Collection(name, items, own, clusters)


def _units(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _attributes(chance: float, cluster: int | None) -> Attributes:
    return {"u": chance, "year": 2000 + int(25 * chance), **({} if cluster is None else {"cluster": cluster})}


def questions(kept: Collection, count: int) -> list[QueryPart]:
    """Parts that show something near an item."""
    rng = np.random.default_rng(2)
    places = rng.integers(len(kept.items), size=count)
    noisy = kept.centres[places] + 0.5 * rng.standard_normal((count, kept.centres.shape[1]))
    return [QueryPart(modality=Modality.TEXT, vector=vector.astype(np.float32)) for vector in noisy]


def filters(kept: Collection) -> dict[str, list[str]]:
    """Filters to measure under each name; one a query, over and over."""
    found = {UNFILTERED: [""]} | {f"{share:g}": [f".u < {share:g}"] for share in SHARES}
    if len(kept.clusters):
        found["another cluster"] = [f".cluster == {cluster}" for cluster in range(0, CLUSTERS, 7)]
    return found


@dataclass(frozen=True, slots=True)
class Measured:
    """One row: means over the queries, and milliseconds each took."""

    selected: float
    fill: float
    full: float
    recall: float
    times_ms: NDArray[np.float64]


async def measure(
    parts: Sequence[QueryPart], sources: Sequence[str], index: RedisVectorIndex, oracle: SelectedIndex
) -> Measured:
    """Ask both sides the same: first the one that is timed, then the oracle, which takes the whole processor."""
    requests = [
        RankingRequest(parts=(part,), filter=sources[number % len(sources)], k=PAGE)
        for number, part in enumerate(parts)
    ]
    for request in requests[:WARM_UP]:
        await answer(request, index, {})
    served, times = [], []
    for request in requests:
        began = time.perf_counter()
        served.append([hit.item_id for hit in (await answer(request, index, {})).hits])
        times.append((time.perf_counter() - began) * 1000)
    rows = []
    for request, hits in zip(requests, served, strict=True):
        exact = await answer(request, oracle, {})
        due = max(len(exact.hits), 1)
        same = len({hit.item_id for hit in exact.hits} & set(hits))
        rows.append((exact.candidates, len(hits) / due, len(hits) >= len(exact.hits), same / due))
    means = np.mean(np.array(rows, np.float64), axis=0)
    return Measured(*(float(mean) for mean in means), np.array(times))


async def fill(kept: Collection, index: RedisVectorIndex) -> None:
    """Write all items, unless they are there."""
    await index.check()
    if (await index.counts())[KINDS[0]] == len(kept.items):
        return
    for start in track(range(0, len(kept.items), CHUNK), description=f"filling, {kept.name}"):
        await index.write(kept.items[start : start + CHUNK])


async def run(kept: Collection, asked: int, settings: RedisSettings, console: Console) -> None:
    """Measure every filter and print the table."""
    dims = kept.centres.shape[1]
    index, oracle = RedisVectorIndex(settings, MODEL, dims, KINDS), SelectedIndex(MODEL, dims, KINDS)
    await oracle.write(kept.items)
    await fill(kept, index)
    table = Table("filter", "selects", "page fill", "full pages", "recall@10", "p50 ms", "p99 ms", "p50 / none", "load")
    unfiltered = 0.0
    for name, sources in filters(kept).items():
        # Exact search of everything takes a second a query: fewer of them do.
        row = await measure(questions(kept, min(asked, 30) if name == UNFILTERED else asked), sources, index, oracle)
        p50, p99 = np.percentile(row.times_ms, [50, 99])
        unfiltered = unfiltered or float(p50)
        shares = (f"{row.fill:.3f}", f"{row.full:.0%}", f"{row.recall:.3f}")
        costs = (f"{p50:.1f}", f"{p99:.1f}", f"{p50 / unfiltered:.2f}", f"{os.getloadavg()[0]:.1f}")
        table.add_row(name, f"{row.selected:.0f}", *shares, *costs)
    console.print(f"{kept.name}: {len(kept.items)} items, {dims} dimensions, {settings.shards} shards, {asked} queries")
    console.print(table)
    await index.close()


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--dims", type=int, default=256)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", default=["random", "clustered"])
    parser.add_argument("--redis", default="")
    parser.add_argument("--effort", type=int, default=200)
    parser.add_argument("--cache-mb", type=int, default=64)
    wanted = parser.parse_args()
    console = Console(width=120)
    with ExitStack() as stack:
        url = wanted.redis
        if not url:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = stack.enter_context(EmbeddedRedis(folder)).url
        for name in wanted.kinds:
            settings = RedisSettings(
                url=SecretStr(url),
                prefix=name,
                shards=wanted.shards,
                search_effort=wanted.effort,
                item_cache_mb=wanted.cache_mb,
            )
            asyncio.run(run(collection(name, wanted.items, wanted.dims), wanted.queries, settings, console))


if __name__ == "__main__":
    main()
