"""From logs of queries, results and interactions to queries with corrected gains.

Each file holds events as the topics do, one JSON object a line, in any order: queries, results (both by ``query_id``)
and interactions that name the ``query_id`` they answer. A result shows all its hits, or, when impressions were
recorded for it, those that have one.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter

from config.errors import Misconfigured, RejectEvent
from config.vocabulary import Action, ItemId, QueryId
from fusion.learning.propensity import Propensity, Shown, estimate_propensity
from workers.contracts.interaction import INTERACTION_EVENTS, Interaction
from workers.contracts.parse import parse_event
from workers.contracts.query import QUERIES, Query
from workers.contracts.result import RESULTS, Result
from workers.relevance.judged import MOST_TOLD, Judged, asked_alike, group_of, lines_of

WANTED: Final = frozenset({Action.CLICK, Action.LIKE, Action.SHARE, Action.PURCHASE})
"""Actions that say: this is what I looked for."""


@dataclass(slots=True)
class ClickLog:
    """What the files held, by query."""

    queries: dict[QueryId, Query] = field(default_factory=dict)
    results: dict[QueryId, Result] = field(default_factory=dict)
    impressions: dict[QueryId, set[ItemId]] = field(default_factory=dict)
    wanted: dict[QueryId, set[ItemId]] = field(default_factory=dict)

    def answered(self) -> Iterable[tuple[Query, list[tuple[ItemId, int, bool]]]]:
        """Each query that has a result, with the items it showed, their places and whether they were wanted."""
        for query_id, query in self.queries.items():
            result = self.results.get(query_id)
            if result is None or not query.parts:
                continue
            seen = self.impressions.get(query_id)
            wanted = self.wanted.get(query_id, set())
            yield (
                query,
                [
                    (hit.item_id, hit.rank, hit.item_id in wanted)
                    for hit in result.hits
                    if seen is None or hit.item_id in seen
                ],
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """Queries that were clicked, with gains by item, and how attention falls with the place."""

    judged: Sequence[Judged]
    propensity: Propensity
    clicks: int


def read_clicks(files: Sequence[Path]) -> ClickLog:
    """Read logs.

    Raises:
        Misconfigured: With every line that is no such event, by its number; or when nothing can be joined.
    """
    log, problems = ClickLog(), list[str]()
    for file in files:
        for number, line in lines_of(file):
            try:
                _note(log, line)
            except RejectEvent as exc:
                problems.append(f"{file} line {number}: {exc}")
    if problems:
        more = len(problems) - MOST_TOLD
        raise Misconfigured(*problems[:MOST_TOLD], *([f"and {more} more"] if more > 0 else []))
    if not log.queries.keys() & log.results.keys():
        counts = f"{len(log.queries)} queries and {len(log.results)} results"
        raise Misconfigured(f"the logs hold {counts}, and none of a common query_id: give the queries, their results")
    return log


def learn_from(log: ClickLog, eta: float | None = None) -> Learned:
    """Correct clicks for their place: each counts 1 / how likely its place is looked at.

    Queries that ask alike are one, whose gains add up over its results: what is asked often counts more.

    Args:
        log: What was read.
        eta: How fast attention falls; estimated from the log when None.

    Raises:
        Misconfigured: Nothing shown was clicked, or how attention falls cannot be told.
    """
    sessions = [(asked_alike(query), query, shown) for query, shown in log.answered()]
    clicks = sum(wanted for _, _, shown in sessions for _, _, wanted in shown)
    if not clicks:
        names = ", ".join(sorted(WANTED))
        raise Misconfigured(f"nothing that was shown was acted on ({names}) under its query_id: nothing to learn from")
    pairs = [Shown(f"{key} {item}", place, wanted) for key, _, shown in sessions for item, place, wanted in shown]
    propensity = estimate_propensity(pairs) if eta is None else Propensity(eta=eta)
    gains: dict[str, dict[ItemId, float]] = {}
    asked: dict[str, Query] = {}
    for key, query, shown in sessions:
        asked.setdefault(key, query)
        own = gains.setdefault(key, {})
        for item, place, wanted in shown:
            if wanted:
                own[item] = own.get(item, 0.0) + float(1.0 / propensity.of(np.array([place]))[0])
    judged = [Judged(query=asked[key], gains=own, group=group_of(asked[key])) for key, own in gains.items() if own]
    return Learned(judged=judged, propensity=propensity, clicks=clicks)


def _note(log: ClickLog, line: bytes) -> None:
    head = _head(line)
    if "kind" in head:
        query = parse_event(line, QUERIES)
        log.queries[query.query_id] = query
    elif "status" in head:
        result = parse_event(line, RESULTS)
        log.results.setdefault(result.query_id, result)  # delivery may repeat a result: the first was shown
    else:
        _note_interaction(log, parse_event(line, _INTERACTIONS))


_INTERACTIONS: TypeAdapter[Any] = INTERACTION_EVENTS


def _note_interaction(log: ClickLog, event: object) -> None:
    if not isinstance(event, Interaction) or event.query_id is None:
        return
    if event.action is Action.IMPRESSION:
        log.impressions.setdefault(event.query_id, set()).add(event.item_id)
    elif event.action in WANTED:
        log.wanted.setdefault(event.query_id, set()).add(event.item_id)


def _head(line: bytes) -> Mapping[str, Any]:
    try:
        read = json.loads(line)
    except (ValueError, RecursionError):
        return {}  # the parser says what is wrong
    return read if isinstance(read, dict) else {}
