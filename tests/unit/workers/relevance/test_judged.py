"""Judged queries in a file: short forms, groups, and refusals that name the line."""

import json
from pathlib import Path
from typing import Any

import pytest

from config.errors import Misconfigured
from config.vocabulary import QueryKind
from workers.relevance.judged import asked_alike, read_judged

CAT = {"modality": "text", "text": "cat"}
DOG = {"modality": "text", "text": "dog", "weight": -0.5}


def written(tmp_path: Path, *lines: Any) -> Path:
    """A file of such lines."""
    file = tmp_path / "judged.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return file


def test_short_forms_are_filled_in(tmp_path: Path) -> None:
    """A query needs no id and no kind; a list of items gives each the gain 1; empty lines are passed over."""
    file = written(
        tmp_path,
        {"query": {"parts": [CAT]}, "relevant": {"a": 3, "b": 0.5}},
        "",
        {"query": {"query_id": "mine", "kind": "search", "parts": [CAT, DOG]}, "relevant": ["c"], "group": "hard"},
    )

    first, second = read_judged(file)

    assert (first.query.kind, first.query.query_id, dict(first.gains)) == (
        QueryKind.SEARCH,
        "judged-1",
        {"a": 3.0, "b": 0.5},
    )
    assert (second.query.query_id, dict(second.gains), second.group) == ("judged-3", {"c": 1.0}, "hard")


def test_groups_are_named_by_the_parts(tmp_path: Path) -> None:
    """Those that steer away last."""
    image = {"modality": "image", "uri": "https://example.org/a.png"}
    file = written(tmp_path, {"query": {"parts": [DOG, CAT, image]}, "relevant": ["a"]})

    assert read_judged(file)[0].group == "text + image - text"


def test_every_bad_line_is_told(tmp_path: Path) -> None:
    """By its number and field: a measure of the other queries would look like one of all."""
    file = written(
        tmp_path,
        {"query": {"parts": [CAT]}, "relevant": ["a"]},
        {"query": {"parts": [CAT]}, "relevant": {}},
        {"query": {"parts": [{"modality": "text"}]}, "relevant": ["a"]},
        {"query": {"parts": [CAT]}, "relevant": {"a": -1}},
        "{not json",
    )

    with pytest.raises(Misconfigured) as caught:
        read_judged(file)

    told = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    for words in ("line 2: relevant", "line 3: query.parts[0]", "line 4: relevant.a", "line 5"):
        assert words in told


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    """And one that is not there."""
    with pytest.raises(Misconfigured, match="no judged query"):
        read_judged(written(tmp_path, ""))
    with pytest.raises(Misconfigured, match="cannot be read"):
        read_judged(tmp_path / "nowhere.jsonl")


def test_who_asks_and_how_much_does_not_make_another_question(tmp_path: Path) -> None:
    """What is asked does."""
    file = written(
        tmp_path,
        {"query": {"parts": [CAT], "user_id": "ada", "k": 3, "explain": True}, "relevant": ["a"]},
        {"query": {"parts": [CAT]}, "relevant": ["b"]},
        {"query": {"parts": [CAT], "filter": ".year > 2020"}, "relevant": ["b"]},
    )

    one, same, other = (asked_alike(each.query) for each in read_judged(file))

    assert one == same != other
