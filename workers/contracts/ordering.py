"""How scored candidates become a list: what a query may ask for, and what its result says was done."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from config.vocabulary import BoostKind, BoostShape, RankingMethod
from workers.contracts.base import Wire

MAX_BOOSTS = 8
MAX_GROUP = 1000

OrderedBy = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""Name of an attribute."""

Share = Annotated[float, Field(gt=0, le=1)]


class Coverage(Wire):
    """Categories that the list should cover; used by ``mmr`` and ``beam``."""

    attribute: OrderedBy
    """Where an item's category stands; each member of a list is a category of its own."""
    weight: float = Field(0.3, ge=0, le=1)
    """Share of a place's worth that newly served categories decide; with ``diversity`` at most 1."""


class Ranking(Wire):
    """How scored candidates become the list; the worker's settings where absent."""

    method: RankingMethod | None = None
    """``top_k`` by score alone; ``mmr`` and ``beam`` trade score against variety and coverage."""
    diversity: float | None = Field(None, ge=0, le=1)
    """0 is score alone, 1 is variety alone; used by ``mmr`` and ``beam``."""
    beam_width: int | None = Field(None, ge=1, le=64)
    """Lists kept while searching; used by ``beam``."""
    coverage: Coverage | None = None
    """Categories that the list should cover; none when absent."""


class GroupBy(Wire):
    """At most so many hits with the same value of an attribute; items without it are not grouped."""

    attribute: OrderedBy
    """The attribute; a list counts as one value."""
    most: int = Field(1, ge=1, le=MAX_GROUP)
    """Hits of each group, over all pages."""


class Collapse(Wire):
    """Of near-duplicates the best is shown and names the others in ``collapsed``."""

    similarity: float = Field(0.98, gt=0, le=1)
    """From here on two items are near-duplicates: (1 + cosine) / 2 of the means of their vectors."""
    attribute: OrderedBy | None = None
    """Both must also have the same value of this attribute; any two items when absent."""


class RecencyBoost(Wire):
    """2^(-age / half-life), measured from the query's ``occurred_at``."""

    kind: Literal[BoostKind.RECENCY]
    """What this boost looks at."""
    share: Share
    """Share of the score that it decides."""
    half_life_s: float = Field(gt=0, le=1e12)
    """Seconds after which it is half."""
    attribute: OrderedBy | None = None
    """Where an item's time stands, in seconds since 1970 or as RFC 3339; its event's ``occurred_at`` when absent."""


class PopularityBoost(Wire):
    """log(1 + w) / log(1 + greatest w) of the decayed weight w of what people did with an item lately."""

    kind: Literal[BoostKind.POPULARITY]
    """What this boost looks at."""
    share: Share
    """Share of the score that it decides."""


class NumberBoost(Wire):
    """A numeric attribute; with d = (number - origin) / scale every shape is 0.5 at d = 1."""

    kind: Literal[BoostKind.NUMBER]
    """What this boost looks at."""
    share: Share
    """Share of the score that it decides."""
    attribute: OrderedBy
    """The attribute."""
    shape: BoostShape = BoostShape.GAUSS
    """``linear`` max(0, 1 - |d| / 2); ``gauss`` 2^(-d²); ``log`` u / (1 + u) with u = log₂(1 + max(0, d))."""
    origin: float = 0.0
    """The best number for ``linear`` and ``gauss``; where ``log`` begins to count."""
    scale: float = Field(gt=0, le=1e15)
    """Distance from the origin at which the value is 0.5."""


Boost = Annotated[RecencyBoost | PopularityBoost | NumberBoost, Field(discriminator="kind")]
Boosts = Annotated[tuple[Boost, ...], Field(max_length=MAX_BOOSTS)]


class Ordering(Wire):
    """How a result's list was made, every constant filled in."""

    method: RankingMethod
    """How places were chosen."""
    diversity: float = 0.0
    """Weight of variety; 0 for ``top_k``."""
    coverage: Coverage | None = None
    """Categories that were to be covered."""
    beam_width: int = 1
    """Lists kept while searching; 1 but for ``beam``."""
    group_by: GroupBy | None = None
    """The groups."""
    collapse: Collapse | None = None
    """What counted as a near-duplicate."""
    boosts: Boosts = ()
    """What else spoke for items."""
    near_share: float = 0.0
    """Share of the score that ``near`` decided."""
    chosen_together: int = 1
    """Places that are chosen together: pages of any length are slices of one list."""


class BoostScore(Wire):
    """What a boost said of one hit."""

    value: float
    """In [0, 1], by the formula of its kind."""
    share: float
    """Share of the score that it decided, in [0, 1]."""
