"""What a summary shows, covers and leaves out."""

import time
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from config.vocabulary import Background, Modality
from fusion.index.protocol import Item, Segment
from fusion.request import QueryPart
from fusion.segment_table import above_chance
from fusion.summary import MOST_SEGMENTS, Summary, SummaryRequest, summarise
from tests.fusion_builders import frame, item, passage, stretch, unit

DIMS = 64
BOTH = {Modality.TEXT: unit(900, DIMS), Modality.IMAGE: unit(901, DIMS), Modality.AUDIO: unit(902, DIMS)}


def near(topic: int, number: int = 0, spread: float = 0.5) -> NDArray[np.float32]:
    """A direction around a topic's."""
    raw = unit(topic, DIMS) + spread * unit(1000 + 50 * topic + number, DIMS)
    return (raw / np.linalg.norm(raw)).astype(np.float32)


def article(item_id: str, topics: Sequence[int], *, more: Sequence[Segment] = ()) -> Item:
    """A sentence a topic, named by topic and place."""
    sentences = [
        passage(f"t{topic}-{place}.", near(topic, place), start=10 * place) for place, topic in enumerate(topics)
    ]
    return item(item_id, vectors=BOTH, segments=[*sentences, *more])


def ask(items: Sequence[Item], *parts: QueryPart, **asked: object) -> Summary:
    """Summarise without a calibration: pairs are taken for independent directions."""
    return summarise(items, SummaryRequest(parts=parts, **asked), {})  # type: ignore[arg-type]


def about(topic: int, weight: float = 1.0) -> QueryPart:
    """A query part that shows a topic."""
    return QueryPart(modality=Modality.TEXT, vector=unit(topic, DIMS), weight=weight)


def topics_of(summary: Summary) -> list[str]:
    """Topics of the passages."""
    return [each.segment.text.split("-")[0] for each in summary.of(Modality.TEXT)]


def test_each_topic_is_covered_once_and_read_in_order() -> None:
    """Three topics of four sentences, in any order; the scores add up to the coverage."""
    summary = ask([article("a", [1, 1, 2, 3, 2, 2, 1, 3, 3, 1, 2, 3])])

    assert sorted(topics_of(summary)) == ["t1", "t2", "t3"]
    starts = [each.segment.start for each in summary.shown]
    assert starts == sorted(starts, key=lambda start: start or 0)
    assert summary.coverage == pytest.approx(sum(each.score for each in summary.shown))
    assert 0.6 < summary.coverage < 1
    assert summary.segments == 12


def test_the_most_central_sentence_speaks_for_its_topic() -> None:
    """Of five sentences around one topic the nearest to all of them is shown."""
    spread = [1.0, 1.0, 0.1, 1.0, 1.0]
    segments = [passage(str(place), near(1, place, each)) for place, each in enumerate(spread)]

    assert ask([item("a", vectors=BOTH, segments=segments)], passages=1).text == "2"


def test_nothing_is_said_twice() -> None:
    """The same sentence in two items and again in one is shown once, though there is room for more."""
    same, other = near(1), near(2)
    items = [
        item(name, vectors=BOTH, segments=[passage("same", same), passage("same again", same), passage(name, vector)])
        for name, vector in (("a", other), ("b", near(3)))
    ]

    assert [each.segment.text for each in ask(items, passages=9).shown] == ["same", "a", "b"]


def test_a_query_steers() -> None:
    """With its whole share the query decides; with none nothing changes; what it steers away from is not shown."""
    items = [article("a", [1, 1, 1, 2, 2, 2, 3, 3, 3])]

    for topic in (1, 2, 3):
        steered = ask(items, about(topic), passages=1)
        assert topics_of(steered) == [f"t{topic}"]
        scores = [ask(items, about(topic), relevance=share, passages=1).coverage for share in (0.2, 0.5, 1.0)]
        assert scores == sorted(scores)
    away = ask(items, about(2), about(3, -1.0), relevance=1.0)
    assert "t2" in topics_of(away)
    assert "t3" not in topics_of(away)
    assert ask(items, about(2), relevance=0.0) == ask(items)


def test_modalities_share_one_objective_and_have_budgets_of_their_own() -> None:
    """The passage that the only frame shows already is the one left out, unless there is room."""
    items = [article("a", [1, 2], more=[frame(0.5, near(1, 0, 0.01)), frame(1.5, near(3)), stretch(0, 6, near(2, 9))])]

    covered = ask(items, passages=1, frames=1, sounds=1)
    assert len(covered.shown) == 3
    assert ask(items, passages=1, frames=0, sounds=0).of(Modality.IMAGE) == []
    everything = ask(items, passages=9, frames=9, sounds=9)
    assert len(everything.shown) == 5
    assert everything.coverage == pytest.approx(1.0)
    # Topic 1 is in a passage and in a frame, topic 3 in a frame alone: with one of each both are shown.
    topics = {"t1-0.": 1, "t2-1.": 2, 0.5: 1, 1.5: 3, 0: 2}
    shown = [topics[each.segment.text or each.segment.start or 0] for each in covered.shown]
    assert set(shown) == {1, 2, 3}


def test_pairs_with_a_high_background_stand_for_nothing() -> None:
    """A cosine that everything of a pair has is no likeness: without calibration all frames would be one scene."""
    cone = unit(500, DIMS)
    rows = [2 * cone + unit(600 + place, DIMS) for place in range(6)]
    frames = [frame(place, (row / np.linalg.norm(row)).astype(np.float32)) for place, row in enumerate(rows)]
    items = [item("a", vectors=BOTH, segments=frames)]
    gap = {(Modality.IMAGE, Modality.IMAGE): Background(mean=0.8, std=0.05)}

    assert ask(items, frames=1).coverage > 0.9
    assert summarise(items, SummaryRequest(frames=1), gap).coverage < 0.4


def test_items_come_in_the_order_given_and_decide_nothing_else() -> None:
    """Any order of the same items shows the same; lines follow the order asked for."""
    items = [article("b", [1, 1, 2]), article("a", [3, 3, 1]), article("c", [4, 2, 4])]
    orders = list(permutations(items))
    summaries = [ask(order, passages=4) for order in orders]

    assert len({frozenset((each.item_id, each.segment.text) for each in one.shown) for one in summaries}) == 1
    for order, summary in zip(orders, summaries, strict=True):
        assert list(dict.fromkeys(each.item_id for each in summary.shown)) == [each.item_id for each in order]


def test_an_item_counts_the_same_however_long_it_is() -> None:
    """Thirty sentences of one item weigh less than one sentence of each of two others on another topic."""
    items = [article("a", [1] * 30), article("b", [2]), item("c", vectors=BOTH, segments=[passage("c", near(2, 7))])]

    assert ask(items, passages=1).text != ask(items[:1], passages=1).text
    assert ask(items, passages=1).coverage > 0.6


def test_a_modality_counts_the_same_however_many_segments_it_has() -> None:
    """In an item of twenty sentences and two frames the only passage says what the frames show."""
    frames = [frame(place, near(2, 30 + place)) for place in range(2)]
    told = article("a", [1] * 10 + [2] * 2, more=frames)

    assert topics_of(ask([told], passages=1, frames=0)) == ["t2"]


def test_items_without_segments_count_for_nothing() -> None:
    """And where none has any, the summary is empty."""
    bare = item("bare", vectors=BOTH)

    assert ask([bare, article("a", [1, 2])]) == ask([article("a", [1, 2])])
    assert ask([bare]) == ask([]) == Summary()


def test_sentences_are_joined_as_they_are_written() -> None:
    """Items on lines of their own, spaces where the script has them."""
    words = ["猫がいる。", "犬も\nいる。", "Bye.", "Now."]
    segments = [passage(each, near(topic)) for topic, each in enumerate(words)]
    items = [item("a", vectors=BOTH, segments=segments), article("b", [5])]

    assert ask(items, passages=9).text == "猫がいる。犬も いる。Bye. Now.\nt5-0."


def test_many_long_items_are_shortened_first_and_little_is_lost() -> None:
    """A hundred items of 48 segments take a second, and cover nearly what choosing among all of them would."""
    rng = np.random.default_rng(5)
    items = [
        article(
            f"i{number:03}",
            rng.integers(1, 9, 20).tolist(),
            more=[frame(place, near(int(rng.integers(1, 9)), number + place)) for place in range(8)],
        )
        for number in range(60)
    ]
    assert sum(len(each.segments) for each in items) > MOST_SEGMENTS
    started = time.perf_counter()

    summary = ask(items, passages=8, frames=0)

    assert time.perf_counter() - started < 3
    assert sorted(topics_of(summary)) == [f"t{topic}" for topic in range(1, 9)]
    assert summary.segments == 60 * 28
    few = ask(items[:30], passages=8, frames=0)
    assert abs(summary.coverage - few.coverage) < 0.1


def test_likeness_starts_at_chance() -> None:
    """The background's mean and all below it are 0, equality is 1, and it grows in between."""
    found = above_chance(np.array([-0.5, 0.2, 0.5, 1.0]), Background(mean=0.2, std=0.1))

    assert found[:2].tolist() == [0.0, 0.0]
    assert 0 < found[2] < 1
    assert found[3] == pytest.approx(1.0)
