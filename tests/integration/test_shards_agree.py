"""The same hits, order and scores however many shards there are, under every method and rule; and the exact ones."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from config.settings import RedisSettings
from config.vocabulary import BoostShape, FusionStrategy, ItemId, MissingRule, Modality, RankingMethod
from fusion.answer import answer
from fusion.arrangement import Collapse, Coverage, GroupBy
from fusion.boosts import Numeric, Popularity, Recency
from fusion.index.memory_index import MemoryVectorIndex
from fusion.index.protocol import Item, VectorIndex
from fusion.index.redis_index import RedisVectorIndex
from fusion.request import QueryPart, Ranking, RankingRequest
from tests.fusion_builders import MODEL, clustered, item, unit

ITEMS, DIMS = 1200, 48
SHARDS = (1, 2, 4, 8)
MODALITIES = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)
HOW: dict[str, dict[str, Any]] = {
    "top_k": {},
    "second page": {"offset": 20},
    "max": {"strategy": FusionStrategy.MAX},
    "rrf": {"strategy": FusionStrategy.RRF},
    "none": {"strategy": FusionStrategy.NONE},
    "mmr": {"ranking": RankingMethod.MMR, "diversity": 0.5},
    "beam": {
        "ranking": RankingMethod.BEAM,
        "coverage": Coverage(attribute="category", weight=0.3),
    },
    "rules": {
        "group_by": GroupBy(attribute="category", most=2),
        "collapse": Collapse(similarity=0.97),
    },
    "boosts": {
        "boost_by": (
            Recency(share=0.1, half_life_s=1.0),
            Popularity(share=0.1, weights={ItemId("item-00007"): 3.0}),
            Numeric(share=0.1, attribute="year", shape=BoostShape.GAUSS, origin=2024, scale=5),
        ),
        "asked_at_ms": 2000,
    },
    "filter": {"filter": ".year > 2015"},
    "rare filter": {"filter": '.year == 2003 and .category == "c1"'},
}


async def write_all(index: VectorIndex, items: Sequence[Item]) -> None:
    """In batches, as the content worker does."""
    for start in range(0, len(items), 100):
        await index.write(items[start : start + 100])


@pytest.fixture
async def sharded(redis_url: str, prefix: str) -> AsyncIterator[dict[int, RedisVectorIndex]]:
    """The same collection over one, two, four and eight shards, written in different orders."""
    items, _ = clustered(ITEMS, dims=DIMS, clusters=60, modalities=MODALITIES)
    made = {}
    for shards in SHARDS:
        settings = RedisSettings(url=redis_url, prefix=f"{prefix}-{shards}", shards=shards)
        made[shards] = RedisVectorIndex(settings, MODEL, DIMS, MODALITIES)
        await made[shards].check()
        shuffled = np.random.default_rng(shards).permutation(ITEMS)
        await write_all(made[shards], [items[place] for place in shuffled])
    yield made
    for index in made.values():
        await index.close()


def requests(count: int, **changes: Any) -> list[RankingRequest]:
    """Questions of one or two parts near cluster centres."""
    _, centres = clustered(ITEMS, dims=DIMS, clusters=60, modalities=MODALITIES)
    rng = np.random.default_rng(11)

    def part() -> QueryPart:
        raw = centres[rng.integers(len(centres))] + 0.6 * rng.standard_normal(DIMS)
        modality = MODALITIES[rng.integers(len(MODALITIES))]
        return QueryPart(modality=modality, vector=raw.astype(np.float32), weight=rng.uniform(0.3, 1.0))

    made = [tuple(part() for _ in range(1 + number % 2)) for number in range(count)]
    return [RankingRequest(parts=parts, missing=MissingRule.PENALISE, **changes) for parts in made]


def shown(ranking: Ranking) -> list[tuple[str, float, tuple[str, ...]]]:
    """Hits, scores, and whom they stand for."""
    assert ranking.failed_shards == ()
    return [(hit.item_id, hit.score, hit.collapsed) for hit in ranking.hits]


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_any_number_of_shards_gives_the_same(sharded: dict[int, RedisVectorIndex]) -> None:
    """Item by item and score by score: quantised searches only propose, and shards only part the work."""
    items, _ = clustered(ITEMS, dims=DIMS, clusters=60, modalities=MODALITIES)
    exact = MemoryVectorIndex(MODEL, DIMS, MODALITIES)
    await exact.write(items)
    for name, changes in HOW.items():
        for request in requests(6, **changes):
            expected = shown(await answer(request, exact, {}))
            assert expected
            for shards, index in sharded.items():
                assert shown(await answer(request, index, {})) == expected, (name, shards)


async def test_equal_items_tie_by_id_over_any_number_of_shards(redis_url: str, prefix: str) -> None:
    """Also where a page ends in the middle of them."""
    names = [f"tie-{place:02d}" for place in range(30)]
    for shards in SHARDS:
        settings = RedisSettings(url=redis_url, prefix=f"{prefix}-{shards}", shards=shards)
        index = RedisVectorIndex(settings, MODEL, DIMS, MODALITIES)
        await index.write([item(name, vectors={Modality.TEXT: unit(1, DIMS)}) for name in reversed(names)])
        request = RankingRequest(parts=(QueryPart(modality=Modality.TEXT, vector=unit(1, DIMS)),), k=7)
        pages = [await answer(replace(request, offset=offset), index, {}) for offset in range(0, 28, 7)]
        assert [hit.item_id for page in pages for hit in page.hits] == names[:28]
        await index.close()


@pytest.mark.parametrize("method", RankingMethod)
async def test_pages_are_slices_of_one_list_while_items_come_and_go(
    redis_url: str, prefix: str, method: RankingMethod
) -> None:
    """A writer adds and removes what the question is not about, all the time that a reader turns pages."""
    items, _ = clustered(600, dims=DIMS, clusters=30, modalities=MODALITIES)
    index = RedisVectorIndex(RedisSettings(url=redis_url, prefix=prefix, shards=2), MODEL, DIMS, MODALITIES)
    await index.check()
    await write_all(index, items)
    request = replace(
        requests(1)[0],
        ranking=method,
        candidates=40,
        group_by=GroupBy(attribute="year", most=4),
        collapse=Collapse(similarity=0.97),
    )
    whole = shown(await answer(replace(request, k=50), index, {}))
    away = -sum(part.vector for part in request.parts)
    found: list[Any] = []
    for offset in range(0, 50, 10):
        vectors = [(away / np.linalg.norm(away) + 0.2 * unit(offset + n, DIMS)).astype(np.float32) for n in range(20)]
        added = [
            item(f"new-{n}", at_ms=5000 + offset, vectors=dict.fromkeys(MODALITIES, vector), attributes={"year": n})
            for n, vector in enumerate(vectors)
        ]
        await index.write(added)
        found += shown(await answer(replace(request, k=10, offset=offset), index, {}))

    assert len(whole) == 50
    assert found == whole
    await index.close()
