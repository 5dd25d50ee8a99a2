"""From what a user did to what to show next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.errors import Reason, RejectEvent
from config.settings import PeopleSettings
from config.vocabulary import Background, ItemId, Modality, RecommendSignal, UserId
from fusion.answer import answer
from fusion.people.protocol import Profile
from fusion.recommend_explore import Explore, explored_direction
from fusion.recommend_sources import Sources, signals_of
from fusion.request import Ranking, RankingRequest, Recommended
from fusion.signals import Signal

DEFAULT_SHARES: Final = PeopleSettings().shares

COLD_WARNING: Final = "nothing is known of this user, and nothing is trending: this is a sample of what there is"

SAMPLE_BECAUSE: Final = "a sample of what there is, as nothing is known of this user yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendOptions:
    """How a recommendation is made.

    Args:
        shares: What part of the score each signal decides, against the others that have something to say; the default
            where not named.
        explore: Share of the places in [0, 1] that go to what behaviour does not speak for.
        explore_window_s: How long these stay the same.
        allow_seen: Also show what the user acted on already; never what they disliked.

    Raises:
        RejectEvent: ``INVALID_EVENT`` with the path of the field in the query event.
    """

    shares: Mapping[RecommendSignal, float] = field(default_factory=dict)
    explore: float = 0.0
    explore_window_s: float = 3600.0
    allow_seen: bool = False

    def __post_init__(self) -> None:
        """Refuse shares that leave nothing to show."""
        if not any(self.all_shares.values()):
            message = "every signal has share 0, so nothing could be found; give one another share"
            raise RejectEvent(Reason.INVALID_EVENT, message, field="recommend.shares")

    @property
    def all_shares(self) -> dict[RecommendSignal, float]:
        """The share of every signal."""
        return {**DEFAULT_SHARES, **self.shares}


def personalised(request: RankingRequest, profile: Profile | None) -> RankingRequest:
    """The same search for this user: the profile decides its share; a cold user's search stays as it is."""
    if profile is None or profile.vector is None or request.personalise == 0:
        return request
    return replace(request, profile=profile.vector)


async def recommend(
    user_id: UserId,
    request: RankingRequest | None = None,
    *,
    sources: Sources,
    calibration: Mapping[tuple[Modality, Modality], Background],
    now_ms: int,
    options: RecommendOptions | None = None,
) -> Ranking:
    """Rank what this user has not touched lately by everything that speaks for it.

    Args:
        user_id: For whom.
        request: Page, filter, ranking method and the like; it has no parts.
        sources: Where profiles, trends, pairs and items are, and the sequence model if there is one.
        calibration: As for ``answer``.
        now_ms: Time as of which profiles and trends are read, in milliseconds since 1970.
        options: Shares of the signals and of exploration.

    Raises:
        RejectEvent: When the filter does not parse.
        RetryLater: When a store cannot be reached.
    """
    asked, chosen = request or RankingRequest(), options or RecommendOptions()
    profile = await sources.people.profile(user_id, now_ms=now_ms)
    signals = await signals_of(profile, chosen.all_shares, sources, now_ms=now_ms)
    taste = next((signal.vector for signal in signals if signal.vector is not None), None)
    # Who is cold is nobody in particular: all of them get the same, one who was forgotten too.
    seed = "" if profile is None else str(user_id)
    aside = explored_direction(seed, now_ms, chosen.explore_window_s, sources.index.dims, taste)
    asked = replace(
        asked,
        signals=tuple(signals) or (_sample(aside),),
        explore=Explore.of(aside, chosen.explore, chosen.explore_window_s, asked.wanted) if signals else None,
        exclude=asked.exclude | _unwanted(profile, allow_seen=chosen.allow_seen),
        profile=taste,
    )
    ranking = await answer(asked, sources.index, calibration)
    warnings = ranking.warnings if signals else (COLD_WARNING, *ranking.warnings)
    return replace(ranking, recommended=_told(asked.signals, chosen), warnings=warnings)


def _told(signals: Sequence[Signal], chosen: RecommendOptions) -> Recommended:
    total = sum(signal.share for signal in signals)
    return Recommended(
        shares={signal.name: signal.share / total for signal in signals},
        explore=chosen.explore,
        explore_window_s=chosen.explore_window_s,
        allow_seen=chosen.allow_seen,
    )


def _sample(direction: NDArray[np.float32]) -> Signal:
    return Signal(name=RecommendSignal.CONTENT, share=1.0, because=SAMPLE_BECAUSE, vector=direction)


def _unwanted(profile: Profile | None, *, allow_seen: bool) -> frozenset[ItemId]:
    """What the user has seen, or has disliked."""
    if profile is None:
        return frozenset()
    disliked = {step.item_id for step in profile.steps if step.weight < 0}
    return frozenset(disliked if allow_seen else disliked | set(profile.recent))
