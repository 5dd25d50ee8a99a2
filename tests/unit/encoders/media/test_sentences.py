"""Sentences in many languages, never lost, never too many, never slow."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.media.sentences import join_shortest, sentences


def split(text: str, language: str | None = None, most: int = 100) -> list[str]:
    """The sentences themselves."""
    return [text[start:end] for start, end in sentences(text, language=language, most=most)]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", ["Dr. Lee came at 3 p.m. on Monday.", 'He said: "It\'s fine."', "See e.g. Fig. 3!"]),
        ("en-GB", ["Prof. Day left.", "Mr. Day stayed."]),
        ("de", ["Am 3. Oktober kam Dr. Müller.", "Das ist z. B. gut."]),
        ("es", ["El Sr. Pérez llegó.", "¿Cómo está?", "¡Bien!"]),
        ("zh", ["猫坐在垫子上。", "它很高兴！", "你呢？", "价格是3.5元。"]),
        ("zh-Hant", ["他說：「好。」", "然後走了。"]),
        ("ja", ["港の朝、船が帰る。", "元気ですか？", "はい！"]),
        ("ar", ["مرحبا.", "كيف حالك؟", "أنا بخير."]),
    ],
)
def test_sentences_end_where_their_language_ends_them(language: str, expected: list[str]) -> None:
    """Abbreviations, quotations and full-width stops; Chinese and Japanese are written without spaces."""
    text = ("" if language[:2] in {"zh", "ja"} else " ").join(expected)

    assert split(text, language) == expected


def test_an_unknown_language_has_stops_all_the_same() -> None:
    """Without a language, or with one that nobody wrote rules for."""
    assert split("Dr. Day left. 猫坐在垫子上。港の朝。Bye.") == ["Dr. Day left.", "猫坐在垫子上。", "港の朝。", "Bye."]
    assert split("One. Two.", "tlh-x-klingon") == ["One.", "Two."]


def test_paragraphs_end_sentences_and_ornaments_are_none() -> None:
    """A heading without a stop is a piece of its own; a row of stars is not."""
    assert split("The harbour\n\n* * *\n\nShips come home.") == ["The harbour", "Ships come home."]
    assert split(" ♥ 🐱 ") == ["♥ 🐱"]


def test_short_neighbours_are_joined_first() -> None:
    """The long sentence stays alone, and nothing in between is lost."""
    text = f"One. Two. {'Very long ' * 9}indeed. Three is here. Four is here as well."

    assert split(text, most=3) == ["One. Two.", f"{'Very long ' * 9}indeed.", "Three is here. Four is here as well."]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=80), st.integers(1, 12))
def test_joining_keeps_order_and_ends(lengths: list[int], most: int) -> None:
    """As many as allowed are left, from the first character to the last."""
    spans, at = [], 0
    for length in lengths:
        spans.append((at, at + length))
        at += length + 1

    joined = join_shortest(spans, most)

    assert len(joined) == min(most, len(spans))
    assert (joined[0][0], joined[-1][1]) == (0, spans[-1][1])
    assert all(start < end for start, end in joined)
    assert all(before[1] < after[0] for before, after in pairwise(joined))


@given(st.text(max_size=60))
def test_whatever_is_written_is_covered(text: str) -> None:
    """Spans lie in the text, in order, and begin and end with something visible."""
    spans = sentences(text, most=5)

    assert len(spans) <= 5
    assert bool(spans) == bool(text.strip())
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)


@pytest.mark.parametrize("unit", ["a", "a.", "A. ", '"', "(", "a\n", ". ", "。"])
def test_no_text_is_slow(unit: str) -> None:
    """The longest text an event may hold costs milliseconds, also when it is made to cost more."""
    text = unit * (100_000 // len(unit))
    started = time.perf_counter()

    assert len(sentences(text, most=32)) <= 32

    assert time.perf_counter() - started < 2
