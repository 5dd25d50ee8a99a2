"""Explanations written for the wire: numbers rounded, times as ages."""

from collections.abc import Mapping
from typing import Any, Final

from fusion import explained
from workers.contracts.explanation import Explanation, HitExplanation, PairScore

_DIGITS: Final = 6


def wire_explanation(made: explained.Explanation, layout: str | None = None) -> Explanation:
    """Write how a ranking was made, and from which layout of the index."""
    return Explanation(
        strategy=made.strategy,
        similarity=made.similarity,
        missing=made.missing,
        constants=dict(made.constants),
        weights=dict(made.weights),
        fusion_weights=made.fusion_weights,
        personalise=made.personalise,
        layout=layout,
    )


def wire_hit_explanation(told: explained.HitExplanation, now_ms: int) -> HitExplanation:
    """Write why a hit stands where it stands; its age is as of ``now_ms``, and 0 for an event from the future."""
    return HitExplanation.model_construct(
        pairs=tuple(_pair(pair) for pair in told.pairs),
        contributions=_rounded(told.contributions),
        profile=None if told.profile is None else round(told.profile, _DIGITS),
        boosts=_rounded(told.boosts),
        distance_km=None if told.distance_km is None else round(told.distance_km, 3),
        age_s=max(0.0, (now_ms - told.occurred_at_ms) / 1000),
    )


def _pair(pair: explained.PairScore) -> PairScore:
    return PairScore.model_construct(
        part=pair.part,
        query=pair.query,
        item=pair.item,
        rank=pair.rank,
        **_rounded(
            {
                "similarity": pair.similarity,
                "calibrated": pair.calibrated,
                "deviations": pair.deviations,
                "weight": pair.weight,
            }
        ),
    )


def _rounded(values: Mapping[str, float]) -> dict[str, Any]:
    return {name: round(value, _DIGITS) for name, value in values.items()}
