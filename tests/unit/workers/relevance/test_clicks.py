"""Clicks joined to results, corrected for the place they were shown at."""

from pathlib import Path

import numpy as np
import pytest

from config.errors import Misconfigured
from tests.unit.workers.relevance.logs import biased_log, interaction, query_event, result_event, write
from workers.relevance.clicks import learn_from, read_clicks


def test_events_are_joined_by_query_id(tmp_path: Path) -> None:
    """Over several files and in any order; what belongs to no query counts nothing."""
    log = read_clicks(
        [
            write(tmp_path / "a.jsonl", interaction("q1", "b"), interaction("other", "b"), query_event("q1", "cat")),
            write(tmp_path / "b.jsonl", result_event("q1", ["a", "b"]), interaction("q1", "z")),
        ]
    )

    learned = learn_from(log, eta=1.0)

    assert [dict(one.gains) for one in learned.judged] == [{"b": 2.0}]
    assert learned.clicks == 1


def test_only_what_was_seen_was_shown(tmp_path: Path) -> None:
    """Where impressions are recorded, hits without one were never on a screen."""
    seen = [interaction("q1", item, "impression") for item in ("a", "b")]
    events = [query_event("q1", "cat"), result_event("q1", ["a", "b", "c"]), *seen]
    log = read_clicks([write(tmp_path / "a.jsonl", *events, interaction("q1", "c"), interaction("q1", "b"))])

    (answered,) = log.answered()

    assert answered[1] == [("a", 1, False), ("b", 2, True)]


def test_queries_that_ask_alike_add_up(tmp_path: Path) -> None:
    """The same words of two readers are one question."""
    events = [query_event("q1", "cat"), query_event("q2", "cat"), result_event("q1", ["a"]), result_event("q2", ["a"])]
    log = read_clicks([write(tmp_path / "a.jsonl", *events, interaction("q1", "a"), interaction("q2", "a"))])

    assert [dict(one.gains) for one in learn_from(log, eta=0.0).judged] == [{"a": 2.0}]


def test_the_correction_finds_what_is_wanted_below(tmp_path: Path) -> None:
    """Shown last, and wanted most: by clicks alone it comes behind what stands first, corrected it comes first."""
    rng = np.random.default_rng(1)
    items = [f"i{place}" for place in range(8)]
    shown = {f"text {number}": rng.permutation(items).tolist() for number in range(25)}
    wanted = {
        text: {item: 0.9 if place == 7 else 0.45 for place, item in enumerate(order)} for text, order in shown.items()
    }
    log = read_clicks([write(tmp_path / "log.jsonl", *biased_log(wanted, shown, eta=1.0, often=60))])

    raw, corrected = learn_from(log, eta=0.0), learn_from(log)

    def best_is_last(judged: object) -> float:
        learned = {one.query.parts[0].text: max(one.gains, key=one.gains.__getitem__) for one in judged.judged}  # type: ignore[attr-defined]
        return float(np.mean([learned[text] == order[7] for text, order in shown.items()]))

    assert corrected.propensity.eta == pytest.approx(1.0, abs=0.25)
    assert best_is_last(corrected) > 0.6
    assert best_is_last(raw) < 0.1


def test_bad_lines_are_told(tmp_path: Path) -> None:
    """With file, number and field."""
    file = write(tmp_path / "log.jsonl", query_event("q1", "cat"), {"kind": "search"}, {"type": "interaction"})

    with pytest.raises(Misconfigured) as caught:
        read_clicks([file])

    assert len(caught.value.problems) == 2
    assert "log.jsonl line 2" in caught.value.problems[0]


@pytest.mark.parametrize("events", ["queries alone", "no click"])
def test_logs_that_teach_nothing_are_refused(tmp_path: Path, events: str) -> None:
    """With what is missing."""
    some = [query_event("q1", "cat")]
    some += [result_event("q1", ["a", "b"])] if events == "no click" else []
    file = write(tmp_path / "log.jsonl", *some)

    with pytest.raises(Misconfigured, match="acted on" if events == "no click" else "common query_id"):
        learn_from(read_clicks([file]))
