"""Two settings on the same judged queries."""

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from config.errors import Misconfigured, Reason
from config.vocabulary import ItemId, ResultStatus
from workers.contracts.parse import parse_event
from workers.contracts.query import QUERIES, Query
from workers.contracts.result import Hit, QueryError, Result
from workers.relevance.comparison import changed, compare, read_setting, run
from workers.relevance.comparison_tables import comparison_tables
from workers.relevance.judged import Judged
from workers.relevance.plots import plot_comparison

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def query(**fields: Any) -> Query:
    """A search for a word."""
    event = {"query_id": "q", "kind": "search", "parts": [{"modality": "text", "text": "cat"}], **fields}
    return parse_event(json.dumps(event).encode(), QUERIES)


def judged(count: int) -> list[Judged]:
    """Queries that each want one item."""
    return [
        Judged(query=query(query_id=f"q-{place}"), gains={ItemId("wanted"): 1.0}, group=f"g{place % 2}")
        for place in range(count)
    ]


async def ask(queries: Sequence[Query]) -> list[Result]:
    """Under reciprocal rank the wanted item comes first, else third; the last query fails."""
    found = []
    for place, one in enumerate(queries):
        order = ("wanted", "x", "y") if one.fusion.strategy == "rrf" else ("x", "y", "wanted")
        hits = tuple(Hit(rank=rank, item_id=ItemId(name), score=0.5) for rank, name in enumerate(order, start=1))
        error = QueryError(code=Reason.INTERNAL, message="broken") if place == len(queries) - 1 else None
        status = ResultStatus.ERROR if error else ResultStatus.OK
        shown = () if error else hits
        found.append(Result(query_id=one.query_id, occurred_at=NOW, status=status, hits=shown, error=error))
    return found


async def test_two_settings_side_by_side(tmp_path: Path) -> None:
    """Means, the paired difference with its interval, who won how often; an error counts as nothing found."""
    asked = judged(20)
    settings = {"a": {}, "b": read_setting("fusion.strategy=rrf")}
    runs = {name: await run(asked, setting, ask) for name, setting in settings.items()}

    report = compare(asked, runs, settings)

    assert report["runs"]["b"]["ndcg_at_10"]["mean"] == pytest.approx(19 / 20)
    assert report["runs"]["a"]["reciprocal_rank"]["mean"] == pytest.approx(19 / 20 / 3, abs=1e-4)
    assert report["difference"]["ndcg_at_10"]["low"] > 0.3
    assert (report["better"], report["worse"]) == (19, 0)
    assert report["groups"]["g0"]["queries"] == 10
    assert report["runs"]["a"]["failed"] == ["q-19: broken"]
    console = Console(width=160, file=io.StringIO())
    for table in comparison_tables(report):
        console.print(table)
    assert "fusion.strategy=rrf" in console.file.getvalue()  # type: ignore[attr-defined]
    plot_comparison(report, tmp_path / "side.png")
    assert (tmp_path / "side.png").stat().st_size > 5_000


async def test_one_setting_alone() -> None:
    """Nothing to compare with, no difference."""
    report = compare(judged(3), {"a": await run(judged(3), {}, ask)}, {"a": {}})

    assert "difference" not in report
    assert comparison_tables(report)[0].columns[1].header == "a: as asked"


def test_a_setting_changes_what_it_names(tmp_path: Path) -> None:
    """Deep in the event, beside what is there; the page is long enough to measure."""
    given = query(fusion={"strategy": "max", "weights": {"image": 0.5}}, k=3, offset=5)
    file = tmp_path / "setting.yaml"
    file.write_text("fusion: {weights: {text: 2}}\nsimilarity: euclidean\n", encoding="utf-8")

    written = changed(given, read_setting("fusion.strategy=rrf, fusion.rrf_k=20"))
    read = changed(given, read_setting(str(file)))

    assert (written.fusion.strategy, written.fusion.rrf_k, written.fusion.weights) == ("rrf", 20.0, {"image": 0.5})
    assert (read.fusion.strategy, read.fusion.weights) == ("max", {"image": 0.5, "text": 2.0})
    assert (read.similarity, read.k, read.offset) == ("euclidean", 10, 0)


@pytest.mark.parametrize("text", ["rrf", "fusion.strategy", "[1, 2]"])
def test_what_is_no_setting_is_refused(text: str) -> None:
    """With how it is written."""
    with pytest.raises(Misconfigured, match="path=value"):
        read_setting(text)


def test_a_setting_that_fits_no_query_is_refused() -> None:
    """With the field, before anything is asked."""
    with pytest.raises(Misconfigured, match=r"fusion\.strategy"):
        changed(query(), read_setting("fusion.strategy=best"))


async def test_a_picture_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    """With the file's name."""
    report = compare(judged(2), {"a": await run(judged(2), {}, ask)}, {"a": {}})

    with pytest.raises(Misconfigured, match=r"side\.nonsense"):
        plot_comparison(report, tmp_path / "side.nonsense")
