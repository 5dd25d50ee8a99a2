"""What clicks teach of the modalities' weights, measured on traffic that was held back.

Items have a picture and a text of unlike meaning. A user cares for one of the two (three in four of a user's clicks
follow it): what they look for is near the query in that modality alone, and the other one is a lure. Users ask, are
shown ten items ranked by ``answer`` with the weights learnt so far, look at them from the top, and click the first that
is good enough in the modality that they care for. Every second query of a user is held back: its clicks teach nothing,
and it is ranked twice, by the weights learnt and by equal ones. The gain is the difference of their nDCG@10 and
reciprocal ranks, with an interval over users (bootstrap).

    python benchmarks/online_weights.py [--users 120] [--queries 60] [--rate 0.1] [--seed 0]

Two controls: users who care for both alike, where there is nothing to gain, and users who click by chance (though what
is good for them is as before), which shows what noise costs.
"""

import argparse
import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from config.settings import PeopleSettings
from config.vocabulary import ItemId, Modality, ModelRef, QueryId, UserId, Version
from fusion.answer import answer
from fusion.index.memory_index import MemoryVectorIndex
from fusion.index.protocol import Item
from fusion.people.memory_served import MemoryServedStore
from fusion.people.served import Act, Served, ServedHit, ServedScore
from fusion.request import QueryPart, Ranking, RankingRequest

DIMS, ITEMS, THEMES = 48, 600, 60
TEXT, IMAGE = Modality.TEXT, Modality.IMAGE
KINDS = ("cares for one", "cares for both", "clicks by chance")


@dataclass(frozen=True)
class World:
    """Items, and the theme of each one's text and picture."""

    index: MemoryVectorIndex
    themes: Mapping[Modality, np.ndarray]
    centres: np.ndarray


async def make_world(rng: np.random.Generator) -> World:
    """An index whose items say one thing and show another."""
    centres = rng.standard_normal((THEMES, DIMS))
    themes = {modality: rng.integers(THEMES, size=ITEMS) for modality in (TEXT, IMAGE)}
    index = MemoryVectorIndex(ModelRef("bench", "1"), DIMS, (TEXT, IMAGE))
    await index.write(
        [
            Item(
                item_id=ItemId(f"i{place:03}"),
                version=Version(0, 0),
                vectors={m: near(centres[themes[m][place]], rng) for m in (TEXT, IMAGE)},
            )
            for place in range(ITEMS)
        ]
    )
    return World(index, themes, centres)


def near(centre: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A unit vector around a centre."""
    raw = centre + 1.2 * rng.standard_normal(DIMS)
    return (raw / np.linalg.norm(raw)).astype(np.float32)


class User:
    """Asks and clicks."""

    def __init__(self, number: int, kind: str, world: World, rng: np.random.Generator) -> None:
        self.user_id = UserId(f"{kind}-{number}")
        self.kind, self.world, self.rng = kind, world, rng
        self.cares = (TEXT, IMAGE)[number % 2]

    def ask(self) -> tuple[RankingRequest, np.ndarray]:
        """A question about a theme, and what each item is worth as its answer."""
        theme = int(self.rng.integers(THEMES))
        vector = near(self.world.centres[theme], self.rng)
        cares = self.cares
        if self.kind == "cares for both" or self.rng.random() < 0.25:
            cares = (TEXT, IMAGE)[int(self.rng.integers(2))]
        worth = (self.world.themes[cares] == theme).astype(float)
        return RankingRequest(parts=(QueryPart(modality=TEXT, vector=vector),)), worth

    def click(self, ranking: Ranking, worth: np.ndarray) -> ItemId | None:
        """The first good hit that is looked at; attention falls as one over the place."""
        for hit in ranking.hits:
            if self.rng.random() > 1.0 / hit.rank**0.5:
                continue
            good = worth[int(hit.item_id[1:])] > 0 if self.kind != "clicks by chance" else self.rng.random() < 0.3
            if good:
                return hit.item_id
        return None


def gain(ranking: Ranking, worth: np.ndarray) -> tuple[float, float]:
    """NDCG@10 and reciprocal rank of the first good hit."""
    values = np.array([worth[int(hit.item_id[1:])] for hit in ranking.hits])
    discounts = 1.0 / np.log2(np.arange(2, len(values) + 2))
    ideal = discounts[: int(min(worth.sum(), len(values)))].sum()
    first = np.flatnonzero(values)
    return float(values @ discounts / ideal) if ideal else 0.0, 1.0 / (first[0] + 1) if len(first) else 0.0


async def live(user: User, store: MemoryServedStore, queries: int) -> np.ndarray:
    """One user's traffic; mean gains of what was held back, shape (learnt or equal weights, measures)."""
    held: list[tuple[tuple[float, float], tuple[float, float]]] = []
    for number in range(queries):
        request, worth = user.ask()
        factors = await store.weights(user.user_id)
        ranking = await answer(replace(request, weights=factors), user.world.index, {})
        if number % 2:
            plain = await answer(request, user.world.index, {})
            held.append((gain(ranking, worth), gain(plain, worth)))
            continue
        query_id = QueryId(f"{user.user_id}-{number}")
        await store.remember(Served(query_id=query_id, user_id=user.user_id, at_ms=number, hits=shown(ranking)))
        clicked = user.click(ranking, worth)
        if clicked is not None:
            await store.join([Act(user_id=user.user_id, query_id=query_id, item_id=clicked, clicked=True)])
    return np.array(held).mean(axis=0)


def shown(ranking: Ranking) -> tuple[ServedHit, ...]:
    """The hits as the query worker remembers them."""
    return tuple(
        ServedHit(
            item_id=hit.item_id,
            rank=hit.rank,
            scores={
                modality: ServedScore(similarity=each.similarity, calibrated=each.calibrated, weight=each.weight)
                for modality, each in hit.modality_scores.items()
            },
        )
        for hit in ranking.hits
    )


def interval(differences: np.ndarray, rng: np.random.Generator) -> str:
    """Mean over users with the percentile bootstrap's 95 %."""
    draws = rng.integers(len(differences), size=(4000, len(differences)))
    low, high = np.quantile(differences[draws].mean(axis=1), [0.025, 0.975])
    return f"{differences.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


async def main(users: int, queries: int, rate: float, seed: int) -> None:
    """Every kind of user, each with a store of their own."""
    print(
        f"{users} users, {queries // 2} queries each that teach and {queries // 2} held back, rate {rate}, seed {seed}"
    )
    for kind in KINDS:
        rng = np.random.default_rng(seed)
        world = await make_world(rng)
        store = MemoryServedStore(PeopleSettings(learn_weights=True, weight_rate=rate), {})
        means = np.array([await live(User(n, kind, world, rng), store, queries) for n in range(users)])
        learnt, equal = means[:, 0], means[:, 1]
        print(
            f"{kind:17} equal: nDCG@10 {equal[:, 0].mean():.3f}, MRR {equal[:, 1].mean():.3f}; gain of the learnt:",
            end=" ",
        )
        print(f"nDCG@10 {interval(learnt[:, 0] - equal[:, 0], rng)}, MRR {interval(learnt[:, 1] - equal[:, 1], rng)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=120)
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    asyncio.run(main(**vars(parser.parse_args())))
