"""A log replayed in the order of time: every recommender is asked what comes next, and then learns that it came.

The split is one moment for all users: nothing that is asked for has its future in anybody's training. What is asked for
are likes of the test part whose user has not acted on the item before; every item of the log that was not seen is a
candidate, none is sampled (Krichene, Rendle 2020).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.settings import PeopleSettings
from config.vocabulary import Action, ItemId, Modality, ModelRef, UserId, Version
from fusion.index.memory_index import MemoryVectorIndex
from fusion.index.protocol import Item
from fusion.learning.baselines import KNN_GRID, MF_GRID, Baseline, Factors, ItemNeighbours, Popularity, grid
from fusion.learning.interaction_log import InteractionLog, Vectors
from fusion.people.memory_store import MemoryPeopleStore
from fusion.people.protocol import Interaction
from fusion.recommend import RecommendOptions, recommend
from fusion.recommend_sources import SequenceModel, Sources
from fusion.request import RankingRequest

DEPTH: Final = 10
"""Hits and gains are counted down to this rank."""

POPULARITY, KNN, MF = "popularity", "item-kNN", "matrix factorisation"
OURS, OURS_SEQUENCE, OURS_EXPLORING = "profiles + co-visitation", "… + sequence model", "… exploring a tenth"

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """How a log is replayed.

    Args:
        train: Share of the interactions, by time, that is trained on; what follows tunes and tests.
        validation: Share that tunes, after it.
        queries: Most likes asked for, evenly over the test part.
        tuning_queries: The same over the validation part.
        refits: How often item-kNN and matrix factorisation are fitted anew during the test.
        seed: Of matrix factorisation.
    """

    train: float = 0.8
    validation: float = 0.1
    queries: int = 1500
    tuning_queries: int = 400
    refits: int = 5
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came out.

    Args:
        ranks: By recommender: rank of each like asked for, 0 where it is not among the first ten; int64 of shape (n,).
        users: Whose like each was, shape (n,).
        cold_items: Where nobody had liked the item when the test began, shape (n,).
        cold_users: Where the user had liked fewer than three items, shape (n,).
        chosen: What tuning chose, by baseline.
    """

    ranks: Mapping[str, NDArray[np.int64]]
    users: NDArray[np.int64]
    cold_items: NDArray[np.bool_]
    cold_users: NDArray[np.bool_]
    chosen: Mapping[str, str]


@dataclass(slots=True)
class _History:
    """What a user liked and saw up to now, as places of items."""

    liked: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)


def bounds(log: InteractionLog, options: ReplayOptions) -> tuple[int, int]:
    """Where validation and test begin, as places in the log."""
    return int(options.train * len(log)), int((options.train + options.validation) * len(log))


async def replay(
    log: InteractionLog,
    vectors: Vectors,
    options: ReplayOptions | None = None,
    *,
    sequence: SequenceModel | None = None,
    people: PeopleSettings | None = None,
    tell: Tell = lambda *_: None,
) -> Replayed:
    """Replay a log through our recommender and the baselines in one run.

    Args:
        log: What happened.
        vectors: Content of items; those without cannot be recommended by us.
        options: Split and sizes.
        sequence: Trained on the part before validation; without it its row is left out.
        people: How behaviour counts.
        tell: Called with what is done, steps done and steps in all.

    Raises:
        Misconfigured: ``implicit`` is not installed.
    """
    options = options or ReplayOptions()
    validation, test = bounds(log, options)
    baselines, chosen = _tuned(log, validation, test, options, tell)
    ours = await Ours.over(log, vectors, people or PeopleSettings(), sequence)
    run = _Run(log, ours, baselines, test, options)
    await run.learn_before(tell)
    await run.ask(tell)
    return run.replayed(chosen)


class Ours:
    """The recommender as it is served, on the stores in memory."""

    def __init__(self, index: MemoryVectorIndex, people: PeopleSettings, log: InteractionLog) -> None:
        self._log = log
        self._index = index
        self._settings = people
        self._store = MemoryPeopleStore(people, index.dims)
        self._vectors: Vectors = {}
        self._ratings = log.on_five() if log.is_rated else None
        self._variants: dict[str, tuple[Sources, RecommendOptions]] = {}
        self._places = {item_id: place for place, item_id in enumerate(log.item_ids)}

    @classmethod
    async def over(
        cls, log: InteractionLog, vectors: Vectors, people: PeopleSettings, sequence: SequenceModel | None
    ) -> "Ours":
        """Index the items and lay the variants out."""
        dims = len(next(iter(vectors.values())))
        index = MemoryVectorIndex(ModelRef("log", "1"), dims, (Modality.TEXT,))
        kept = {item_id: vectors[item_id] for item_id in log.item_ids if item_id in vectors}
        version = Version(0, 0)
        await index.write(
            [
                Item(item_id=ItemId(item_id), version=version, vectors={Modality.TEXT: vector})
                for item_id, vector in kept.items()
            ]
        )
        made = cls(index, people, log)
        made._vectors = kept
        made._lay_out(sequence)
        return made

    def _lay_out(self, sequence: SequenceModel | None) -> None:
        settings = self._settings

        def sources(model: SequenceModel | None) -> Sources:
            return Sources(
                people=self._store,
                index=self._index,
                sequence=model,
                short_half_life_s=settings.short_half_life_s,
                visit_timeout_s=settings.visit_timeout_s,
            )

        plain = RecommendOptions(shares=settings.shares)
        self._variants[OURS] = (sources(None), plain)
        if sequence is not None:
            self._variants[OURS_SEQUENCE] = (sources(sequence), plain)
        exploring = RecommendOptions(shares=settings.shares, explore=settings.explore)
        self._variants[OURS_EXPLORING] = (sources(sequence), exploring)

    @property
    def names(self) -> list[str]:
        """The variants."""
        return list(self._variants)

    async def top(self, name: str, user: int, now_ms: int) -> NDArray[np.int64]:
        """What a variant shows a user."""
        sources, options = self._variants[name]
        user_id = UserId(self._log.user_ids[user])
        request = RankingRequest(k=DEPTH)
        ranking = await recommend(user_id, request, sources=sources, calibration={}, now_ms=now_ms, options=options)
        return np.array([self._places[hit.item_id] for hit in ranking.hits], np.int64)

    async def learn(self, places: Sequence[int]) -> None:
        """Count interactions of the log."""
        await self._store.record([self._event(place) for place in places])

    def _event(self, place: int) -> Interaction:
        log, settings = self._log, self._settings
        item_id = log.item_ids[log.items[place]]
        action = Action.CLICK if self._ratings is None else Action.RATE
        weight = settings.action_weights.get(action, 0.0)
        return Interaction(
            event_id=str(place),
            user_id=UserId(log.user_ids[log.users[place]]),
            item_id=ItemId(item_id),
            action=action,
            occurred_at_ms=int(log.times_ms[place]),
            weight=weight if self._ratings is None else weight * (float(self._ratings[place]) - 3.0) / 2.0,
            vector=self._vectors.get(item_id),
        )


class _Run:
    """The walk through the test part."""

    def __init__(
        self, log: InteractionLog, ours: Ours, baselines: Mapping[str, Baseline], test: int, options: ReplayOptions
    ) -> None:
        self._log, self._ours, self._baselines, self._test = log, ours, baselines, test
        self._options = options
        self._positives = log.positives()
        self._history: dict[int, _History] = defaultdict(_History)
        self._asked = frozenset(_spread(_first_likes(log, test, len(log)), options.queries))
        self._ranks: dict[str, list[int]] = {name: [] for name in (*ours.names, *baselines)}
        self._liked_before = np.bincount(log.items[:test][self._positives[:test]], minlength=len(log.item_ids))
        self._rows: list[tuple[int, bool, bool]] = []

    async def learn_before(self, tell: Tell) -> None:
        """Everything up to the test."""
        for start in range(0, self._test, 1000):
            await self._learn(range(start, min(start + 1000, self._test)))
            tell("learning", min(start + 1000, self._test), self._test)

    async def ask(self, tell: Tell) -> None:
        """Ask for each like, then learn what happened."""
        starts = np.linspace(self._test, len(self._log), self._options.refits + 1)[:-1].astype(int).tolist()
        for place in range(self._test, len(self._log)):
            if place in starts:
                _fit(self._baselines, self._log, place)
            if place in self._asked:
                await self._ask(place)
                tell("asking", len(self._rows), len(self._asked))
            await self._learn([place])

    async def _ask(self, place: int) -> None:
        log = self._log
        user, item = int(log.users[place]), int(log.items[place])
        history = self._history[user]
        liked, seen = np.array(history.liked, np.int64), np.array(history.seen, np.int64)
        for name, baseline in self._baselines.items():
            self._ranks[name].append(_rank_of(item, baseline.top(liked, seen, DEPTH)))
        for name in self._ours.names:
            self._ranks[name].append(_rank_of(item, await self._ours.top(name, user, int(log.times_ms[place]))))
        self._rows.append((user, self._liked_before[item] == 0, len(history.liked) < 3))

    async def _learn(self, places: Sequence[int]) -> None:
        await self._ours.learn(places)
        for place in places:
            user, item = int(self._log.users[place]), int(self._log.items[place])
            self._history[user].seen.append(item)
            if self._positives[place]:
                self._history[user].liked.append(item)
                popularity = self._baselines[POPULARITY]
                if isinstance(popularity, Popularity) and place >= self._test:
                    popularity.learn(item)

    def replayed(self, chosen: Mapping[str, str]) -> Replayed:
        """What came out."""
        users, cold_items, cold_users = zip(*self._rows, strict=True) if self._rows else ((), (), ())
        return Replayed(
            ranks={name: np.array(ranks, np.int64) for name, ranks in self._ranks.items()},
            users=np.array(users, np.int64),
            cold_items=np.array(cold_items, np.bool_),
            cold_users=np.array(cold_users, np.bool_),
            chosen=chosen,
        )


def _rank_of(item: int, top: NDArray[np.int64]) -> int:
    found = np.flatnonzero(top == item)
    return int(found[0]) + 1 if len(found) else 0


def _first_likes(log: InteractionLog, start: int, end: int) -> list[int]:
    """Likes between two places whose user had not acted on the item before."""
    pairs = log.users * len(log.item_ids) + log.items
    _, first = np.unique(pairs, return_index=True)
    is_first = np.zeros(len(log), np.bool_)
    is_first[first] = True
    return [place for place in range(start, end) if is_first[place] and log.positives()[place]] if end > start else []


def _spread(places: Sequence[int], most: int) -> list[int]:
    """At most so many of them, evenly."""
    if len(places) <= most:
        return list(places)
    return [places[each] for each in np.linspace(0, len(places) - 1, most).astype(int).tolist()]


def _fit(baselines: Mapping[str, Baseline], log: InteractionLog, until: int) -> None:
    positives = log.positives()[:until]
    shape = (len(log.user_ids), len(log.item_ids))
    for baseline in baselines.values():
        baseline.fit(log.users[:until][positives], log.items[:until][positives], shape)


def _tuned(
    log: InteractionLog, validation: int, test: int, options: ReplayOptions, tell: Tell
) -> tuple[dict[str, Baseline], dict[str, str]]:
    """The baselines with what gave the best nDCG on the validation part."""
    asked = _spread(_first_likes(log, validation, test), options.tuning_queries)
    candidates = [(KNN, each) for each in grid(ItemNeighbours, KNN_GRID)]
    candidates += [(MF, each) for each in grid(Factors, {**MF_GRID, "seed": (options.seed,)})]
    best: dict[str, tuple[float, str, Baseline]] = {}
    for done, (name, (said, baseline)) in enumerate(candidates, start=1):
        _fit({name: baseline}, log, validation)
        gain = _validated(baseline, log, asked)
        if name not in best or gain > best[name][0]:
            best[name] = (gain, said, baseline)
        tell("tuning baselines", done, len(candidates))
    tuned: dict[str, Baseline] = {POPULARITY: Popularity()}
    return tuned | {name: each[2] for name, each in best.items()}, {name: each[1] for name, each in best.items()}


def _validated(baseline: Baseline, log: InteractionLog, asked: Sequence[int]) -> float:
    """Summed nDCG of the likes asked for, each with its user's history up to then."""
    positives = log.positives()
    gain = 0.0
    for place in asked:
        mine = np.flatnonzero(log.users[:place] == log.users[place])
        seen = log.items[mine]
        rank = _rank_of(int(log.items[place]), baseline.top(seen[positives[mine]], seen, DEPTH))
        gain += 1.0 / np.log2(rank + 1.0) if rank else 0.0
    return gain
