"""Candidates and requests in, one exact score a candidate out, with everything that an explanation needs.

The core works on a batch of queries at once: what their parts say of their candidates lies in one block of numbers,
padded to the largest (see ``fusion.scoring_batch``). One query is a batch of one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from config.errors import Reason, RejectEvent
from config.vocabulary import Background, Calibration, MissingRule, Modality
from fusion.boosts import Boosts, boosts_of, with_boosts
from fusion.calibration import background_of, calibrate
from fusion.candidates import Candidates
from fusion.places import closeness, distances_km
from fusion.request import RankingRequest
from fusion.scores import Scores, places_in_lists
from fusion.scoring_batch import Fused, Question, fuse_parts
from fusion.signals import Blended, blend
from fusion.similarity import Matrix, compare
from fusion.strategies import shares


@dataclass(frozen=True, slots=True)
class PairViews:
    """What an explanation shows of each pair: its share, its place in its list; (parts, modalities, candidates)."""

    shares: Matrix
    ranks: NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Exact scores of candidates, shape (candidates,) unless said otherwise.

    Args:
        total: In [0, 1]: what ranks.
        parts: What the parts were fused from; None without parts.
        content: What they were fused to; None without parts.
        profile: Calibrated likeness to the profile; None without one.
        boosts: In [0, 1]; None without any.
        distances_km: NaN where an item has no place; None without ``near``.
        shares: Each pair's share, shape (parts, modalities, candidates), where it came with the scores; else None.
        views: Each pair's share and place; None unless the request explains.
        boosted_by: What age, popularity and numbers said; None without any such boost.
        blended: What a recommendation's signals make of them; None without any.
    """

    total: Matrix
    parts: Scores | None
    profile: Matrix | None
    boosts: Matrix | None
    distances_km: Matrix | None
    content: Matrix | None = None
    shares: Matrix | None = None
    views: PairViews | None = None
    boosted_by: Boosts | None = None
    blended: Blended | None = None


def backgrounds_of(
    request: RankingRequest, modalities: list[Modality], calibration: Calibration, dims: int
) -> dict[tuple[Modality, Modality], Background]:
    """The background of every pair of a part's and an item's modality in this request."""
    queries = {part.modality for part in request.parts}
    return {(query, item): background_of(calibration, query, item, dims) for query in queries for item in modalities}


def score(
    request: RankingRequest, candidates: Candidates, backgrounds: Mapping[tuple[Modality, Modality], Background]
) -> Scored:
    """Score every candidate exactly.

    The parts are fused first. Then the profile takes its share of the score, then the boosts theirs, then age,
    popularity and numbers, then the place; whichever comes first decides all of what it is added to.
    """
    return score_many([Question(request, candidates, backgrounds)])[0]


def score_many(questions: Sequence[Question]) -> list[Scored]:
    """Score a batch of questions, each with candidates of its own; scores do not depend on who else is in the batch."""
    fused = fuse_parts(questions)
    return [_scored(question.request, question.candidates, own) for question, own in zip(questions, fused, strict=True)]


def _scored(request: RankingRequest, candidates: Candidates, fused: Fused | None) -> Scored:
    total = None if fused is None else fused.total
    profile = _profile_scores(request, candidates)
    total = _blend(total, profile, request.personalise)
    boosts = _boosts(request, candidates)
    total = _blend(total, boosts, request.boost_share)
    blended = blend(request.signals, candidates.ids, candidates.fused) if request.signals else None
    total = total if blended is None else blended.total
    if total is None:
        raise RejectEvent(Reason.INVALID_EVENT, "holds nothing to search by: give at least one part", field="parts")
    boosted_by = boosts_of(request.boost_by, candidates.facts(request.asked_at_ms), request.missing)
    total = with_boosts(total, boosted_by)
    distances = distances_km(request.near, candidates.attributes) if request.near else None
    if request.near and distances is not None:
        total = _blend_place(total, closeness(distances, request.near.scale_km), request.near.share, request.missing)
    parts = None if fused is None else fused.scores
    return Scored(
        total=total.round(12),
        parts=parts,
        profile=profile,
        boosts=boosts,
        distances_km=distances,
        boosted_by=boosted_by,
        blended=blended,
        content=None if fused is None else fused.total,
        shares=None if fused is None else fused.shares,
        views=_views(request, fused) if fused is not None and request.explain else None,
    )


def _views(request: RankingRequest, fused: Fused) -> PairViews:
    parts = fused.scores
    known = shares(request.strategy, parts) if fused.shares is None else fused.shares
    return PairViews(known, places_in_lists(parts.deviations, parts.matched))


def contributions(request: RankingRequest, scored: Scored, place: int) -> dict[str, float]:
    """What content, profile, boosts, signals and place gave to one candidate's score, in this order.

    They sum to the score: each later one took its share of all that came before it. Signals take all of it. Boosts by
    age, popularity and number go by their own names.
    """
    found: dict[str, float] = {}
    for name, value, share in (
        ("content", None if scored.content is None else scored.content[place], 1.0),
        ("profile", None if scored.profile is None else scored.profile[place], request.personalise),
        ("boosts", None if scored.boosts is None else scored.boosts[place], request.boost_share),
    ):
        found = _taking(found, name, value, share)
    if scored.blended is not None:
        found = {"signals": float(scored.blended.total[place])}
    if scored.boosted_by is not None:
        said = scored.boosted_by.of(place)
        rest = 1.0 - min(sum(share for _, share in said.values()), 1.0)
        found = {each: rest * given for each, given in found.items()}
        found |= {name: value * share for name, (value, share) in said.items()}
    return _taking(found, "near", *_nearness(request, scored, place))


def _taking(found: dict[str, float], name: str, value: float | None, share: float) -> dict[str, float]:
    if value is None:
        return found
    taken = share if found else 1.0
    return {each: (1.0 - taken) * given for each, given in found.items()} | {name: taken * float(value)}


def _nearness(request: RankingRequest, scored: Scored, place: int) -> tuple[float | None, float]:
    if request.near is None or scored.distances_km is None:
        return None, 0.0
    close = float(closeness(scored.distances_km[place], request.near.scale_km))
    if math.isnan(close):
        return (None, 0.0) if request.missing is MissingRule.RENORMALISE else (0.0, request.near.share)
    return close, request.near.share


def _profile_scores(request: RankingRequest, candidates: Candidates) -> Matrix | None:
    if request.profile is None or (request.parts and request.personalise == 0):
        return None
    compared = compare(request.profile[None, :], candidates.fused, request.similarity, request.dimension_weights)
    dims = candidates.fused.shape[1]
    # A profile is of no one modality: the pair is one that was never measured.
    calibrated = calibrate(compared.cosines, [background_of({}, Modality.TEXT, Modality.TEXT, dims)])
    return calibrated.reshape(len(candidates.ids))


def _boosts(request: RankingRequest, candidates: Candidates) -> Matrix | None:
    if not request.boosts:
        return None
    return np.array([request.boosts.get(item_id, 0.0) for item_id in candidates.ids], np.float64)


def _blend(total: Matrix | None, signal: Matrix | None, share: float) -> Matrix | None:
    if total is None or signal is None:
        return signal if total is None else total
    return np.asarray((1.0 - share) * total + share * signal, np.float64)


def _blend_place(total: Matrix, close: Matrix, share: float, missing: MissingRule) -> Matrix:
    nowhere = np.isnan(close)
    blended = (1.0 - share) * total + share * np.where(nowhere, 0.0, close)
    return np.where(nowhere, total, blended) if missing is MissingRule.RENORMALISE else blended
