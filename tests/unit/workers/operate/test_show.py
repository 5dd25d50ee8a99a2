"""Rankings as text: readable when piped, with each modality's share."""

import io

import pytest
from rich.console import Console

from config.errors import Reason
from config.vocabulary import FusionStrategy, ItemId, MissingRule, Modality, QueryId, ResultStatus, Similarity
from workers.contracts.explanation import Explanation, HitExplanation, PairScore
from workers.contracts.result import Hit, ModalityScore, QueryError, Result
from workers.contracts.summary import Summary, SummaryFrame, SummaryPassage, SummarySound
from workers.operate.show import print_result, shares
from workers.operate.show_explained import bar


def score(calibrated: float, weight: float) -> ModalityScore:
    """A modality's part."""
    return ModalityScore(similarity=0.9, calibrated=calibrated, weight=weight)


def shown(result: Result, **options: bool) -> str:
    """What is printed to a file."""
    console = Console(file=io.StringIO(), width=120)
    print_result(console, result, **options)  # type: ignore[arg-type]
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_shares_add_up_to_one() -> None:
    """Weight times calibrated nearness, in proportion."""
    hit = Hit.model_construct(
        rank=1,
        item_id="x",
        score=0.5,
        modality_scores={Modality.TEXT: score(0.9, 0.5), Modality.IMAGE: score(0.3, 0.5)},
    )
    assert shares(hit) == pytest.approx({Modality.TEXT: 0.75, Modality.IMAGE: 0.25})


def test_a_ranking_shows_rank_score_shares_and_label() -> None:
    """One line an item, with its emoji, its name and its identity."""
    hit = Hit.model_construct(
        rank=1,
        item_id="emoji-1f431",
        score=0.9312,
        modality_scores={Modality.IMAGE: score(0.9, 1.0)},
        attributes={"emoji": "🐱", "name": "cat face [face]"},
        because=("its picture is near your words",),
    )
    result = Result.model_construct(
        query_id=QueryId("q"), status=ResultStatus.OK, hits=(hit,), warnings=("slow shard",)
    )
    text = shown(result, explain=True)
    for word in ("1", "0.931", "100%", "🐱 cat face [face]", "emoji-1f431", "near your words", "slow shard", "image"):
        assert word in text


def test_an_explanation_shows_every_pair_as_a_bar() -> None:
    """Raw and calibrated similarity, share, place in the list; what made the score, its age, and all constants."""
    pair = PairScore(
        part=0,
        query=Modality.TEXT,
        item=Modality.IMAGE,
        similarity=0.74,
        calibrated=0.5,
        deviations=3.0,
        weight=0.6,
        rank=2,
    )
    told = HitExplanation(pairs=(pair,), contributions={"content": 0.4, "profile": 0.2}, profile=0.8, age_s=7_300.0)
    made = Explanation(
        strategy=FusionStrategy.RRF,
        similarity=Similarity.COSINE,
        missing=MissingRule.PENALISE,
        constants={"rrf_k": 20.0},
        weights={Modality.IMAGE: 0.5},
    )
    hit = Hit.model_construct(rank=1, item_id="x", score=0.6, explanation=told)
    result = Result.model_construct(query_id=QueryId("q"), status=ResultStatus.OK, hits=(hit,), explanation=made)

    text = shown(result, explain=True)

    for words in (f"text 1 → image  {'█' * 8}", "0.74", "+3.0", "60%", "#2", "0.600 = content 0.400 + profile 0.200"):
        assert words in text
    for words in ("2 h ago", "taste 0.80", "rrf", "rrf_k 20", "missing: penalise", "weight of image 0.5"):
        assert words in text
    assert "█" not in shown(result)


@pytest.mark.parametrize(("value", "length"), [(-1.0, 0), (0.0, 0), (0.5, 8), (1.0, 16), (9.0, 16)])
def test_a_bar_stays_within_its_width(value: float, length: int) -> None:
    """Also for values that are out of bounds."""
    assert bar(value).count("█") == length
    assert len(bar(value)) == 16


def test_an_error_result_is_one_line() -> None:
    """Code, field and message."""
    error = QueryError(code=Reason.UNKNOWN_ITEM, message="no item x; publish it first", field="item_id")
    result = Result.model_construct(query_id=QueryId("q"), status=ResultStatus.ERROR, error=error)
    assert shown(result).strip() == "error unknown_item (item_id): no item x; publish it first"


def test_nothing_found_is_said() -> None:
    """An empty ranking is not an empty screen."""
    assert "nothing found" in shown(Result.model_construct(query_id=QueryId("q"), status=ResultStatus.OK))


def test_a_summary_is_a_text_and_where_its_pieces_lie() -> None:
    """Characters, times as players show them, the share that each covers, and what the item is called."""
    article, clip = ItemId("article"), ItemId("clip")
    summary = Summary(
        text="Boats come home.",
        passages=(SummaryPassage(item_id=article, text="Boats come home.", start=10, end=26, score=0.314),),
        frames=(
            SummaryFrame(item_id=clip, source=Modality.VIDEO, time_s=62.46, score=0.2),
            SummaryFrame(item_id=article, source=Modality.IMAGE, score=0.1),
        ),
        sounds=(
            SummarySound(item_id=clip, source=Modality.VIDEO, start_s=0.0, end_s=6.5, score=0.05),
            SummarySound(item_id=article, source=Modality.AUDIO, start_s=59.97, end_s=600.0, score=0.05),
        ),
        coverage=0.714,
        segments=31,
    )
    hits = tuple(
        Hit.model_construct(rank=rank, item_id=item_id, score=1.0, attributes=attributes)
        for rank, (item_id, attributes) in enumerate([(article, {"name": "The harbour"}), (clip, {})], start=1)
    )
    result = Result.model_construct(query_id=QueryId("q"), status=ResultStatus.OK, hits=hits, summary=summary)
    lines = [" ".join(line.split()) for line in shown(result).splitlines()]
    assert lines[:-1] == [
        "Boats come home.",
        "",
        "covers what where item",
        "31% passage characters 10–26 The harbour",
        "20% frame 1:02.5 clip",
        "10% picture The harbour",
        "5% track 0:00.0–0:06.5 clip",
        "5% sound 1:00.0–10:00.0 The harbour",
        "5 of 31 pieces cover 71%",
    ]


def test_a_summary_of_nothing_is_said() -> None:
    """Where nothing was found, and where what was found has nothing to show."""
    hit = Hit.model_construct(rank=1, item_id="a", score=1.0, attributes={})
    for hits, words in (((), "nothing found"), ((hit,), "0 of 0 pieces")):
        result = Result.model_construct(query_id=QueryId("q"), status=ResultStatus.OK, hits=hits, summary=Summary())
        assert words in shown(result)
