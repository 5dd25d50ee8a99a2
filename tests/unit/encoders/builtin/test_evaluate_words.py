"""Words against pictures: which answers count as right, and the means over vendors."""

import numpy as np

from encoders.builtin.evaluate_words import _mean_over, keyword_answers, words_table
from encoders.builtin.training.emoji import Concept
from encoders.builtin.training.vendors import colour_sets


def concept(name: str, *keywords: str) -> Concept:
    """A concept with English words alone."""
    return Concept(
        item_id=f"emoji-{name}",
        emoji=name,
        hexcode=name,
        names={"en": name},
        keywords={"en": keywords},
        group="animals-nature",
        subgroup="",
        unicode_version=1.0,
        shortcodes=(),
    )


def test_a_keyword_has_every_concept_that_carries_it() -> None:
    """Case does not matter, doubles count once, and what is some concept's name is no keyword."""
    concepts = [concept("cat", "Pet", "pet", "dog"), concept("dog", "pet"), concept("Bone", "bone", "dig")]

    assert keyword_answers(concepts) == {"pet": [0, 1], "dig": [2]}


def test_a_vendor_is_asked_only_for_what_it_draws() -> None:
    """Concept 2 is missing from one vendor, whose score is of the others; both vendors count the same."""
    queries = np.eye(3, dtype=np.float32)
    all_right = (np.arange(3), np.eye(3, dtype=np.float32))
    swapped = (np.array([0, 1]), np.eye(3, dtype=np.float32)[[1, 0]])

    score = _mean_over((queries, np.eye(3, dtype=np.float32)), [all_right, swapped])

    assert score is not None
    assert (score.recall_at_1, score.median_rank, score.queries) == (0.5, 1.5, 2)


def test_nobody_draws_it() -> None:
    """No number is made up for it."""
    gains = np.array([[0.0, 0.0, 1.0]], np.float32)

    assert _mean_over((np.eye(3, dtype=np.float32)[:1], gains), [(np.array([0]), np.eye(3, dtype=np.float32))]) is None


def test_an_artist_is_held_out_with_all_sets_in_colour() -> None:
    """Both generations of one artist's emoji, without the one in a single colour."""
    assert colour_sets(["twemoji", "emojione"]) == ("twemoji", "emojione", "emojione-v1")


def test_the_table_has_a_row_a_language() -> None:
    """From the report as JSON has it."""
    score = {
        "queries": 3, "items": 3, "recall_at_1": 0.5, "recall_at_5": 1.0, "recall_at_10": 1.0,
        "median_rank": 1.5, "mean_average_precision": 0.75, "ndcg_at_10": 0.8,
    }  # fmt: skip
    table = words_table({"model": "m@1", "vendors": ["a"], "words": {"name": {"en": score, "zh": score}}})

    assert table.row_count == 2
    assert list(table.columns[7].cells) == ["0.750", "0.750"]
