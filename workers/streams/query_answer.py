"""How each kind of query becomes a ranking."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from config.errors import Reason, RejectEvent
from config.settings import QuerySettings
from config.vocabulary import Background, Modality, QueryKind, Similarity
from encoders.base import EncoderSet
from fusion.answer import answer
from fusion.index.protocol import VectorIndex
from fusion.people.protocol import PeopleStore
from fusion.recommend import recommend
from fusion.request import QueryPart, Ranking, RankingRequest
from workers.contracts.query import Query
from workers.streams.query_parts import PartEncoder
from workers.streams.query_request import ranking_request, searched
from workers.streams.timing import now_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A query whose parts are encoded, and what its asker should know already."""

    request: RankingRequest
    warnings: tuple[str, ...]


class Answerer:
    """Prepares and ranks; one for a process."""

    def __init__(
        self,
        *,
        parts: PartEncoder,
        encoders: EncoderSet,
        index: VectorIndex,
        people: PeopleStore,
        calibration: Mapping[tuple[Modality, Modality], Background],
        settings: QuerySettings,
    ) -> None:
        self._parts = parts
        self._encoders = encoders
        self._index = index
        self._people = people
        self._calibration = calibration
        self._settings = settings

    async def prepare(self, query: Query) -> Question:
        """Encode what a query shows and make one request of it.

        Raises:
            StageError: A part cannot be fetched or decoded.
            RejectEvent: The query can never be answered as it is.
            RetryLater: The device is away.
        """
        if query.kind is QueryKind.SUMMARIZE:
            message = "summaries are not in this version; use search, recommend or similar"
            raise RejectEvent(Reason.INVALID_EVENT, message, field="kind")
        search_in, unsearched = searched(query, self._encoders.modalities, self._encoders.model)
        parts, unused = await self._parts.encode(query) if query.parts else ([], [])
        request = ranking_request(query, parts, search_in, self._settings, self._encoders.dimension_weights)
        return Question(request=request, warnings=(*unused, *unsearched))

    async def rank(self, query: Query, question: Question) -> Ranking:
        """Answer a prepared query.

        Raises:
            RejectEvent: The filter does not parse, or the item is unknown.
            RetryLater: A store cannot be reached.
        """
        request = question.request
        calibration = self._calibration_of(request)
        if query.kind is QueryKind.RECOMMEND and query.user_id is not None:
            return await recommend(
                query.user_id,
                request,
                people=self._people,
                index=self._index,
                calibration=calibration,
                now_ms=now_ms(),
            )
        if query.kind is QueryKind.SIMILAR:
            request = await self._like_its_item(query, request)
        request, warnings = await self._personal(query, request)
        ranking = await answer(request, self._index, calibration)
        return replace(ranking, warnings=(*warnings, *ranking.warnings))

    def _calibration_of(self, request: RankingRequest) -> Mapping[tuple[Modality, Modality], Background]:
        """Weighted cosines have backgrounds of their own."""
        learnt = self._encoders.dimension_weights
        if request.similarity is not Similarity.WEIGHTED_COSINE or learnt is None:
            return self._calibration
        return {**self._calibration, **learnt.calibration}

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
