"""What an explanation holds: plain numbers, so that the wire and the terminal only have to write them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from config.vocabulary import FusionStrategy, MissingRule, Modality, Similarity


@dataclass(frozen=True, slots=True, kw_only=True)
class PairScore:
    """How one modality of an item answered one part of the query.

    Args:
        part: Which part, from 0.
        query: The part's modality.
        item: The item's modality.
        similarity: In [0, 1], as the request compares vectors.
        calibrated: The same against the pair's background, in [0, 1].
        deviations: Distance from that background in standard deviations.
        weight: Share of the fused score that leans on this pair; a hit's shares sum to 1.
        rank: Place in the list of this part and modality, from 1, among the candidates.
    """

    part: int
    query: Modality
    item: Modality
    similarity: float
    calibrated: float
    deviations: float
    weight: float
    rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HitExplanation:
    """Why one hit stands where it stands.

    Args:
        pairs: Every part against every modality that the item has.
        contributions: What each of ``content``, ``profile``, ``boosts``, ``signals``, named boosts and ``near`` gave;
            they sum to the score.
        profile: Calibrated likeness to what the user acted on, in [0, 1]; None when not personalised.
        boosts: What else spoke for it, in [0, 1], by name.
        distance_km: From the place asked for; None without one, or when the item has no place.
        occurred_at_ms: When the item's stored version was written, in milliseconds since 1970.
    """

    pairs: tuple[PairScore, ...]
    contributions: Mapping[str, float]
    profile: float | None = None
    boosts: Mapping[str, float] = field(default_factory=dict)
    distance_km: float | None = None
    occurred_at_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How a whole ranking was made: every constant that was used.

    Args:
        constants: What the strategy read, by its name in the query event.
        weights: Weight of each item modality that was searched.
        fusion_weights: Name of the trained weights, when the strategy has any.
        personalise: Share of the score that the profile decided.
    """

    strategy: FusionStrategy
    similarity: Similarity
    missing: MissingRule
    constants: Mapping[str, float]
    weights: Mapping[Modality, float]
    fusion_weights: str | None = None
    personalise: float = 0.0
