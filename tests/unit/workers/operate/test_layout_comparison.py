"""How far the answers of two layouts agree."""

import numpy as np
import pytest

from config.vocabulary import ItemId, Modality
from fusion.index.memory_index import MemoryVectorIndex
from tests.fusion_builders import DIMS, MODEL, item, unit
from workers.operate.layout_comparison import Answers, Comparison, compare, questions_from_items, questions_of
from workers.operate.show_layouts import differences_table, summary_of


def answers(live: str, other: str) -> Answers:
    """Two lists, a letter an item, with the same scores place by place."""
    scored = [[(ItemId(name), 1 - place / 10) for place, name in enumerate(names)] for names in (live, other)]
    return Answers(label=f"{live} {other}", live=scored[0], other=scored[1])


def test_measures_of_two_lists() -> None:
    """By hand: what both have, in which order, and by how much scores differ."""
    assert answers("abc", "abc").identical
    assert (answers("abcd", "abxy").overlap, answers("abcd", "ab").overlap) == (0.5, 0.5)
    assert answers("", "").overlap == 1
    assert answers("", "a").overlap == 0
    assert answers("abcd", "dcba").correlation == -1
    assert answers("abcd", "abxcd").correlation == 1
    # Places 0 and 1 are exchanged among four: 1 - 6 * 2 / (4 * 15).
    assert answers("abcd", "bacd").correlation == pytest.approx(0.8)
    assert answers("ab", "ax").correlation is None
    assert answers("abc", "cba").score_difference == pytest.approx(0.2)


def test_the_least_alike_come_first() -> None:
    """What differs is listed by overlap, and what is identical not at all."""
    found = Comparison(
        answers=[answers("ab", "ab"), answers("ab", "ax"), answers("ab", "xy"), answers("ab", "ba")],
        live_items={Modality.TEXT: 1200},
        other_items={},
    )
    assert [each.label for each in found.differing] == ["ab xy", "ab ax", "ab ba"]
    assert (found.identical, found.overlap) == (1, 0.625)
    told = summary_of(found)
    assert told["items, live"] == "1,200 text"
    assert told["identical"] == "1 of 4 answers, in items and scores"
    assert differences_table(found.differing).row_count == 3


async def test_both_are_asked_the_same() -> None:
    """Equal layouts answer identically; one that lacks an item is told apart by the question that wants it."""
    live, other = (MemoryVectorIndex(MODEL, DIMS) for _ in range(2))
    items = [item(f"i{number}", vectors={Modality.TEXT: unit(number)}) for number in range(30)]
    await live.write(items)
    await other.write(items[1:])
    asked = questions_of({Modality.TEXT: np.stack([unit(n) for n in range(5)])}, 3, np.random.default_rng(0))
    assert len(asked) == 3
    asked = await questions_from_items(live, 30)
    assert len(asked) == 30

    same = await compare(live, live, asked, {})
    lacking = await compare(live, other, asked, {})

    assert same.identical == 30
    assert lacking.differing[0].overlap == 0.9
    assert "like the text of i0" in [each.label for each in lacking.differing]
    assert (lacking.live_items[Modality.TEXT], lacking.other_items[Modality.TEXT]) == (30, 29)
