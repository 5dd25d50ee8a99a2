"""Why an item stands where it stands: its score taken apart again, in numbers and in short sentences."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from config.vocabulary import FusionStrategy, MissingRule, Modality
from fusion.candidates import Candidates
from fusion.explained import Explanation, HitExplanation, PairScore
from fusion.request import ModalityScore, RankingRequest
from fusion.scores import Scores
from fusion.scoring import PairViews, Scored, contributions
from fusion.scoring_batch import recipe_of
from fusion.signals import reasons
from fusion.similarity import compare
from fusion.strategies import shares

NOTICEABLE: Final = 0.5
"""Calibrated values from here on are more likely a match than chance (see ``fusion.calibration``)."""

_READ: Final = {
    FusionStrategy.WEIGHTED_MEAN: ("chance_z", "spread_z"),
    FusionStrategy.MAX: ("chance_z", "spread_z"),
    FusionStrategy.RRF: ("rrf_k", "rank_depth"),
    FusionStrategy.DBSF: ("dbsf_deviations", "rank_depth"),
}
"""Constants that each strategy reads, by their names in the query event."""


def explanation_of(request: RankingRequest, modalities: Sequence[Modality]) -> Explanation:
    """How the whole ranking is made."""
    recipe = recipe_of(request, modalities)
    values = {"chance_z": recipe.chance_z, "spread_z": recipe.spread_z}
    values |= {name: float(getattr(recipe.constants, name)) for name in ("rrf_k", "rank_depth", "dbsf_deviations")}
    network = recipe.constants.network
    return Explanation(
        strategy=request.strategy,
        similarity=request.similarity,
        missing=request.missing,
        constants={name: values[name] for name in _READ.get(request.strategy, ())},
        weights={modality: request.weights.get(modality, 1.0) for modality in modalities},
        fusion_weights=None if network is None else network.name,
        personalise=request.personalise if request.profile is not None else 0.0,
    )


def hit_explanation(
    request: RankingRequest, candidates: Candidates, scored: Scored, place: int
) -> HitExplanation | None:
    """Take one candidate's score apart; None when the request does not ask for it."""
    if not request.explain:
        return None
    distance = None if scored.distances_km is None else float(scored.distances_km[place])
    return HitExplanation(
        pairs=_pairs(request, candidates, scored, place),
        contributions=contributions(request, scored, place),
        profile=None if scored.profile is None else float(scored.profile[place]),
        boosts={} if scored.boosts is None else {request.boost_because or "boosts": float(scored.boosts[place])},
        distance_km=None if distance is None or np.isnan(distance) else distance,
        occurred_at_ms=candidates.occurred_ms[place],
    )


def _pairs(request: RankingRequest, candidates: Candidates, scored: Scored, place: int) -> tuple[PairScore, ...]:
    if scored.parts is None or scored.views is None:
        return ()
    return tuple(
        PairScore(
            part=row,
            query=part.modality,
            item=modality,
            similarity=float(scored.parts.similarities[row, column, place]),
            calibrated=float(scored.parts.calibrated[row, column, place]),
            deviations=float(scored.parts.deviations[row, column, place]),
            weight=float(scored.views.shares[row, column, place]),
            rank=int(scored.views.ranks[row, column, place]),
        )
        for row, part in enumerate(request.parts)
        for column, modality in enumerate(candidates.modalities)
        if candidates.present[column, place]
    )


def modality_scores(
    request: RankingRequest, candidates: Candidates, scored: Scored, place: int
) -> dict[Modality, ModalityScore]:
    """How each modality of one candidate answered; modalities it lacks are absent."""
    if scored.parts is None:
        return _against_profile(request, candidates, scored, place)
    each = np.abs(scored.parts.part_weights) / np.abs(scored.parts.part_weights).sum()
    # Weights are remembered with what was shown, also where nothing is explained.
    weights = shares(request.strategy, scored.parts.of(place))[..., 0]
    ranks = None if scored.views is None else _best_ranks(scored.parts, scored.views, place)
    return {
        modality: ModalityScore(
            similarity=float(each @ scored.parts.similarities[:, row, place]),
            calibrated=float(each @ scored.parts.calibrated[:, row, place]),
            weight=float(weights[:, row].sum()),
            rank=None if ranks is None else ranks[row],
        )
        for row, modality in enumerate(candidates.modalities)
        if candidates.present[row, place]
    }


def _best_ranks(scores: Scores, views: PairViews, place: int) -> Sequence[int]:
    """Each modality's place under the part that it answers best, of those that count towards the item if any do."""
    towards = scores.part_weights > 0
    return [int(rank) for rank in views.ranks[towards if towards.any() else ~towards, :, place].min(axis=0)]


def _against_profile(
    request: RankingRequest, candidates: Candidates, scored: Scored, place: int
) -> dict[Modality, ModalityScore]:
    """Without parts the item's mean was compared, in which each of its modalities has an equal share."""
    if request.profile is None or scored.profile is None:
        return {}
    compared = compare(
        request.profile[None, :], candidates.vectors[:, place], request.similarity, request.dimension_weights
    )
    present = candidates.present[:, place]
    return {
        modality: ModalityScore(
            similarity=float(compared.similarities[0, row]),
            calibrated=float(scored.profile[place]),
            weight=1.0 / int(present.sum()),
        )
        for row, modality in enumerate(candidates.modalities)
        if present[row]
    }


def because(request: RankingRequest, candidates: Candidates, scored: Scored, place: int) -> tuple[str, ...]:
    """Sentences about one candidate, what counted most first."""
    sentences = []
    if scored.parts is not None and scored.views is not None:
        sentences = _about_parts(request, candidates, scored.parts, scored.views, place)
    if scored.blended is not None:
        sentences += reasons(request.signals, scored.blended, place)
    elif scored.profile is not None and scored.profile[place] >= NOTICEABLE:
        sentences.append(f"like what this user acted on lately ({scored.profile[place]:.2f} calibrated)")
    if scored.boosts is not None and scored.boosts[place] > 0:
        sentences.append(request.boost_because or f"boosted by {scored.boosts[place]:.2f}")
    if scored.boosted_by is not None:
        sentences += [
            f"{name} {value:.2f} decides {share:.0%} of its score"
            for name, (value, share) in scored.boosted_by.of(place).items()
        ]
    if scored.distances_km is not None:
        sentences.append(_about_place(scored.distances_km[place]))
    return tuple(sentences)


def _about_parts(
    request: RankingRequest, candidates: Candidates, scores: Scores, views: PairViews, place: int
) -> list[str]:
    towards = np.where(scores.away[:, :, 0], 0.0, (views.shares * scores.calibrated)[:, :, place])
    sentences = []
    if towards.any():
        best = divmod(int(np.argmax(towards)), towards.shape[1])
        share = float(towards[best] / towards.sum())
        sentences.append(_about_best(request, candidates, scores.calibrated[*best, place], best, share))
    for row, part in enumerate(request.parts):
        if part.weight < 0:
            nearest = scores.similarities[row, :, place].max()
            sentences.append(f"kept away from the {part.modality} part (similarity at most {nearest:.2f})")
    lacking = [str(each) for row, each in enumerate(candidates.modalities) if not candidates.present[row, place]]
    if lacking and request.missing is MissingRule.PENALISE:
        sentences.append(f"has no {' or '.join(lacking)}, which counts as no match")
    return sentences


def _about_best(
    request: RankingRequest, candidates: Candidates, calibrated: float, best: tuple[int, int], share: float
) -> str:
    part, modality = best
    named = request.parts[part].modality
    which = f"the {named} part" if len(request.parts) > 1 else f"the {named}"
    return (
        f"its {candidates.modalities[modality]} answers {which} best"
        f" ({calibrated:.2f} calibrated, {share:.0%} of what speaks for it)"
    )


def _about_place(distance_km: float) -> str:
    if np.isnan(distance_km):
        return "has no place to measure from"
    return f"{distance_km:.1f} km from the place asked for"
