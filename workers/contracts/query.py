"""Query events: a question, and how to answer it. The record's key is the ``query_id``."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, TypeAdapter, model_validator

from config.vocabulary import (
    FusionStrategy,
    MissingRule,
    Modality,
    QueryKind,
    RecommendSignal,
    Similarity,
)
from workers.contracts.base import Event, Latitude, Longitude, Wire, WireItemId, WireQueryId, WireUserId
from workers.contracts.media import LocationContent, MediaContent, SensorContent, TextContent
from workers.contracts.ordering import Boosts, Collapse, GroupBy, Ranking
from workers.contracts.summary import SummaryOptions

MAX_PARTS = 16
MAX_K = 10_000
MAX_FILTER_CHARS = 4096
MAX_SUMMARISED = 100
"""Items in one summary."""

PartWeight = Annotated[float, Field(ge=-100, le=100)]
ModalityWeight = Annotated[float, Field(ge=0, le=100)]
TopicName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,249}$")]


class _Weighted(Wire):
    weight: PartWeight = 1.0
    """Pull of this part, -100 to 100; negative steers away."""


class TextPart(TextContent, _Weighted):
    """Words to look for."""

    modality: Literal[Modality.TEXT] = Modality.TEXT
    """What this part is."""


class ImagePart(MediaContent, _Weighted):
    """A picture to look for."""

    modality: Literal[Modality.IMAGE] = Modality.IMAGE
    """What this part is."""


class AudioPart(MediaContent, _Weighted):
    """A sound to look for, such as a spoken word."""

    modality: Literal[Modality.AUDIO] = Modality.AUDIO
    """What this part is."""


class VideoPart(MediaContent, _Weighted):
    """A clip to look for; its frames and its track are asked for."""

    modality: Literal[Modality.VIDEO] = Modality.VIDEO
    """What this part is."""


class LocationPart(LocationContent, _Weighted):
    """A place to look for."""

    modality: Literal[Modality.LOCATION] = Modality.LOCATION
    """What this part is."""


class SensorPart(SensorContent, _Weighted):
    """Readings to look for."""

    modality: Literal[Modality.SENSOR] = Modality.SENSOR
    """What this part is."""


Part = Annotated[
    TextPart | ImagePart | AudioPart | VideoPart | LocationPart | SensorPart, Field(discriminator="modality")
]


class Fusion(Wire):
    """How an item's scores in several modalities become one; the worker's settings where absent."""

    strategy: FusionStrategy | None = None
    """The rule."""
    weights: dict[Modality, ModalityWeight] | None = None
    """Weight of each item modality, 0 to 100; 1 where not named."""
    missing: MissingRule | None = None
    """What a modality that an item lacks does to its score."""
    rrf_k: float | None = Field(None, gt=0, le=10_000)
    """The constant of ``rrf``: the larger, the less the first places count against the next."""
    rank_depth: int | None = Field(None, ge=1, le=MAX_K)
    """How many of each list count in ``rrf`` and ``dbsf``; half of the worker's candidates when absent."""
    dbsf_deviations: float | None = Field(None, gt=0, le=100)
    """A list's mean less and plus this many standard deviations become 0 and 1; used by ``dbsf``."""
    chance_z: float | None = Field(None, ge=-100, le=100)
    """Standard deviations from its background at which a calibrated similarity is 0.5."""
    spread_z: float | None = Field(None, gt=0, le=100)
    """How slowly calibrated similarities leave 0.5 from there."""

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        if self.weights and len(self.weights) == len(Modality) and not any(self.weights.values()):
            msg = "every modality has weight 0, so nothing could be found"
            raise ValueError(msg)
        return self


class Recommend(Wire):
    """How a recommendation is made; the worker's settings where absent."""

    shares: dict[RecommendSignal, ModalityWeight] | None = None
    """What part of the score each signal decides against the others, 0 to 100; the setting's where not named."""
    explore: float | None = Field(None, ge=0, le=1)
    """Share of the places that go to what the user's behaviour does not speak for: 0.1 is every tenth."""
    allow_seen: bool = False
    """Also show what the user acted on already; what they disliked is never shown."""

    @model_validator(mode="after")
    def _some_share(self) -> Self:
        if self.shares and len(self.shares) == len(RecommendSignal) and not any(self.shares.values()):
            msg = "every signal has share 0, so nothing could be found"
            raise ValueError(msg)
        return self


class Near(Wire):
    """Prefer what is near a place: a score halves about every ``scale_km``."""

    latitude: Latitude
    """Degrees north."""
    longitude: Longitude
    """Degrees east."""
    scale_km: float = Field(50.0, gt=0, le=20_040)
    """Distance in kilometres over which nearness fades."""
    share: float | None = Field(None, ge=0, le=1)
    """Share of the score that nearness decides; a third when absent."""


_NEEDS = {QueryKind.SEARCH: "parts", QueryKind.RECOMMEND: "user_id", QueryKind.SIMILAR: "item_id"}
_HAS_NO_USE_FOR = {
    QueryKind.SEARCH: ("item_id", "item_ids", "summary", "recommend"),
    QueryKind.RECOMMEND: ("parts", "item_id", "item_ids", "summary", "personalise"),
    QueryKind.SIMILAR: ("parts", "item_ids", "summary", "recommend"),
    QueryKind.SUMMARIZE: ("recommend",),
}
_SUMMARISES = ("item_id", "item_ids", "parts")
_FINDS_ITEMS = ("k", "offset", "filter", "search_in", "near", "boosts", "group_by", "collapse", "personalise")
"""What only a summary of found items has a use for."""
_KIND_RULES: list[JsonValue] = [
    {"if": {"properties": {"kind": {"const": kind.value}}}, "then": {"required": [need]}}
    for kind, need in _NEEDS.items()
]
_KIND_RULES.append(
    {
        "if": {"properties": {"kind": {"const": QueryKind.SUMMARIZE.value}}},
        "then": {"anyOf": [{"required": [name]} for name in _SUMMARISES]},
    }
)


class Query(Event):
    """A question. Only ``query_id``, ``kind`` and what the kind needs are required."""

    model_config = ConfigDict(json_schema_extra={"allOf": _KIND_RULES})

    query_id: WireQueryId
    """Identity of the query: key of this record and of its one result."""
    kind: QueryKind
    """``search`` needs ``parts``, ``recommend`` a ``user_id``, ``similar`` an ``item_id``, ``summarize`` one of
    ``item_id``, ``item_ids`` and ``parts``."""
    user_id: WireUserId | None = None
    """Who asks; needed to recommend and to personalise."""
    item_id: WireItemId | None = None
    """The item whose neighbours or whose summary are wanted."""
    item_ids: Annotated[tuple[WireItemId, ...], Field(max_length=MAX_SUMMARISED)] = ()
    """Items to summarise together, 1 to 100, in the order in which they are to be read."""
    parts: Annotated[tuple[Part, ...], Field(max_length=MAX_PARTS)] = ()
    """What is looked for, 1 to 16 parts of any modality; beside items to summarise, what their summary is about."""
    k: int | None = Field(None, ge=1, le=MAX_K)
    """Hits wanted; the worker's setting (10) when absent. A summary is made of at most 100."""
    offset: int = Field(0, ge=0, le=MAX_K)
    """Hits skipped, for paging; ``offset + k`` is bounded by the worker's ``query.max_k``."""
    filter: str = Field("", max_length=MAX_FILTER_CHARS)
    """Expression over attributes in Redis vector sets' filter language, such as ``.year > 2020``."""
    search_in: Annotated[tuple[Modality, ...], Field(max_length=len(Modality))] = ()
    """Item modalities looked at; all when empty."""
    similarity: Similarity | None = None
    """How vectors are compared; the worker's setting when absent."""
    fusion: Fusion = Fusion()
    """How modalities are fused."""
    ranking: Ranking = Ranking()
    """How the list is made."""
    near: Near | None = None
    """Prefer what is near a place."""
    boosts: Boosts = ()
    """What else speaks for an item: its age, its popularity, its numbers; their shares sum to at most 1."""
    group_by: GroupBy | None = None
    """At most so many hits with the same value of an attribute."""
    collapse: Collapse | None = None
    """Show one of near-duplicates."""
    summary: SummaryOptions | None = None
    """What the summary holds."""
    personalise: float = Field(0.0, ge=0, le=1)
    """Pull of the user's own taste on a search: 0 none, 1 nothing else."""
    recommend: Recommend | None = None
    """Shares of the signals that make a recommendation."""
    explain: bool = False
    """Also return each hit's scores by modality and the reasons in words."""
    deadline_ms: int | None = Field(None, ge=1, le=600_000)
    """Milliseconds from this record's timestamp after which an answer is worth nothing; an error is sent instead."""
    reply_to: TopicName | None = None
    """Where the result goes: ``<prefix>.results`` (the default) or a topic whose name begins ``<prefix>.results.``."""

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        problems = [*self._lacking(), *self._unused()]
        if self.parts and not any(part.weight for part in self.parts):
            problems.append("every part has weight 0; give at least one another weight")
        if len(set(self.search_in)) < len(self.search_in):
            problems.append("'search_in' names a modality twice")
        if self.personalise and not self.user_id:
            problems.append("'personalise' needs 'user_id'")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _lacking(self) -> list[str]:
        if self.kind is QueryKind.SUMMARIZE and not any(getattr(self, name) for name in _SUMMARISES):
            return [f"kind '{self.kind}' needs one of {', '.join(map(repr, _SUMMARISES))}"]
        need = _NEEDS.get(self.kind)
        return [f"kind '{self.kind}' needs '{need}'"] if need and not getattr(self, need) else []

    def _unused(self) -> list[str]:
        """Name what this kind would pass over in silence."""
        unused = _HAS_NO_USE_FOR.get(self.kind, ())
        problems = [f"kind '{self.kind}' has no use for '{name}'" for name in unused if getattr(self, name)]
        return problems + (self._unused_by_a_summary() if self.kind is QueryKind.SUMMARIZE else [])

    def _unused_by_a_summary(self) -> list[str]:
        problems = []
        if self.item_id and self.item_ids:
            problems.append("give 'item_id' or 'item_ids', not both")
        if len(set(self.item_ids)) < len(self.item_ids):
            problems.append("'item_ids' names an item twice")
        if self.item_id or self.item_ids:
            names = [name for name in _FINDS_ITEMS if getattr(self, name)]
            problems += [f"a summary of named items has no use for '{name}'" for name in names]
        if self.k and self.k > MAX_SUMMARISED:
            problems.append(f"'k' is at most {MAX_SUMMARISED} in a summary")
        return problems


QUERIES: TypeAdapter[Query] = TypeAdapter(Query)
"""Reads an event of the queries topic."""
