"""Explanations in results: why each item was found, and with what constants the whole list was made."""

from pydantic import Field

from config.vocabulary import FusionStrategy, MissingRule, Modality, Similarity
from workers.contracts.base import Wire


class PairScore(Wire):
    """How one modality of an item answered one part of the query."""

    part: int = Field(ge=0)
    """Which part, from 0; a clip counts as its pictures and its sound."""
    query: Modality
    """The part's modality."""
    item: Modality
    """The item's modality."""
    similarity: float
    """Nearness in [0, 1], as measured."""
    calibrated: float
    """The same against its own background distribution, in [0, 1]."""
    deviations: float
    """Distance from that background in standard deviations."""
    weight: float
    """Share of the fused score that leans on this pair; those of a hit sum to 1."""
    rank: int = Field(ge=1)
    """Place in the list of this part and modality, among the candidates."""


class HitExplanation(Wire):
    """Why one hit stands where it stands."""

    pairs: tuple[PairScore, ...] = ()
    """Every part against every modality that the item has."""
    contributions: dict[str, float] = Field(default_factory=dict)
    """What ``content``, ``profile``, ``boosts``, ``signals``, named boosts and ``near`` gave to the score, as a sum."""
    profile: float | None = None
    """Calibrated likeness to what the user acted on, in [0, 1]; absent when not personalised."""
    boosts: dict[str, float] = Field(default_factory=dict)
    """What else spoke for it, in [0, 1], by name."""
    distance_km: float | None = None
    """From the place asked for; absent without one, or when the item has no place."""
    age_s: float = Field(0.0, ge=0)
    """Seconds since the event that wrote the item."""


class Explanation(Wire):
    """How the whole list was made: every constant that was used."""

    strategy: FusionStrategy
    """How modalities were fused."""
    similarity: Similarity
    """How vectors were compared."""
    missing: MissingRule
    """What a lacking modality did to a score."""
    constants: dict[str, float] = Field(default_factory=dict)
    """What the strategy read, by its name in ``fusion``."""
    weights: dict[Modality, float] = Field(default_factory=dict)
    """Weight of each item modality that was searched."""
    fusion_weights: str | None = None
    """The trained weights of ``attention``, as name@hash."""
    personalise: float = 0.0
    """Share of the score that the user's taste decided."""
    layout: str | None = None
    """Name of the layout of the index that answered; absent for the first one, which has none."""
