"""How each kind of query becomes a ranking."""

from dataclasses import dataclass, replace

from config.errors import Reason, RejectEvent
from config.settings import PeopleSettings, QuerySettings
from config.vocabulary import QueryKind
from encoders.base import EncoderSet
from fusion.answer import answer
from fusion.attention_weights import FusionWeights
from fusion.index.protocol import VectorIndex
from fusion.people.protocol import PeopleStore
from fusion.recommend import recommend
from fusion.recommend_sources import SequenceModel, Sources
from fusion.request import QueryPart, Ranking, RankingRequest
from workers.contracts.query import Query
from workers.streams.calibration import CalibrationSource
from workers.streams.query_ordering import with_trends
from workers.streams.query_parts import PartEncoder
from workers.streams.query_request import (
    backgrounds_known,
    ranking_request,
    recommend_options,
    searched,
    unheard,
)
from workers.streams.summaries import Summariser
from workers.streams.timing import now_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A query whose parts are encoded, and what its asker should know already."""

    request: RankingRequest
    warnings: tuple[str, ...]

    def at(self, asked_at_ms: int, deadline: float | None) -> "Question":
        """The question with its time: when it was asked, and when an answer is worth nothing any more."""
        return replace(self, request=replace(self.request, asked_at_ms=asked_at_ms, deadline=deadline))


class Answerer:
    """Prepares and ranks; one for a process."""

    def __init__(
        self,
        *,
        parts: PartEncoder,
        encoders: EncoderSet,
        index: VectorIndex,
        people: PeopleStore,
        calibration: CalibrationSource,
        settings: QuerySettings,
        behaviour: PeopleSettings,
        sequence: SequenceModel | None = None,
        fusion_weights: FusionWeights | None = None,
    ) -> None:
        self._parts = parts
        self._encoders = encoders
        self._index = index
        self._people = people
        self._calibration = calibration
        self._settings = settings
        self._summaries = Summariser(index, calibration)
        self._fusion_weights = fusion_weights
        self._behaviour = behaviour
        self._sources = Sources(
            people=people,
            index=index,
            sequence=sequence,
            short_half_life_s=behaviour.short_half_life_s,
            visit_timeout_s=behaviour.visit_timeout_s,
        )

    async def prepare(self, query: Query) -> Question:
        """Encode what a query shows and make one request of it.

        Raises:
            StageError: A part cannot be fetched or decoded.
            RejectEvent: The query can never be answered as it is.
            RetryLater: The device is away.
        """
        search_in, unsearched = searched(query, self._encoders.modalities, self._encoders.model)
        parts, unused = await self._parts.encode(query) if query.parts else ([], [])
        self._calibration.asked(parts)
        request = ranking_request(
            query,
            parts,
            search_in,
            self._settings,
            fusion_weights=self._fusion_weights,
            learnt=self._encoders.dimension_weights,
        )
        return Question(request=request, warnings=(*unused, *unsearched))

    async def rank(self, query: Query, question: Question) -> Ranking:
        """Answer a prepared query.

        Raises:
            RejectEvent: The filter does not parse, or the item is unknown.
            RetryLater: A store cannot be reached.
        """
        request = await with_trends(question.request, self._people, now_ms())
        calibration = backgrounds_known(request, self._calibration.table(), self._encoders.dimension_weights)
        if query.kind is QueryKind.RECOMMEND and query.user_id is not None:
            ranking = await recommend(
                query.user_id,
                request,
                sources=self._sources,
                calibration=calibration,
                now_ms=now_ms(),
                options=recommend_options(query, self._behaviour),
            )
            return replace(ranking, warnings=(*unheard(query, self._sources.sequence), *ranking.warnings))
        if query.kind is QueryKind.SIMILAR:
            request = await self._like_its_item(query, request)
        if named := self._summaries.named(query):
            return await self._summaries.of_named(named, query, request)
        request, learnt = await self._taught(query, request)
        request, warnings = await self._personal(query, request)
        ranking = await answer(request, self._index, calibration)
        ranking = replace(ranking, warnings=(*warnings, *learnt, *ranking.warnings))
        return await self._summaries.of_found(ranking, query, request) if query.kind is QueryKind.SUMMARIZE else ranking

    async def _taught(self, query: Query, request: RankingRequest) -> tuple[RankingRequest, list[str]]:
        """Move the modalities' weights as clicks taught, where that is on and the query says none of its own."""
        if not self._behaviour.learn_weights or query.fusion.weights:
            return request, []
        factors = await self._people.served.weights(query.user_id)
        if not factors:
            return request, []
        told = ", ".join(f"{modality} x {factor:.2f}" for modality, factor in factors.items())
        weights = {**request.weights, **{each: request.weights.get(each, 1.0) * factors[each] for each in factors}}
        return replace(request, weights=weights), [f"weights moved by clicks: {told}"] if query.explain else []

    async def _like_its_item(self, query: Query, request: RankingRequest) -> RankingRequest:
        """Ask with the item's own vectors for everything but the item."""
        item_id = query.item_id
        item = None if item_id is None else (await self._index.fetch([item_id])).get(item_id)
        if item is None:
            message = "no such item: it was never published, was deleted, or is not indexed yet"
            raise RejectEvent(Reason.UNKNOWN_ITEM, message, field="item_id")
        parts = tuple(QueryPart(modality=modality, vector=vector) for modality, vector in item.vectors.items())
        return replace(request, parts=parts, exclude=frozenset({item.item_id}))

    async def _personal(self, query: Query, request: RankingRequest) -> tuple[RankingRequest, list[str]]:
        """Add the user's taste where the query asks for it and there is one."""
        if not query.personalise or query.user_id is None:
            return request, []
        profile = await self._people.profile(query.user_id, now_ms=now_ms())
        if profile is None or profile.vector is None:
            return request, ["not personalised: nothing is known of this user yet"]
        return replace(request, profile=profile.vector, personalise=query.personalise), []
