"""The filter language: what is selected, what is refused, and how it is sent to Redis."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import Reason, RejectEvent
from config.vocabulary import Attributes
from fusion.index.filters import parse_filter

CAT: Attributes = {"category": "animals", "year": 2024, "price": 9.5, "tags": ["pet", "猫"], "sold": False, "name": ""}


@pytest.mark.parametrize(
    "source",
    [
        '.category == "animals" and .year > 2020',
        ".category == 'animals' && .year >= 2024",
        '.category in ["plants", "animals"]',
        '"pet" in .tags and "猫" in .tags',
        '"nim" in .category',
        "not (.year < 2000 or .price > 10)",
        "!(.sold) and not .name",
        ".year in [2023, 2024]",
        ".price * 2 - 1 == 18",
        "(.year - 2000) / 12 == 2 and .year % 4 == 0 and 2 ** 3 == 8",
        ".price > -5",
        ".year-2024 == 0",
        ".sold == 0 or .year == 1",
        "1",
        ".price",
        "not not .price",
    ],
)
def test_what_selects_the_cat(source: str) -> None:
    """Comparison, membership, arithmetic, logic, in both spellings."""
    assert parse_filter(source).matches(CAT)


@pytest.mark.parametrize(
    "source",
    [
        ".year < 2020",
        ".nothing == 1",
        ".nothing != 1",
        "not (.nothing == 1)",
        ".nothing == 1 or .year == 2024",
        "2024 in .year",
        '.category == "Animals"',
        ".category > 5",
        ".sold",
        "0",
    ],
)
def test_what_does_not(source: str) -> None:
    """A lacking field selects nothing, wherever it stands, as in Redis."""
    assert not parse_filter(source).matches(CAT)


@pytest.mark.parametrize(
    ("source", "place", "expected"),
    [
        (".year >", "character 8: found the end", "a field such as .year"),
        ("year == 2020", "character 1: found 'year'", "a field (.year)"),
        (".year = 2020", "character 7: found '='", "expected =="),
        ('.a == "x', "character 7", 'a closing "'),
        (".a == 1 .b", "character 9: found '.b'", "an operator such as and"),
        ("(.a == 1", "character 9: found the end", "expected )"),
        (".a in [1 2]", "character 10", ", or ]"),
        (".a in [.b]", "character 8", "a number or a text"),
        (".a == [1]", "character 7", "a field such as .year"),
        ("not .a == 1", "character 8", "not (…)"),
        ("1 < .a < 3", "character 8", "instead of a chain"),
        ("-.a > 1", "character 1", "a field"),
        (".a == true", "character 7: found 'true'", '"true"'),
        (".名 == 1", "character 1", "letters, digits"),
        ("", "character 1: found the end", "a field"),
    ],
)
def test_refusals_name_place_and_way_out(source: str, place: str, expected: str) -> None:
    """What was found where, and what was expected."""
    with pytest.raises(RejectEvent) as caught:
        parse_filter(source)

    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FILTER, "filter")
    assert place in caught.value.message
    assert expected in caught.value.message


@pytest.mark.parametrize(
    "source",
    [
        "(" * 1000 + "1" + ")" * 1000,
        "1 + " * 2000 + "1",
        r'.a == "x\"y"',
        "not " * 90 + "1",
        "1+" * 2000 + "1",
        "2**" * 100 + "1",
    ],
)
def test_attacks_and_backslashes_are_refused(source: str) -> None:
    """Too deep, too long, or what Redis reads otherwise."""
    with pytest.raises(RejectEvent):
        parse_filter(source)


def test_redis_is_sent_brackets_and_one_spelling() -> None:
    """So that the two cannot disagree on precedence."""
    parsed = parse_filter("!(.a == 1) && .b + 2 * 3 > 4 || 'x' in .c")

    assert parsed.canonical == "(((not (.a == 1)) and ((.b + (2 * 3)) > 4)) or ('x' in .c))"
    assert parse_filter(parsed.canonical).canonical == parsed.canonical
    assert parsed.fields == {"a", "b", "c"}


@given(st.text(alphabet=st.sampled_from(".ab1 2()[]'\"!=<>&|+-*/%,notrid\\猫\n"), max_size=40))
def test_any_text_parses_or_is_refused(source: str) -> None:
    """Nothing else comes out of the parser, and what parses can be evaluated."""
    try:
        parsed = parse_filter(source)
    except RejectEvent:
        return
    assert parsed.matches({"a": 1, "b": "x", "ab": ["y"]}) in (True, False)
