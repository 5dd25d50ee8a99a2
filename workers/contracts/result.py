"""Result events: every query gets exactly one, also when it failed. The key is the ``query_id``."""

from pydantic import Field, TypeAdapter

from config.errors import Reason
from config.vocabulary import Modality, RecommendSignal, ResultStatus
from workers.contracts.attributes import AttributeName, AttributeValue
from workers.contracts.base import Event, Wire, WireItemId, WireQueryId
from workers.contracts.explanation import Explanation, HitExplanation
from workers.contracts.ordering import BoostScore, Ordering
from workers.contracts.summary import Summary


class ModalityScore(Wire):
    """What one modality of an item gave to its score."""

    similarity: float
    """Nearness to the query in [0, 1], higher is nearer, as measured."""
    calibrated: float
    """The same against its own background distribution, in [0, 1]: comparable between modalities."""
    weight: float
    """Weight it had in the fused score; the weights of a hit sum to 1."""
    rank: int | None = Field(None, ge=1)
    """Place in this modality's list under the part it answers best; absent where there was no list."""


class Hit(Wire):
    """One found item."""

    rank: int = Field(ge=1)
    """Place in the whole ranking, from 1; with an ``offset`` the first hit's rank is ``offset + 1``."""
    item_id: WireItemId
    """The item."""
    score: float
    """Fused score, higher is better; ties are ordered by item id."""
    modality_scores: dict[Modality, ModalityScore] = Field(default_factory=dict)
    """Each modality's part in the score; filled when the query asked to ``explain``."""
    # More than a sender may give: location and label sets add their own.
    attributes: dict[AttributeName, AttributeValue] = Field(default_factory=dict)
    """The item's attributes."""
    because: tuple[str, ...] = ()
    """The reasons in words, strongest first; filled when the query asked to ``explain``."""
    explanation: HitExplanation | None = None
    """The reasons in numbers; present when the query asked to ``explain`` and had parts or a user."""
    boosts: dict[str, BoostScore] = Field(default_factory=dict)
    """What each boost said, by its kind and attribute; filled when the query asked to ``explain``."""
    collapsed: tuple[WireItemId, ...] = ()
    """Near-duplicates that this hit stands for, best first."""
    signals: dict[RecommendSignal, float] = Field(default_factory=dict)
    """What each signal of a recommendation gave to the score; filled when the query asked to ``explain``."""


class Recommended(Wire):
    """Every constant that a recommendation was made with."""

    shares: dict[RecommendSignal, float] = Field(default_factory=dict)
    """Share of the score of each signal that had something to say; they sum to 1."""
    explore: float = 0.0
    """Share of the places that go to what the user's behaviour does not speak for."""
    explore_window_s: float = 0.0
    """Seconds for which these stay the same."""
    allow_seen: bool = False
    """Whether what the user acted on already may be shown again."""


class Timings(Wire):
    """Where the time went, in milliseconds."""

    queue: float = 0.0
    """From the query record's timestamp until a worker took it."""
    encode: float = 0.0
    """Fetching, decoding and encoding of the parts."""
    search: float = 0.0
    """Reading the index and the profile."""
    fuse: float = 0.0
    """Scoring, fusing and ranking."""
    total: float = 0.0
    """From the query record's timestamp until the result was sent."""


class QueryError(Wire):
    """Why a query was not answered."""

    code: Reason
    """The closed code."""
    message: str
    """What is wrong and the way out."""
    field: str = ""
    """Path of the offending field in the query, such as ``parts[0].uri``; empty if none."""


class Result(Event):
    """The answer to one query. At-least-once delivery may repeat it: take the first with your ``query_id``."""

    query_id: WireQueryId
    """The query it answers."""
    status: ResultStatus
    """``ok``; ``partial`` when a shard did not answer (see ``warnings``); ``error`` when there is no answer."""
    hits: tuple[Hit, ...] = ()
    """What was found, best first; of a summary the items that it is of."""
    summary: Summary | None = None
    """The summary; present when the query asked for one and was answered."""
    timings_ms: Timings = Timings()
    """Where the time went."""
    candidates: int = Field(0, ge=0)
    """Items that were scored."""
    ordering: Ordering | None = None
    """How the list was made; present when the query asked to ``explain``."""
    recommended: Recommended | None = None
    """How a recommendation was made; present when the query asked to ``explain``."""
    model: str = ""
    """The model whose vectors were compared, as ``name@version``."""
    warnings: tuple[str, ...] = ()
    """What the reader should know: shards that did not answer, parts that could not be used."""
    explanation: Explanation | None = None
    """How the list was made; present when the query asked to ``explain``."""
    error: QueryError | None = None
    """Why there is no answer; present exactly when ``status`` is ``error``."""


RESULTS: TypeAdapter[Result] = TypeAdapter(Result)
"""Reads an event of the results topic."""
