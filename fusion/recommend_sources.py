"""The signals of one user's recommendation, read from what is kept of people and items."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import ItemId, RecommendSignal
from fusion.index.layout import fused_vector
from fusion.index.protocol import VectorIndex
from fusion.people.checks import highest
from fusion.people.layout import profile_direction
from fusion.people.protocol import PeopleStore, Profile, Step
from fusion.people.visits import current_visit, direction_of
from fusion.signals import Signal

SEEDS: Final = 20
"""Latest items liked whose partners are looked up; each further one back counts ``SEED_FADES`` times the last. With
five that fade by 0.7 a fifth of the hits is lost on logs as ``crosscurrent evaluate recommend --generate`` makes."""

SEED_FADES: Final = 0.9

PARTNERS: Final = 50
"""Partners of each of them."""

PAIRED: Final = 100
"""How many partners of all together are candidates."""

TRENDS: Final = 100
"""Trending items that are candidates."""

TRENDS_AVERAGED: Final = 20
"""The most trending ones make the direction that a cold user's content is compared with."""

BECAUSE: Final[Mapping[RecommendSignal, str]] = {
    RecommendSignal.LONG: "like what this user liked over time ({} of the likest)",
    RecommendSignal.SHORT: "like what this user is on to in this visit ({} of the likest)",
    RecommendSignal.COVISITED: "others acted on it together with what this user liked last ({} of the most)",
    RecommendSignal.SEQUENCE: "often comes after what this user did last ({} of the likeliest)",
    RecommendSignal.TRENDS: "many act on it lately ({} of the most)",
    RecommendSignal.CONTENT: "like what many act on lately, as nothing is known of this user yet ({} of the likest)",
}

Vectors = Mapping[ItemId, NDArray[np.float32]]
Shares = Mapping[RecommendSignal, float]


class SequenceModel(Protocol):
    """Foretells what follows a sequence of items; see ``fusion.learning.sequence``."""

    @property
    def length(self) -> int:
        """How many of the latest items it reads."""
        ...

    def next_direction(self, items: Sequence[NDArray[np.float32]], liked: Sequence[bool]) -> NDArray[np.float32]:
        """The direction of shape (dims,) whose dot product with an item's unit vector is its logit of coming next.

        Args:
            items: Unit vectors of shape (dims,), oldest first; at least one.
            liked: Which of them the user liked.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where signals come from, and how they are read.

    Args:
        sequence: The trained model; None when there is none.
        short_half_life_s: After this long a step of the visit counts half.
        visit_timeout_s: The pause that ends a visit.
    """

    people: PeopleStore
    index: VectorIndex
    sequence: SequenceModel | None = None
    short_half_life_s: float = 600.0
    visit_timeout_s: float = 1800.0


async def signals_of(profile: Profile | None, shares: Shares, sources: Sources, *, now_ms: int) -> list[Signal]:
    """Every signal that has a share and something to say; who is cold gets what many act on, and what is like it.

    Args:
        profile: Of whom; None for a user never seen.
        shares: Of every signal, not negative.
        sources: Where to read.
        now_ms: In milliseconds since 1970.

    Raises:
        RetryLater: When a store cannot be reached.
    """
    asked = {name: share for name, share in shares.items() if share > 0}
    personal, covisited, trends = await asyncio.gather(
        _personal(profile, asked, sources, now_ms=now_ms), _covisited(profile, asked, sources), _trends(sources, now_ms)
    )
    signals = [*personal, *covisited]
    if not signals and RecommendSignal.CONTENT in asked:
        signals += _signal(RecommendSignal.CONTENT, asked, await _average(trends, sources.index))
    if trends and RecommendSignal.TRENDS in asked:
        signals.append(_scores(RecommendSignal.TRENDS, asked, trends))
    return signals


def _signal(name: RecommendSignal, shares: Shares, vector: NDArray[np.float32] | None) -> list[Signal]:
    if vector is None:
        return []
    return [Signal(name=name, share=shares[name], because=BECAUSE[name], vector=vector)]


def _scores(name: RecommendSignal, shares: Shares, scores: Mapping[ItemId, float]) -> Signal:
    return Signal(name=name, share=shares[name], because=BECAUSE[name], scores=scores)


async def _personal(profile: Profile | None, asked: Shares, sources: Sources, *, now_ms: int) -> list[Signal]:
    """What the user's own past points to: over time, in this visit, and next."""
    if profile is None:
        return []
    signals = _signal(RecommendSignal.LONG, asked, profile.vector) if RecommendSignal.LONG in asked else []
    visit = current_visit(profile.steps, now_ms=now_ms, timeout_s=sources.visit_timeout_s)
    visit = visit if RecommendSignal.SHORT in asked else []
    past = _past(profile.steps, sources.sequence) if RecommendSignal.SEQUENCE in asked else []
    vectors = await _vectors([step.item_id for step in (*past, *visit)], sources.index)
    direction = direction_of(visit, vectors, half_life_s=sources.short_half_life_s)
    signals += _signal(RecommendSignal.SHORT, asked, direction) if visit else []
    known = [step for step in past if step.item_id in vectors]
    if sources.sequence is not None and any(step.weight > 0 for step in known):
        read = [vectors[step.item_id] for step in known]
        logits = sources.sequence.next_direction(read, [step.weight > 0 for step in known])
        signals.append(_foretold(logits, asked[RecommendSignal.SEQUENCE]))
    return signals


def _foretold(logits: NDArray[np.float32], share: float) -> Signal:
    """Values are the likelihoods of coming next, as shares of the likeliest's."""
    name = RecommendSignal.SEQUENCE
    spread = 1.0 / max(float(np.linalg.norm(logits)), 1e-6)
    return Signal(name=name, share=share, because=BECAUSE[name], vector=logits, spread=spread)


def _past(steps: Sequence[Step], sequence: SequenceModel | None) -> list[Step]:
    """What a sequence model reads: the latest steps, oldest first."""
    return [] if sequence is None else list(steps[: sequence.length])[::-1]


async def _vectors(item_ids: Sequence[ItemId], index: VectorIndex) -> Vectors:
    wanted = list(dict.fromkeys(item_ids))
    items = await index.fetch(wanted) if wanted else {}
    return {item_id: fused_vector(item.vectors) for item_id, item in items.items()}


async def _covisited(profile: Profile | None, asked: Shares, sources: Sources) -> list[Signal]:
    """Partners of the last items liked: of each one's visits, the part that the partner was in."""
    steps = profile.steps if profile is not None else ()
    seeds = list(dict.fromkeys(step.item_id for step in steps if step.weight > 0))[:SEEDS]
    if RecommendSignal.COVISITED not in asked or profile is None or not seeds:
        return []
    found = await sources.people.partners(seeds, PARTNERS)
    scores: dict[ItemId, float] = defaultdict(float)
    for place, partners in enumerate(found):
        visits = sum(count for _, count in partners)
        for item_id, count in partners:
            scores[item_id] += SEED_FADES**place * count / visits
    best = highest(scores, PAIRED + len(profile.recent))
    return [_scores(RecommendSignal.COVISITED, asked, dict(best))] if best else []


async def _trends(sources: Sources, now_ms: int) -> dict[ItemId, float]:
    return {item_id: weight for item_id, weight in await sources.people.trends(TRENDS, now_ms=now_ms) if weight > 0}


async def _average(trends: Mapping[ItemId, float], index: VectorIndex) -> NDArray[np.float32] | None:
    """Where what many act on points to, by weight."""
    vectors = await _vectors(list(trends)[:TRENDS_AVERAGED], index)
    total: NDArray[np.float64] | None = None
    for item_id, vector in vectors.items():
        total = trends[item_id] * vector.astype(np.float64) + (0.0 if total is None else total)
    return profile_direction(total)
