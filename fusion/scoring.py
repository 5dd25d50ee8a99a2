"""Candidates and a request in, one exact score a candidate out, with everything that an explanation needs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from config.errors import Reason, RejectEvent
from config.vocabulary import Background, MissingRule, Modality
from fusion.boosts import Boosts, boosts_of, with_boosts
from fusion.calibration import Calibration, background_of, calibrate
from fusion.candidates import Candidates
from fusion.places import closeness, distances_km
from fusion.request import RankingRequest
from fusion.signals import Blended, blend
from fusion.similarity import Matrix, compare
from fusion.strategies import Scores, fuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Exact scores of candidates, shape (candidates,) unless said otherwise.

    Args:
        total: In [0, 1]: what ranks.
        parts: What the parts gave; None without parts.
        profile: Calibrated likeness to the profile; None without one.
        boosts: In [0, 1]; None without any.
        distances_km: NaN where an item has no place; None without ``near``.
        boosted_by: What age, popularity and numbers said; None without any such boost.
        blended: What a recommendation's signals make of them; None without any.
    """

    total: Matrix
    parts: Scores | None
    profile: Matrix | None
    boosts: Matrix | None
    distances_km: Matrix | None
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
    parts = _part_scores(request, candidates, backgrounds) if request.parts else None
    total = None if parts is None else fuse(request.strategy, parts)
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
    return Scored(
        total=total.round(12),
        parts=parts,
        profile=profile,
        boosts=boosts,
        distances_km=distances,
        boosted_by=boosted_by,
        blended=blended,
    )


def _part_scores(
    request: RankingRequest, candidates: Candidates, backgrounds: Mapping[tuple[Modality, Modality], Background]
) -> Scores:
    queries = np.stack([part.vector for part in request.parts])
    compared = compare(queries, candidates.vectors, request.similarity, request.dimension_weights)
    # From (modalities, parts, items) to (parts, modalities, items).
    cosines, similarities = np.swapaxes(compared.cosines, 0, 1), np.swapaxes(compared.similarities, 0, 1)
    calibrated = [
        calibrate(cosines[row], [backgrounds[part.modality, modality] for modality in candidates.modalities])
        for row, part in enumerate(request.parts)
    ]
    return Scores(
        similarities=similarities * candidates.present,
        calibrated=np.stack(calibrated) * candidates.present,
        present=candidates.present,
        part_weights=np.array([part.weight for part in request.parts], np.float64),
        modality_weights=np.array([request.weights.get(each, 1.0) for each in candidates.modalities], np.float64),
        missing=request.missing,
        rrf_k=request.rrf_k,
        rank_depth=request.depth // 2,
    )


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
