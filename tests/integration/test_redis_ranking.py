"""The ranking from Redis is the ranking: what exact search and the same fusion give, for any number of shards."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from config.settings import RedisSettings
from config.vocabulary import Background, FusionStrategy, MissingRule, Modality
from fusion.answer import answer
from fusion.index.memory_index import MemoryVectorIndex
from fusion.index.protocol import Item, Neighbour, SearchReport, VectorIndex, VectorSearch
from fusion.index.redis_index import RedisVectorIndex
from fusion.request import QueryPart, Ranking, RankingRequest
from tests.fusion_builders import MODEL, clustered

ITEMS, DIMS, QUERIES = 3000, 64, 500
SHARDED_QUERIES = {1: QUERIES, 2: 120, 4: 120}  # one shard is the whole proof; more must give the same
SEARCHED = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)
STRATEGIES = tuple(FusionStrategy)
CALIBRATION = {
    (query, item): Background(mean=0.2 + 0.05 * row - 0.03 * column, std=0.1 + 0.02 * row + 0.03 * column)
    for row, query in enumerate(SEARCHED)
    for column, item in enumerate(SEARCHED)
}


class EverythingIndex(MemoryVectorIndex):
    """Proposes every item to every search, so that ``answer`` scores the whole collection."""

    async def search(self, searches: Sequence[VectorSearch]) -> SearchReport:
        """All ids, in one list; filters are applied by ``answer``."""
        ids = await self.scan_ids(ITEMS)
        return SearchReport(neighbours=[[Neighbour(item_id=item_id, cosine=0.0) for item_id in ids]])


def requests(centres: np.ndarray) -> list[RankingRequest]:
    """Queries near cluster centres: one to three parts, negative ones, filters, every strategy and missing rule."""
    rng = np.random.default_rng(3)

    def part(weight: float) -> QueryPart:
        raw = centres[rng.integers(len(centres))] + 0.8 * rng.standard_normal(DIMS)
        vector = (raw / np.linalg.norm(raw)).astype(np.float32)
        return QueryPart(modality=SEARCHED[rng.integers(len(SEARCHED))], vector=vector, weight=weight)

    made = []
    for number in range(QUERIES):
        parts = [part(rng.uniform(0.3, 1.0)) for _ in range(rng.integers(1, 3))]
        parts += [part(-rng.uniform(0.2, 0.6))] if rng.random() < 0.3 else []
        made.append(
            RankingRequest(
                parts=tuple(parts),
                strategy=STRATEGIES[number % len(STRATEGIES)],
                filter=".year > 2018" if rng.random() < 0.2 else "",
                missing=MissingRule.PENALISE if rng.random() < 0.3 else MissingRule.RENORMALISE,
            )
        )
    return made


async def write_all(index: VectorIndex, items: Sequence[Item]) -> None:
    """In batches, as the content worker does."""
    for start in range(0, len(items), 64):
        await index.write(items[start : start + 64])


@pytest.fixture
async def sharded(redis_url: str, prefix: str) -> AsyncIterator[dict[int, RedisVectorIndex]]:
    """The same collection over one, two and four shards."""
    items, _ = clustered(ITEMS, dims=DIMS, modalities=SEARCHED)
    made = {}
    for shards in (1, 2, 4):
        settings = RedisSettings(url=redis_url, prefix=f"{prefix}-{shards}", shards=shards)
        made[shards] = RedisVectorIndex(settings, MODEL, DIMS, SEARCHED)
        await write_all(made[shards], items)
    yield made
    for index in made.values():
        await index.close()


def places_alike(one: Ranking, other: Ranking) -> list[bool]:
    """For each of the ten places, whether both rankings have the same item there."""
    assert len(one.hits) == len(other.hits) == 10
    return [mine.item_id == theirs.item_id for mine, theirs in zip(one.hits, other.hits, strict=True)]


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_the_top_ten_is_that_of_exact_search(sharded: dict[int, RedisVectorIndex]) -> None:
    """At least 98 of 100 places over 500 queries, under each strategy, however many shards."""
    items, centres = clustered(ITEMS, dims=DIMS, modalities=SEARCHED)
    oracle = EverythingIndex(MODEL, DIMS, SEARCHED)
    await oracle.write(items)
    asked = requests(centres)
    exact = [await answer(request, oracle, CALIBRATION) for request in asked]
    found = {
        shards: [await answer(request, index, CALIBRATION) for request in asked[: SHARDED_QUERIES[shards]]]
        for shards, index in sharded.items()
    }

    for shards, rankings in found.items():
        alike = [places_alike(one, other) for one, other in zip(rankings, exact, strict=False)]
        by_strategy = {each: np.mean(alike[place :: len(STRATEGIES)]) for place, each in enumerate(STRATEGIES)}
        print(f"{shards} shards: {np.mean(alike):.4f} of places as in exact search, {by_strategy}")  # noqa: T201
        assert min(by_strategy.values()) >= 0.98, (shards, by_strategy)
    between = [places_alike(one, other) for one, other in zip(found[1], found[4], strict=False)]
    assert np.mean(between) >= 0.99
    linear = slice(0, SHARDED_QUERIES[4], len(STRATEGIES))
    assert [_ranked(one) for one in found[1][linear]] == [_ranked(one) for one in found[4][linear]]


async def test_pages_follow_each_other(redis_url: str, prefix: str) -> None:
    """Two pages are the two halves of a longer one, diverse or not."""
    items, centres = clustered(400, dims=DIMS, modalities=SEARCHED)
    index = RedisVectorIndex(RedisSettings(url=redis_url, prefix=prefix), MODEL, DIMS, SEARCHED)
    await write_all(index, items)
    whole = replace(requests(centres)[0], k=20, candidates=200)

    both = await answer(whole, index, CALIBRATION)
    first = await answer(replace(whole, k=10), index, CALIBRATION)
    second = await answer(replace(whole, k=10, offset=10), index, CALIBRATION)

    assert _ranked(first) + _ranked(second) == _ranked(both)
    assert [hit.rank for hit in second.hits] == list(range(11, 21))
    await index.close()


def _ranked(ranking: Ranking) -> list[tuple[str, float]]:
    return [(hit.item_id, hit.score) for hit in ranking.hits]
