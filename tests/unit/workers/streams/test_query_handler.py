"""The query worker's work without Kafka: one result for every query, whatever is wrong with it or its neighbours."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import Reason, RejectEvent, RetryLater
from config.settings import PeopleSettings, QuerySettings
from config.vocabulary import Background, ItemId, Modality, QueryId, RecommendSignal, ResultStatus, UserId, Version
from encoders.base import DimensionWeights, ImageInput, TextInput
from encoders.batching import DeviceBatcher
from encoders.media.image import decode_image
from fusion.calibration import CHANCE_Z, SPREAD_Z
from fusion.index.memory_index import MemoryVectorIndex
from fusion.index.protocol import Item, SearchReport, VectorSearch
from fusion.people.memory_served import MemoryServedStore
from fusion.people.protocol import Interaction, Profile
from fusion.people.served import Act, Served, ServedHit, ServedScore
from tests.unit.workers.streams.support import (
    DIMS,
    MAX_EVENT_BYTES,
    MEDIA,
    MODEL,
    PROFILE,
    batching,
    clip,
    inline,
    png,
    record,
    wav,
)
from workers.contracts.result import RESULTS, Result
from workers.streams.calibration import FixedCalibration
from workers.streams.fetch import MediaFetcher
from workers.streams.memory import MemoryPublisher
from workers.streams.observer import Unobserved
from workers.streams.queries import QueryHandler
from workers.streams.records import Done, Outcome, Record, Refused

RESULTS_TOPIC = "cc.results"
TEXTS = {"cat": "cat", "dog": "dog", "cat-and-dog": "cat dog", "car": "car"}


class FixedPeople:
    """People whose tastes are given and never change."""

    def __init__(self, tastes: Mapping[str, NDArray[np.float32]]) -> None:
        self._tastes = tastes
        self.served = MemoryServedStore(PeopleSettings(), {})

    async def record(self, interactions: Sequence[Interaction]) -> list[bool]:
        """Count nothing."""
        return [False for _ in interactions]

    async def profile(self, user_id: UserId, *, now_ms: int) -> Profile | None:
        """Read a given taste."""
        taste = self._tastes.get(user_id)
        if taste is None:
            return None
        return Profile(user_id=user_id, vector=taste, strength=5.0, recent=(), updated_at_ms=now_ms)

    async def forget(self, user_id: UserId, *, occurred_at_ms: int) -> bool:
        """Forget nobody."""
        return False

    async def trends(self, count: int, *, now_ms: int) -> list[tuple[ItemId, float]]:
        """Nothing is in fashion."""
        return []

    async def covisited(self, item_id: ItemId, count: int) -> list[tuple[ItemId, float]]:
        """Nothing goes together."""
        return []

    async def partners(self, item_ids: Sequence[ItemId], count: int) -> list[list[tuple[ItemId, float]]]:
        """Nothing goes together."""
        return [[] for _ in item_ids]

    async def close(self) -> None:
        """Nothing to close."""


class BrittleIndex(MemoryVectorIndex):
    """An exact index that fails as it is told to."""

    def __init__(self) -> None:
        super().__init__(MODEL, DIMS, PROFILE)
        self.failing: list[Exception] = []
        self.failed_shards: tuple[int, ...] = ()
        self.slow_s = 0.0

    async def search(self, searches: Sequence[VectorSearch]) -> SearchReport:
        """Search, slowly, partly, or not at all."""
        await asyncio.sleep(self.slow_s)
        if self.failing:
            raise self.failing.pop(0)
        report = await super().search(searches)
        return SearchReport(neighbours=report.neighbours, failed_shards=self.failed_shards)


class Seen(Unobserved):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.stages: list[set[str]] = []
        self.lost_shards = 0
        self.degradations = 0

    def answered(self, seconds: Mapping[str, float]) -> None:
        """Keep the stages."""
        self.stages.append(set(seconds))

    def shards_failed(self, count: int) -> None:
        """Keep the count."""
        self.lost_shards += count

    def degraded(self) -> None:
        """Keep the count."""
        self.degradations += 1


@dataclass(slots=True, kw_only=True)
class House:
    """A query worker without Kafka, over four items."""

    handler: QueryHandler
    index: BrittleIndex
    publisher: MemoryPublisher
    batcher: DeviceBatcher
    seen: Seen
    served: MemoryServedStore
    asked: int = field(default=0)

    async def handle(self, *events: Any, age_ms: int = 0) -> Sequence[Outcome]:
        """Handle queries at offsets of their own."""
        return await self.handler.handle([self.record(event, age_ms) for event in events])

    def record(self, event: Any, age_ms: int = 0) -> Record:
        """A record at the next offset."""
        self.asked += 1
        return record(event, offset=self.asked, age_ms=age_ms)

    async def ask(self, event: Any, age_ms: int = 0) -> Result:
        """Ask one query and read its one result."""
        already = len(self.publisher.sent)
        await self.handle(event, age_ms=age_ms)
        [sent] = self.publisher.sent[already:]
        result = RESULTS.validate_json(sent.value or b"")
        assert sent.topic == RESULTS_TOPIC
        assert sent.key == result.query_id.encode()
        return result

    def results(self) -> dict[str, Result]:
        """Every result so far; fails if a query has two."""
        read = [RESULTS.validate_json(sent.value or b"") for sent in self.publisher.on(RESULTS_TOPIC)]
        assert len({result.query_id for result in read}) == len(read)
        return {result.query_id: result for result in read}


@asynccontextmanager
async def house(
    settings: QuerySettings | None = None,
    learnt: DimensionWeights | None = None,
    behaviour: PeopleSettings | None = None,
) -> AsyncIterator[House]:
    """A query worker over four items with text, one of them with a red picture too."""
    async with batching(learnt=learnt) as batcher, MediaFetcher(MEDIA) as fetcher:
        index, publisher, seen = BrittleIndex(), MemoryPublisher(), Seen()
        for place, (item_id, text) in enumerate(TEXTS.items()):
            vectors = {Modality.TEXT: await batcher.encode(Modality.TEXT, TextInput(text=text))}
            if item_id == "cat":
                vectors[Modality.IMAGE] = await batcher.encode(Modality.IMAGE, picture())
            written = Item(
                item_id=ItemId(item_id),
                version=Version(1, place),
                vectors=vectors,
                attributes={"wheels": 4 if item_id == "car" else 0},
            )
            await index.write([written])
        people = FixedPeople({"mika": await batcher.encode(Modality.TEXT, TextInput(text="car"))})
        people.served = MemoryServedStore(behaviour or PeopleSettings(), {})
        handler = QueryHandler(
            batcher=batcher,
            index=index,
            people=people,
            fetcher=fetcher,
            publisher=publisher,
            calibration=FixedCalibration(batcher.encoders.calibration),
            settings=settings or QuerySettings(),
            media=MEDIA,
            results_topic=RESULTS_TOPIC,
            max_event_bytes=MAX_EVENT_BYTES,
            observer=seen,
            behaviour=behaviour,
        )
        yield House(handler=handler, index=index, publisher=publisher, batcher=batcher, seen=seen, served=people.served)
        handler.close()


def picture() -> ImageInput:
    """The red picture, decoded."""
    return decode_image(png(), MEDIA)


def text(words: str, **fields: Any) -> dict[str, Any]:
    """A text part."""
    return {"modality": "text", "text": words} | fields


def search(*parts: dict[str, Any], query_id: str = "q", **fields: Any) -> dict[str, Any]:
    """A search."""
    return {"query_id": query_id, "kind": "search", "parts": list(parts)} | fields


def ids(result: Result) -> list[str]:
    """Item ids, best first."""
    assert result.status is not ResultStatus.ERROR, result.error
    return [hit.item_id for hit in result.hits]


async def test_a_text_finds_its_item_first():
    """The plain case: hits in order with attributes, ranks, model, timings."""
    async with house() as here:
        result = await here.ask(search(text("car")))
    assert ids(result)[0] == "car"
    assert result.status is ResultStatus.OK
    assert result.hits[0].attributes == {"wheels": 4}
    assert [hit.rank for hit in result.hits] == [1, 2, 3, 4]
    assert result.model == "deterministic@1"
    assert result.timings_ms.total >= result.timings_ms.encode > 0
    assert here.seen.stages == [{"queue", "encode", "search", "fuse", "total"}]


async def test_a_picture_finds_its_item_and_is_explained():
    """Each modality's part in the score and the reasons are there when asked for, and only then."""
    async with house() as here:
        image = {"modality": "image"} | inline(png())
        told = await here.ask(search(image, explain=True))
        plain = await here.ask(search(image, query_id="q2"))
    assert ids(told)[0] == ids(plain)[0] == "cat"
    assert Modality.IMAGE in told.hits[0].modality_scores
    assert told.hits[0].because
    assert not plain.hits[0].modality_scores
    assert not plain.hits[0].because


async def test_every_constant_of_fusion_is_taken_and_echoed():
    """What the query says, and what the settings say where it is silent; the hits are taken apart by pair."""
    async with house() as here:
        fusion = {"strategy": "rrf", "rrf_k": 7.5, "rank_depth": 3, "missing": "penalise", "weights": {"image": 0.5}}
        told = await here.ask(search(text("car"), fusion=fusion, explain=True))
        plain = await here.ask(search(text("car"), query_id="q2", fusion=fusion))
        mean = await here.ask(search(text("car"), query_id="q3", fusion={"chance_z": 1.0}, explain=True))
    assert told.explanation is not None
    assert told.explanation.constants == {"rrf_k": 7.5, "rank_depth": 3}
    assert (told.explanation.strategy, told.explanation.missing) == ("rrf", "penalise")
    assert told.explanation.weights[Modality.IMAGE] == 0.5
    assert mean.explanation is not None
    assert mean.explanation.constants == {"chance_z": 1.0, "spread_z": 2.0}
    first = told.hits[0]
    assert first.explanation is not None
    assert {pair.query for pair in first.explanation.pairs} == {Modality.TEXT}
    assert sum(first.explanation.contributions.values()) == pytest.approx(first.score, abs=1e-5)
    assert first.explanation.age_s >= 0
    assert first.modality_scores[Modality.TEXT].rank == 1
    assert plain.explanation is None
    assert plain.hits[0].explanation is None


async def test_attention_answers_with_the_weights_that_ship():
    """They are named, and asked without what they know of another model's modalities."""
    async with house() as here:
        told = await here.ask(search(text("car"), fusion={"strategy": "attention"}, explain=True))
    assert ids(told)[0] == "car"
    assert told.explanation is not None
    assert str(told.explanation.fusion_weights).endswith("without names")


@pytest.mark.parametrize("wrong", [{"rrf_k": 0}, {"rank_depth": 0}, {"dbsf_deviations": -1}, {"spread_z": 0}])
async def test_constants_out_of_range_are_refused(wrong: Any):
    """With the path of the field."""
    async with house() as here:
        result = await here.ask(search(text("car"), fusion=wrong))
    assert result.error is not None
    assert result.error.field == f"fusion.{next(iter(wrong))}"


async def test_a_negative_part_steers_away():
    """A query for cats without dogs ranks the cat above the pair."""
    async with house() as here:
        both = await here.ask(search(text("cat dog")))
        without = await here.ask(search(text("cat dog"), text("dog", weight=-1.0), query_id="q2"))
    assert ids(both)[0] == "cat-and-dog"
    assert ids(without)[0] == "cat"


async def test_a_part_of_weight_zero_counts_for_nothing():
    """It is neither fetched nor encoded."""
    async with house() as here:
        ignored = {"modality": "image", "uri": "http://127.0.0.1/never", "weight": 0.0}
        assert ids(await here.ask(search(text("car"), ignored)))[0] == "car"


async def test_a_clip_asks_with_its_pictures_and_its_sound():
    """A video part is searched by both and refused by neither."""
    async with house() as here:
        result = await here.ask(search({"modality": "video"} | inline(clip())))
    assert len(ids(result)) == 4


async def test_a_filter_narrows():
    """Only matching items are hits."""
    async with house() as here:
        assert ids(await here.ask(search(text("cat"), filter=".wheels > 2"))) == ["car"]


async def test_pages_follow_each_other():
    """Offset skips, and ranks count over all pages."""
    async with house() as here:
        whole = await here.ask(search(text("cat dog")))
        second = await here.ask(search(text("cat dog"), k=2, offset=2, query_id="q2"))
    assert ids(second) == ids(whole)[2:]
    assert [hit.rank for hit in second.hits] == [3, 4]


async def test_similar_asks_with_the_items_own_vectors_and_leaves_it_out():
    """The neighbours of the cat begin with the pair."""
    async with house() as here:
        result = await here.ask({"query_id": "q", "kind": "similar", "item_id": "cat"})
    assert ids(result)[0] == "cat-and-dog"
    assert "cat" not in ids(result)


async def test_a_search_can_be_personal():
    """With all of the pull on the taste, a lover of cars is shown the car."""
    async with house() as here:
        plain = await here.ask(search(text("dog")))
        personal = await here.ask(search(text("dog"), user_id="mika", personalise=1.0, query_id="q2"))
    assert (ids(plain)[0], ids(personal)[0]) == ("dog", "car")


async def test_a_stranger_is_answered_without_taste_and_told_so():
    """Personalising for somebody unknown degrades to a plain search, never in silence."""
    async with house() as here:
        result = await here.ask(search(text("dog"), user_id="nobody", personalise=0.5))
    assert ids(result)[0] == "dog"
    assert any("personalised" in warning for warning in result.warnings)


async def test_a_recommendation_follows_the_taste():
    """A lover of cars is shown the car first; a stranger gets what is in fashion, or a sample where nothing is."""
    async with house() as here:
        known = await here.ask({"query_id": "q", "kind": "recommend", "user_id": "mika"})
        stranger = await here.ask({"query_id": "q2", "kind": "recommend", "user_id": "nobody"})
    assert ids(known)[0] == "car"
    assert sorted(ids(stranger)) == sorted(TEXTS)
    assert "sample" in stranger.warnings[0]


async def test_the_constants_of_a_recommendation_are_the_querys_and_are_echoed():
    """With the reasons; without ``explain`` the result stays small."""
    asked = {"query_id": "q", "kind": "recommend", "user_id": "mika", "explain": True}
    async with house() as here:
        result = await here.ask(
            {**asked, "recommend": {"shares": {"long": 3, "trends": 1}, "explore": 0.5, "allow_seen": True}}
        )
        plain = await here.ask({**asked, "query_id": "q2", "explain": False})
    assert result.recommended is not None
    assert result.recommended.shares == {"long": 1.0}
    assert (result.recommended.explore, result.recommended.allow_seen) == (0.5, True)
    assert result.hits[0].signals == {"long": pytest.approx(result.hits[0].score)}
    assert "a step aside" in result.hits[1].because[0]
    assert plain.recommended is None
    assert plain.hits[0].signals == {}


async def test_a_share_for_a_model_that_is_not_there_is_told():
    """The signals that are there answer, and the warning names the setting."""
    async with house() as here:
        asked = {"query_id": "q", "kind": "recommend", "user_id": "mika", "recommend": {"shares": {"sequence": 1}}}
        result = await here.ask(asked)
    assert ids(result)[0] == "car"
    assert "people.sequence_model" in result.warnings[0]


async def test_what_a_user_was_shown_is_remembered_with_its_scores():
    """Under the user and the query, so that clicks can be joined to it; a query without a user is not."""
    async with house() as here:
        shown = await here.ask(search(text("cat"), user_id="mika", k=2))
        await here.ask(search(text("cat"), query_id="nobodys"))
        await asyncio.sleep(0)
        [served] = [each async for each in here.served.everything()]
    assert (served.query_id, served.user_id) == ("q", "mika")
    assert [(hit.item_id, hit.rank) for hit in served.hits] == [(hit.item_id, hit.rank) for hit in shown.hits]
    assert {score.calibrated > 0 for hit in served.hits for score in hit.scores.values()} == {True}


async def test_clicks_move_weights_where_that_is_on_and_the_query_says_none():
    """The user's searches lean to what told the clicked apart; the explanation says so; own weights are left alone."""
    behaviour = PeopleSettings(learn_weights=True, weight_rate=5)

    def score(calibrated: float) -> ServedScore:
        return ServedScore(similarity=0.5, calibrated=calibrated, weight=0.5)

    hits = tuple(
        ServedHit(item_id=ItemId(name), rank=rank, scores={Modality.TEXT: score(one), Modality.IMAGE: score(1 - one)})
        for rank, name, one in ((1, "dog", 1.0), (2, "cat", 0.0))
    )
    asked = search(text("cat"), {"modality": "image", **inline(png())}, user_id="mika", explain=True)
    async with house(behaviour=behaviour) as here:
        await here.served.remember(Served(query_id=QueryId("past"), user_id=UserId("mika"), at_ms=1, hits=hits))
        click = Act(user_id=UserId("mika"), query_id=QueryId("past"), item_id=ItemId("cat"), clicked=True)
        await here.served.join([click])
        taught = await here.ask(asked)
        told = await here.ask({**asked, "query_id": "q2", "fusion": {"weights": {"text": 1}}})
    weights = {modality: each.weight for modality, each in taught.hits[0].modality_scores.items()}
    assert taught.hits[0].item_id == "cat"
    assert weights[Modality.IMAGE] == pytest.approx(0.8)
    assert "image x 2.00" in taught.warnings[0]
    assert told.hits[0].modality_scores[Modality.IMAGE].weight == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"recommend": {"shares": {"long": -1}}}, "recommend.shares.long"),
        ({"recommend": {"shares": {"luck": 1}}}, "recommend.shares.luck"),
        ({"recommend": {"explore": 1.5}}, "recommend.explore"),
        ({"recommend": {"shares": dict.fromkeys(RecommendSignal, 0)}}, "recommend"),
        ({"recommend": {}, "kind": "similar", "item_id": "cat"}, ""),
    ],
)
async def test_wrong_shares_are_refused(fields: dict[str, Any], field: str):
    """Naming the field and the rule."""
    async with house() as here:
        result = await here.ask({"query_id": "q", "kind": "recommend", "user_id": "mika", **fields})
    assert result.error is not None
    assert field in result.error.field
    assert result.error.code is Reason.INVALID_EVENT


async def test_what_the_model_cannot_encode_is_left_out_with_a_warning():
    """A place among the parts is passed over by this profile; the hint names ``near``."""
    async with house() as here:
        place = {"modality": "location", "latitude": 1.0, "longitude": 2.0}
        result = await here.ask(search(text("car"), place))
        alone = await here.ask(search(place, query_id="q2"))
    assert ids(result)[0] == "car"
    assert any("parts[1]" in warning and "near" in warning for warning in result.warnings)
    assert here.seen.degradations == 1
    assert alone.error is not None
    assert (alone.error.code, alone.error.field) == (Reason.UNSUPPORTED_MODALITY, "parts[0].modality")


async def test_search_in_limits_the_modalities():
    """Only items with a picture are found in pictures; what has no vectors is named."""
    async with house() as here:
        result = await here.ask(search(text("cat"), search_in=["image", "location"]))
        nothing = await here.ask(search(text("cat"), search_in=["location"], query_id="q2"))
    assert ids(result) == ["cat"]
    assert any("location" in warning for warning in result.warnings)
    assert nothing.error is not None
    assert nothing.error.code is Reason.UNSUPPORTED_MODALITY


async def test_a_lost_shard_makes_the_result_partial():
    """What is there is returned, and the reader is told what is missing."""
    async with house() as here:
        here.index.failed_shards = (3,)
        result = await here.ask(search(text("car")))
    assert result.status is ResultStatus.PARTIAL
    assert any("3" in warning for warning in result.warnings)
    assert here.seen.lost_shards == 1


WRONG = {
    "k of 0": (search(text("cat"), k=0), Reason.INVALID_EVENT, "k"),
    "k of a billion": (search(text("cat"), k=10**9), Reason.INVALID_EVENT, "k"),
    "k over the worker's limit": (search(text("cat"), k=900, offset=200), Reason.INVALID_EVENT, "k"),
    "an unknown field": (search(text("cat"), limit=3), Reason.INVALID_EVENT, "limit"),
    "a wrong type": (search(text("cat"), k="3"), Reason.INVALID_EVENT, "k"),
    "an unknown kind": (search(text("cat")) | {"kind": "find"}, Reason.INVALID_EVENT, "kind"),
    "no parts": (search(), Reason.INVALID_EVENT, ""),
    "a filter that does not parse": (search(text("cat"), filter=".year >"), Reason.INVALID_FILTER, "filter"),
    "an unknown item": (
        {"query_id": "q", "kind": "similar", "item_id": "unicorn"},
        Reason.UNKNOWN_ITEM,
        "item_id",
    ),
    "a summary of nothing": (
        {"query_id": "q", "kind": "summarize", "item_id": "?"},
        Reason.UNKNOWN_ITEM,
        "item_id",
    ),
    "a truncated PNG": (
        search({"modality": "image"} | inline(png()[:60])),
        Reason.MEDIA_UNDECODABLE,
        "parts[0].data",
    ),
    "a sound of zero samples": (
        search(text("cat"), {"modality": "audio"} | inline(wav(0))),
        Reason.MEDIA_EMPTY,
        "parts[1].data",
    ),
    "a loopback address": (
        search({"modality": "image", "uri": "http://[::1]/a"}),
        Reason.MEDIA_NOT_ALLOWED,
        "parts[0].uri",
    ),
    "a file outside": (
        search({"modality": "image", "uri": "file:///etc/passwd"}),
        Reason.MEDIA_NOT_ALLOWED,
        "parts[0].uri",
    ),
    "weights that leave nothing": (
        search(text("cat"), search_in=["image"], fusion={"weights": {"image": 0}}),
        Reason.INVALID_EVENT,
        "fusion.weights",
    ),
    "a reply elsewhere": (search(text("cat"), reply_to="cc.content"), Reason.INVALID_EVENT, "reply_to"),
    "a reply to a neighbour's topic": (search(text("cat"), reply_to="cc.resultsx"), Reason.INVALID_EVENT, "reply_to"),
    "another version": (search(text("cat"), schema_version=9), Reason.UNSUPPORTED_SCHEMA_VERSION, "schema_version"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_query_gets_an_error_result_and_its_neighbours_their_answers(name: str):
    """Each wrong query has exactly one result with code, message and field; its neighbours are served."""
    event, code, path = WRONG[name]
    async with house() as here:
        outcomes = await here.handle(
            search(text("dog"), query_id="before"), event, search(text("car"), query_id="after")
        )
        results = here.results()
    assert outcomes == [Done(), Done(label="error_result"), Done()]
    assert ids(results["before"])[0] == "dog"
    assert ids(results["after"])[0] == "car"
    error = results["q"].error
    assert results["q"].status is ResultStatus.ERROR
    assert error is not None
    assert (error.code, error.field) == (code, path)
    assert error.message


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff", Reason.NOT_UTF8),
        (b"{", Reason.NOT_JSON),
        (None, Reason.INVALID_EVENT),
        (b'{"kind": "search"}', Reason.INVALID_EVENT),
        (b'{"query_id": "", "kind": "search"}', Reason.INVALID_EVENT),
        (b'{"query_id": 7, "kind": "search"}', Reason.INVALID_EVENT),
    ],
)
async def test_a_query_that_names_nobody_is_a_dead_letter(value: bytes | None, reason: Reason):
    """Without a readable query_id there is nobody to answer."""
    async with house() as here:
        outcomes = await here.handle(value, search(text("cat")))
    assert isinstance(outcomes[0], Refused)
    assert (outcomes[0].reason, outcomes[0].stage) == (reason, "parse")
    assert outcomes[1] == Done()
    assert len(here.publisher.sent) == 1


async def test_a_query_that_waited_too_long_is_not_answered():
    """Time in the queue counts against the deadline."""
    async with house() as here:
        late = await here.ask(search(text("dog"), deadline_ms=500), age_ms=800)
        fine = await here.ask(search(text("dog"), query_id="q2"), age_ms=800)
    assert late.error is not None
    assert late.error.code is Reason.DEADLINE_EXCEEDED
    assert late.timings_ms.queue >= 800
    assert ids(fine)[0] == "dog"


async def test_a_query_that_takes_too_long_is_cut_off():
    """A slow index cannot make a query overrun its deadline."""
    async with house() as here:
        here.index.slow_s = 5
        async with asyncio.timeout(2):
            result = await here.ask(search(text("dog"), deadline_ms=200))
    assert result.error is not None
    assert result.error.code is Reason.DEADLINE_EXCEEDED


async def test_a_defect_costs_one_query_and_is_told():
    """An unexpected failure is an ``internal`` error result without its innards; the next query is served."""
    async with house() as here:
        here.index.failing = [ZeroDivisionError("secret detail")]
        broken = await here.ask(search(text("dog")))
        fine = await here.ask(search(text("dog"), query_id="q2"))
    assert broken.error is not None
    assert broken.error.code is Reason.INTERNAL
    assert "secret" not in broken.error.message
    assert ids(fine)[0] == "dog"


async def test_a_store_that_is_away_is_waited_for_and_nobody_is_answered_twice():
    """The batch is tried again; a query that was answered in the first try is not answered again."""
    async with house() as here:
        records = [here.record(search(text(word), query_id=word)) for word in ("cat", "dog")]
        here.index.failing = [RetryLater("Redis is away")]
        with pytest.raises(RetryLater):
            await here.handler.handle(records)
        assert len(here.publisher.sent) == 1
        assert await here.handler.handle(records) == [Done(), Done()]
        assert set(here.results()) == {"cat", "dog"}


async def test_a_replayed_query_is_answered_again():
    """Whoever lost the result may ask again: nothing is remembered past its batch."""
    async with house() as here:
        asked = here.record(search(text("dog")))
        await here.handler.handle([asked])
        await here.handler.handle([asked])
    assert len(here.publisher.sent) == 2


async def test_a_result_goes_where_the_query_wants_it():
    """A reply topic under the results topic's name is used."""
    async with house() as here:
        await here.handle(search(text("dog"), reply_to="cc.results.mika"))
    assert [sent.topic for sent in here.publisher.sent] == ["cc.results.mika"]


async def test_an_error_goes_where_the_query_wants_it():
    """Also when the query itself could not be read as one."""
    async with house() as here:
        await here.handle(search(text("dog"), reply_to="cc.results.mika", k=0))
        await here.handle(search(text("dog"), reply_to="cc.content", k=0, query_id="q2"))
    assert [sent.topic for sent in here.publisher.sent] == ["cc.results.mika", RESULTS_TOPIC]


async def test_a_reply_topic_that_is_not_there_holds_up_nobody():
    """The result goes to the shared topic and says why."""
    async with house() as here:
        here.publisher.fail("cc.results.absent", RetryLater("no such topic"))
        result = await here.ask(search(text("dog"), reply_to="cc.results.absent"))
    assert ids(result)[0] == "dog"
    assert any("cc.results.absent" in warning for warning in result.warnings)


async def test_a_result_too_large_for_the_broker_becomes_an_error():
    """The asker is told to ask for less; the query does not hang or vanish."""

    class Narrow(MemoryPublisher):
        async def send(self, topic: str, **record: Any) -> None:
            if len(record["value"]) > 600:
                raise RejectEvent(Reason.EVENT_TOO_LARGE, "larger than the topic admits")
            await super().send(topic, **record)

    async with house() as here:
        narrow = Narrow()
        here.handler._results._publisher = narrow
        assert await here.handle(search(text("dog"), explain=True)) == [Done()]
    [sent] = narrow.sent
    error = json.loads(sent.value or b"")["error"]
    assert (error["code"], error["field"]) == ("event_too_large", "k")


async def test_weighted_cosine_counts_dimensions_as_the_model_learnt() -> None:
    """Similarities are those of an independent computation, and nobody is warned that there are no weights.

    They are calibrated against backgrounds of their own: 30 deviations above it, a match of 1 is beyond doubt.
    """
    weights = np.random.default_rng(0).uniform(0.1, 5.0, DIMS)
    background = {(Modality.TEXT, Modality.TEXT): Background(mean=0.4, std=0.02)}
    async with house(learnt=DimensionWeights(values=weights, calibration=background)) as here:
        result = await here.ask(
            search(text("cat"), similarity="weighted_cosine", k=4, search_in=["text"], explain=True)
        )
        shown = {hit.item_id: hit.modality_scores[Modality.TEXT].similarity for hit in result.hits}
        words = [TextInput(text=each) for each in ("cat", *TEXTS.values())]
        asked, *stored = [await here.batcher.encode(Modality.TEXT, each) for each in words]
    for item_id, vector in zip(TEXTS, stored, strict=True):
        cosine = (weights * asked * vector).sum() / np.sqrt((weights * asked**2).sum() * (weights * vector**2).sum())
        assert shown[item_id] == pytest.approx((1 + cosine) / 2, abs=1e-5)
    assert not result.warnings
    u = ((1.0 - 0.4) / 0.02 - CHANCE_Z) / SPREAD_Z
    assert result.hits[0].modality_scores[Modality.TEXT].calibrated == pytest.approx((1 + u / np.sqrt(1 + u * u)) / 2)
    async with house() as here:
        result = await here.ask(search(text("cat"), similarity="weighted_cosine"))
        assert "no dimension weights are known" in result.warnings[0]
