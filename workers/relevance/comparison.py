"""Ranking settings side by side on judged queries: means with intervals, and the paired difference."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import ValidationError

from config.errors import Misconfigured, RejectEvent
from config.vocabulary import ResultStatus
from fusion.learning.measures import DEPTH, ndcg, recall, reciprocal_rank
from workers.contracts.parse import parse_event
from workers.contracts.query import QUERIES, Query
from workers.contracts.result import Result
from workers.relevance.bootstrap import interval
from workers.relevance.judged import Judged

Ask = Callable[[Sequence[Query]], Awaitable[list[Result]]]
"""Answers queries, in order."""

MEASURES: Final = ("ndcg_at_10", "reciprocal_rank", "recall_at_10")
NAMES: Final = ("a", "b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one setting gave.

    Args:
        values: By measure, shape (queries,).
        failed: Messages of queries that got an error result; they count 0.
    """

    values: Mapping[str, NDArray[np.float64]]
    failed: tuple[str, ...]


def read_setting(text: str) -> dict[str, Any]:
    """Read what a setting changes in every query: a YAML or JSON file, or ``fusion.strategy=rrf,fusion.rrf_k=20``.

    Raises:
        Misconfigured: It is neither.
    """
    try:
        if Path(text).is_file():
            read = yaml.safe_load(Path(text).read_text(encoding="utf-8"))
        else:
            read = _nested(dict(each.split("=", 1) for each in text.split(",")))
    except (OSError, ValueError, yaml.YAMLError) as exc:
        message = "is no file, and not written path=value,path=value such as fusion.strategy=rrf,fusion.rrf_k=20"
        raise Misconfigured(f"{text!r} {message} ({exc})") from exc
    if not isinstance(read, dict):
        raise Misconfigured(f"{text!r} must be a mapping of fields of the query event")
    return read


def changed(query: Query, setting: Mapping[str, Any]) -> Query:
    """The query under a setting, with a page that can be measured.

    Raises:
        Misconfigured: The setting does not fit a query event.
    """
    event = query.model_dump(mode="json", exclude_none=True)
    merged = _merged(event, setting)
    merged |= {"k": max(merged.get("k") or 0, DEPTH), "offset": 0}
    try:
        return parse_event(_json(merged), QUERIES)
    except (RejectEvent, ValidationError) as exc:
        raise Misconfigured(f"the setting {dict(setting)} does not fit {query.query_id}: {exc}") from exc


async def run(judged: Sequence[Judged], setting: Mapping[str, Any], ask: Ask) -> Run:
    """Ask every query under a setting, and measure the answers."""
    results = await ask([changed(one.query, setting) for one in judged])
    rows = [_measured(one, result) for one, result in zip(judged, results, strict=True)]
    failed = [
        f"{one.query.query_id}: {result.error.message}"
        for one, result in zip(judged, results, strict=True)
        if result.status is ResultStatus.ERROR and result.error is not None
    ]
    columns = np.array(rows, np.float64).reshape(len(rows), len(MEASURES)).T
    return Run(values=dict(zip(MEASURES, columns, strict=True)), failed=tuple(failed))


def compare(judged: Sequence[Judged], runs: Mapping[str, Run], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Report one setting, or two side by side: ``difference`` is b less a, on the same queries."""
    report: dict[str, Any] = {
        "queries": len(judged),
        "settings": dict(settings),
        "runs": {name: _summary(one) for name, one in runs.items()},
        "groups": _groups(judged, runs),
    }
    if len(runs) > 1:
        a, b = (runs[name].values for name in NAMES)
        report["difference"] = {name: interval([b[name] - a[name]]).rounded() for name in MEASURES}
        apart = b["ndcg_at_10"] - a["ndcg_at_10"]
        report["per_query"] = apart.round(4).tolist()
        report["better"], report["worse"] = int((apart > 0).sum()), int((apart < 0).sum())
    return report


def _summary(one: Run) -> dict[str, Any]:
    means = {name: interval([one.values[name]]).rounded() for name in MEASURES}
    return {**means, "failed": list(one.failed)}


def _groups(judged: Sequence[Judged], runs: Mapping[str, Run]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for group in dict.fromkeys(one.group for one in judged):
        places = [place for place, one in enumerate(judged) if one.group == group]
        means = {name: round(float(one.values["ndcg_at_10"][places].mean()), 4) for name, one in runs.items()}
        found[group] = {"queries": len(places), **means}
    return found


def _measured(judged: Judged, result: Result) -> tuple[float, float, float]:
    ranked = np.array([judged.gains.get(hit.item_id, 0.0) for hit in result.hits], np.float64)
    ideal = np.array(list(judged.gains.values()), np.float64)
    return ndcg(ranked, ideal), reciprocal_rank(ranked), recall(ranked, len(judged.gains))


def _nested(flat: Mapping[str, str]) -> dict[str, Any]:
    """Paths with dots to mappings in mappings; values are read as YAML."""
    found: dict[str, Any] = {}
    for path, value in flat.items():
        *above, last = path.strip().split(".")
        place = found
        for name in above:
            place = place.setdefault(name, {})
        place[last] = yaml.safe_load(value)
    return found


def _merged(event: Mapping[str, Any], setting: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(event)
    for name, value in setting.items():
        below = found.get(name)
        found[name] = _merged(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return found


def _json(event: Mapping[str, Any]) -> bytes:
    import json

    return json.dumps(event, ensure_ascii=False).encode()
