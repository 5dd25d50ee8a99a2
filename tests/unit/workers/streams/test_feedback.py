"""What was shown, joined with what was done: the numbers, the writing beside the answer, and the handler's part."""

import asyncio

import pytest

from config.errors import RetryLater
from config.settings import PeopleSettings
from config.vocabulary import ItemId, Modality, QueryId, QueryKind, Role, UserId
from fusion.people.memory_served import MemoryServedStore
from fusion.people.served import Joined, Served, ServedHit
from fusion.request import ModalityScore, RankedHit, Ranking
from workers.contracts.query import Query
from workers.operate.cli_behaviour import joined_lines
from workers.streams.feedback import HALF_LIFE_S, Feedback
from workers.streams.metrics import Metrics
from workers.streams.query_served import ServedKeeper

ASKED = Query(query_id=QueryId("q"), kind=QueryKind.RECOMMEND, user_id=UserId("mika"))


def ranking(count: int = 3) -> Ranking:
    """Some hits with a score each."""
    score = ModalityScore(similarity=0.5, calibrated=0.25, weight=1.0)
    hits = tuple(
        RankedHit(rank=n, item_id=ItemId(f"i{n}"), score=0.5, modality_scores={Modality.TEXT: score}, attributes={})
        for n in range(1, count + 1)
    )
    return Ranking(hits=hits, candidates=count)


def joined(rank: int = 1, *, seen: bool = True, clicked: bool = False, first: bool = False) -> Joined:
    """A mark."""
    return Joined(rank=rank, newly_seen=seen, newly_clicked=clicked, first_click=first)


def test_click_through_fades_and_reciprocal_rank_is_that_of_first_clicks() -> None:
    """Two seen, one clicked is a half; an hour later as many unclicked ones make it a sixth."""
    now_s = [0.0]
    metrics = Metrics(Role.INTERACTIONS)
    feedback = Feedback(metrics, clock=lambda: now_s[0])
    read = metrics.registry.get_sample_value
    assert read("crosscurrent_click_through_ratio") == 0

    feedback.joined(joined(4, clicked=True, first=True))
    feedback.joined(joined(2))
    assert read("crosscurrent_click_through_ratio") == pytest.approx(0.5)
    now_s[0] = HALF_LIFE_S
    feedback.joined(joined(1))
    feedback.joined(joined(2))
    feedback.joined(joined(2, seen=False, clicked=False))

    assert read("crosscurrent_click_through_ratio") == pytest.approx(0.5 / 3)
    assert (read("crosscurrent_impressions_total"), read("crosscurrent_clicks_total")) == (4, 1)
    assert (read("crosscurrent_reciprocal_rank_count"), read("crosscurrent_reciprocal_rank_sum")) == (1, 0.25)


async def test_what_was_shown_is_written_beside_the_answer() -> None:
    """The first hits, with their scores; nothing for a query without a user, or where it is switched off."""
    settings = PeopleSettings(served_hits=2)
    store = MemoryServedStore(settings, {})
    keeper = ServedKeeper(store, settings)

    keeper.keep(ASKED, ranking())
    keeper.keep(ASKED.model_copy(update={"query_id": "nobodys", "user_id": None}), ranking())
    ServedKeeper(store, PeopleSettings(served_queries=0)).keep(ASKED.model_copy(update={"query_id": "off"}), ranking())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    [served] = [each async for each in store.everything()]
    lines = joined_lines(served)
    assert [(line["query_id"], line["user_id"], line["item_id"], line["rank"]) for line in lines] == [
        ("q", "mika", "i1", 1),
        ("q", "mika", "i2", 2),
    ]
    assert lines[0]["modality_scores"] == {"text": {"similarity": 0.5, "calibrated": 0.25, "weight": 1.0}}
    assert (lines[0]["seen"], lines[0]["clicked"]) == (False, False)


async def test_a_store_that_is_away_does_not_fail_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    """It is told in the log, and a slow one cannot fill the memory."""

    class Away(MemoryServedStore):
        async def remember(self, served: Served) -> None:
            await asyncio.sleep(0.01)
            msg = "Redis is away"
            raise RetryLater(msg)

    keeper = ServedKeeper(Away(PeopleSettings(), {}), PeopleSettings())
    for _ in range(300):
        keeper.keep(ASKED, ranking())
    assert len(keeper._writing) == 256
    await asyncio.sleep(0.1)
    assert not keeper._writing
    assert "Redis is away" in caplog.text
    assert "others are being written" in caplog.text


def test_an_exported_line_tells_what_was_seen_and_clicked() -> None:
    """As marked."""
    hit = ServedHit(item_id=ItemId("i"), rank=1, seen=True, clicked=True)
    [line] = joined_lines(Served(query_id=QueryId("q"), user_id=UserId("u"), at_ms=5, hits=(hit,)))
    assert (line["seen"], line["clicked"], line["at_ms"], line["modality_scores"]) == (True, True, 5, {})
