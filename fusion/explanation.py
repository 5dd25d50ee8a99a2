"""Why an item stands where it stands: its score taken apart again, in numbers and in short sentences."""

from typing import Final

import numpy as np

from config.vocabulary import MissingRule, Modality
from fusion.candidates import Candidates
from fusion.request import ModalityScore, RankingRequest
from fusion.scoring import Scored
from fusion.signals import reasons
from fusion.similarity import Matrix, compare
from fusion.strategies import Scores

NOTICEABLE: Final = 0.5
"""Calibrated values from here on are more likely a match than chance (see ``fusion.calibration``)."""


def modality_scores(
    request: RankingRequest, candidates: Candidates, scored: Scored, place: int
) -> dict[Modality, ModalityScore]:
    """How each modality of one candidate answered; modalities it lacks are absent."""
    if scored.parts is None:
        return _against_profile(request, candidates, scored, place)
    weights = scored.parts.counted[:, :, place]
    total = weights.sum()
    shares = np.abs(scored.parts.part_weights) / np.abs(scored.parts.part_weights).sum()
    return {
        modality: ModalityScore(
            similarity=float(shares @ scored.parts.similarities[:, row, place]),
            calibrated=float(shares @ scored.parts.calibrated[:, row, place]),
            weight=float(weights[:, row].sum() / total) if total > 0 else 0.0,
        )
        for row, modality in enumerate(candidates.modalities)
        if candidates.present[row, place]
    }


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
    sentences = [] if scored.parts is None else _about_parts(request, candidates, scored.parts, place)
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


def _about_parts(request: RankingRequest, candidates: Candidates, scores: Scores, place: int) -> list[str]:
    towards = np.where(scores.away[:, :, 0], 0.0, (scores.counted * scores.calibrated)[:, :, place])
    sentences = [_about_best(request, candidates, scores, towards, place)] if towards.any() else []
    for row, part in enumerate(request.parts):
        if part.weight < 0:
            nearest = scores.similarities[row, :, place].max()
            sentences.append(f"kept away from the {part.modality} part (similarity at most {nearest:.2f})")
    lacking = [str(each) for row, each in enumerate(candidates.modalities) if not candidates.present[row, place]]
    if lacking and request.missing is MissingRule.PENALISE:
        sentences.append(f"has no {' or '.join(lacking)}, which counts as no match")
    return sentences


def _about_best(request: RankingRequest, candidates: Candidates, scores: Scores, towards: Matrix, place: int) -> str:
    part, modality = divmod(int(np.argmax(towards)), towards.shape[1])
    share = towards[part, modality] / towards.sum()
    calibrated = scores.calibrated[part, modality, place]
    which = (
        f"the {request.parts[part].modality} part" if len(request.parts) > 1 else f"the {request.parts[part].modality}"
    )
    return (
        f"its {candidates.modalities[modality]} answers {which} best"
        f" ({calibrated:.2f} calibrated, {share:.0%} of what speaks for it)"
    )


def _about_place(distance_km: float) -> str:
    if np.isnan(distance_km):
        return "has no place to measure from"
    return f"{distance_km:.1f} km from the place asked for"
