"""Result events: every query gets exactly one, also when it failed. The key is the ``query_id``."""

from pydantic import Field, TypeAdapter

from config.errors import Reason
from config.vocabulary import Modality, ResultStatus
from workers.contracts.attributes import WireAttributes
from workers.contracts.base import Event, Wire, WireItemId, WireQueryId
from workers.contracts.explanation import Explanation, HitExplanation


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
    attributes: WireAttributes = Field(default_factory=dict)
    """The item's attributes."""
    because: tuple[str, ...] = ()
    """The reasons in words, strongest first; filled when the query asked to ``explain``."""
    explanation: HitExplanation | None = None
    """The reasons in numbers; present when the query asked to ``explain`` and had parts or a user."""


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
    """What was found, best first."""
    timings_ms: Timings = Timings()
    """Where the time went."""
    candidates: int = Field(0, ge=0)
    """Items that were scored."""
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
