"""Filters of any selectivity fill the page and find what exact search finds, on a real Redis of 5,000 items."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from config.settings import RedisSettings
from config.vocabulary import ItemId, Modality, Version
from fusion.answer import answer
from fusion.index.memory_index import MemoryVectorIndex
from fusion.index.protocol import Item, VectorIndex
from fusion.index.redis_index import RedisVectorIndex
from fusion.request import QueryPart, RankingRequest
from tests.fusion_builders import MODEL

ITEMS, DIMS, CLUSTERS, PAGE = 5000, 64, 50, 10
MODALITIES = (Modality.TEXT, Modality.IMAGE)
SHARES = (1e-1, 1e-2, 1e-3, 4e-4)


def collection(*, clustered: bool) -> tuple[list[Item], np.ndarray]:
    """Items around centres or in one shapeless cloud; ``u`` is uniform, ``c`` their cluster."""
    rng = np.random.default_rng(4)
    cluster = rng.integers(CLUSTERS, size=ITEMS)
    own = rng.standard_normal((ITEMS, DIMS)) * (0.6 if clustered else 1.0)
    own += rng.standard_normal((CLUSTERS, DIMS))[cluster] if clustered else 0.0
    vectors = {kind: own + 0.4 * rng.standard_normal((ITEMS, DIMS)) for kind in MODALITIES}
    chance = rng.random(ITEMS)
    return [
        Item(
            item_id=ItemId(f"i{place:04d}"),
            version=Version(1, place),
            vectors={kind: (v[place] / np.linalg.norm(v[place])).astype(np.float32) for kind, v in vectors.items()},
            attributes={"u": float(chance[place]), "c": int(cluster[place])},
        )
        for place in range(ITEMS)
    ], own


async def write_all(index: VectorIndex, items: Sequence[Item]) -> None:
    """In batches, as the content worker does."""
    for start in range(0, len(items), 250):
        await index.write(items[start : start + 250])


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("clustered", [False, True], ids=["random", "clustered"])
async def test_filters_fill_the_page_and_find_what_is_best(redis_url: str, prefix: str, clustered: bool) -> None:
    """Full pages whenever enough items match, and at least 95 of 100 hits are those of exact search.

    Each share by chance, and where items cluster also what lies in another cluster than the query alone.
    """
    items, own = collection(clustered=clustered)
    index = RedisVectorIndex(RedisSettings(url=redis_url, prefix=prefix, shards=2), MODEL, DIMS, MODALITIES)
    oracle = MemoryVectorIndex(MODEL, DIMS, MODALITIES)
    await oracle.write(items)
    await write_all(index, items)
    filters = {f"{share:g}": [f".u < {share:g}"] for share in SHARES}
    if clustered:
        filters["another cluster"] = [f".c == {cluster}" for cluster in range(CLUSTERS)]
        filters["few of another cluster"] = [f".c == {cluster} and .u < 0.2" for cluster in range(CLUSTERS)]
    rng = np.random.default_rng(6)
    for name, sources in filters.items():
        alike = []
        for number in range(12):
            near = own[rng.integers(ITEMS)] + 0.5 * rng.standard_normal(DIMS)
            part = QueryPart(modality=Modality.TEXT, vector=near.astype(np.float32))
            request = RankingRequest(parts=(part,), filter=sources[number % len(sources)], k=PAGE)
            exact = await answer(replace(request, candidates=ITEMS), oracle, {})  # everything is a candidate
            found = await answer(request, index, {})
            assert len(found.hits) == len(exact.hits), (name, number)
            assert found.warnings == ()
            best = {hit.item_id for hit in exact.hits}
            alike.append(len(best & {hit.item_id for hit in found.hits}) / max(len(best), 1))
        assert np.mean(alike) >= 0.95, (name, alike)
    await index.close()
