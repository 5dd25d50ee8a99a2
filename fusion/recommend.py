"""From what a user did to what to show next."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Final

from config.vocabulary import Background, ItemId, Modality, UserId
from fusion.answer import answer
from fusion.index.filters import parse_filter
from fusion.index.protocol import Item, VectorIndex
from fusion.people.protocol import PeopleStore, Profile
from fusion.request import RankedHit, Ranking, RankingRequest

PAIRS_SHARE: Final = 0.2
"""Share of a recommendation that co-visitation decides: it finds what vectors cannot see, on little evidence."""

SEEDS: Final = 5
"""Latest items whose partners are looked up."""

PARTNERS: Final = 50
"""Partners of each of them."""

PAIRS_BECAUSE: Final = "others touched it together with what this user touched lately"
TRENDS_BECAUSE: Final = "many act on it lately, and this user has no profile yet"


def personalised(request: RankingRequest, profile: Profile | None) -> RankingRequest:
    """The same search for this user: the profile decides its share; a cold user's search stays as it is."""
    if profile is None or profile.vector is None or request.personalise == 0:
        return request
    return replace(request, profile=profile.vector)


async def recommend(
    user_id: UserId,
    request: RankingRequest | None = None,
    *,
    people: PeopleStore,
    index: VectorIndex,
    calibration: Mapping[tuple[Modality, Modality], Background],
    now_ms: int,
) -> Ranking:
    """Rank what this user has not touched lately; a cold user gets the trends.

    Args:
        user_id: For whom.
        request: Page, filter, ranking method and the like; its own parts, if any, are answered for this user.
        people: Where profiles, trends and co-visitation are.
        index: Where items are.
        calibration: As for ``answer``.
        now_ms: Time as of which profiles and trends are read, in milliseconds since 1970.

    Raises:
        RejectEvent: When the filter does not parse.
        RetryLater: When a store cannot be reached.
    """
    asked = request or RankingRequest()
    profile = await people.profile(user_id, now_ms=now_ms)
    if profile is not None:
        asked = replace(asked, exclude=asked.exclude | frozenset(profile.recent))
    if profile is not None and profile.vector is not None:
        boosts = await _partners(profile, people)
        share = PAIRS_SHARE if boosts else 0.0
        asked = replace(asked, profile=profile.vector, boosts=boosts, boost_share=share, boost_because=PAIRS_BECAUSE)
    elif not asked.parts:
        return await _trending(asked, people, index, now_ms)
    return await answer(asked, index, calibration)


async def _partners(profile: Profile, people: PeopleStore) -> dict[ItemId, float]:
    """Partners of the latest items, the most frequent at 1."""
    counts: Counter[ItemId] = Counter()
    for seed in profile.recent[:SEEDS]:
        for item_id, count in await people.covisited(seed, PARTNERS):
            counts[item_id] += int(count)
    for seen in profile.recent:
        counts.pop(seen, None)
    most = max(counts.values(), default=0)
    return {item_id: count / most for item_id, count in counts.items()}


async def _trending(request: RankingRequest, people: PeopleStore, index: VectorIndex, now_ms: int) -> Ranking:
    started = perf_counter()
    trends = await people.trends(request.depth + len(request.exclude), now_ms=now_ms)
    items = await index.fetch([item_id for item_id, _ in trends if item_id not in request.exclude])
    shown = [(items[item_id], weight) for item_id, weight in trends if _may_show(items.get(item_id), request)]
    return Ranking(
        hits=_trend_hits(shown, request),
        candidates=len(shown),
        warnings=() if shown else ("nothing is trending yet that this user may be shown",),
        search_s=perf_counter() - started,
    )


def _may_show(item: Item | None, request: RankingRequest) -> bool:
    if item is None or (request.search_in is not None and item.vectors.keys().isdisjoint(request.search_in)):
        return False
    return not request.filter.strip() or parse_filter(request.filter).matches(item.attributes)


def _trend_hits(shown: Sequence[tuple[Item, float]], request: RankingRequest) -> tuple[RankedHit, ...]:
    """Scores are shares of the strongest trend's weight."""
    strongest = shown[0][1] if shown else 0.0
    return tuple(
        RankedHit(
            rank=number,
            item_id=item.item_id,
            score=weight / strongest if strongest > 0 else 0.0,
            modality_scores={},
            attributes=item.attributes,
            because=(TRENDS_BECAUSE,),
        )
        for number, (item, weight) in enumerate(shown[: request.wanted], start=1)
        if number > request.offset
    )
