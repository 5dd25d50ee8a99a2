"""What the demo saw: the same facts as a summary for people and as JSON for programs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from config.vocabulary import ResultStatus
from workers.contracts.result import Result
from workers.operate.demo_script import Question
from workers.operate.show import label_of, summary_table

Quantiles = Mapping[str, float | None]


@dataclass(slots=True)
class DemoReport:
    """Filled while the demo runs.

    Args:
        query_ms: Of queries asked one at a time, from the query's record to its result.
        event_to_searchable_ms: Of items published one at a time, while nothing else is waiting.
        backlog_ms: The same while the whole corpus is published at once: how long the last ones waited.
    """

    published: int = 0
    content_indexed: int = 0
    interactions: int = 0
    dead_letters: int = 0
    similar_found: int = 0
    similar_seconds: float = 0.0
    index_seconds: float = 0.0
    total_seconds: float = 0.0
    model: str = ""
    event_to_searchable_ms: Quantiles = field(default_factory=dict)
    backlog_ms: Quantiles = field(default_factory=dict)
    query_ms: Quantiles = field(default_factory=dict)
    queries: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything went as it should."""
        return not self.problems

    def answered(self, question: Question, result: Result, latency_ms: float) -> None:
        """Note a question's result; an error result is a problem."""
        self.model = result.model or self.model
        self.queries.append(
            {
                "name": question.name,
                "kind": question.query["kind"],
                "title": question.title,
                "modalities": question.modalities,
                "latency_ms": round(latency_ms, 1),
                "hits": [
                    {
                        "item_id": hit.item_id,
                        "label": label_of(hit),
                        "score": hit.score,
                        "modality_scores": {
                            modality.value: score.model_dump() for modality, score in hit.modality_scores.items()
                        },
                    }
                    for hit in result.hits
                ],
            }
        )
        if result.status is not ResultStatus.OK or not result.hits:
            why = result.error.message if result.error else ", ".join(result.warnings) or "nothing was found"
            self.problems.append(f"query {question.name!r}: {why}")

    def settle(self) -> None:
        """Judge the counts once all is done."""
        if self.content_indexed != self.published:
            self.problems.append(f"{self.published - self.content_indexed} items were published but not indexed")
        if self.dead_letters:
            self.problems.append(f"{self.dead_letters} events were refused: see the dead-letters topic")
        if self.similar_found != self.published:
            self.problems.append(f"{self.published - self.similar_found} items are not found by 'similar'")

    def as_json(self) -> dict[str, Any]:
        """The facts, ready for JSON."""
        return {
            "content_indexed": self.content_indexed,
            "dead_letters": self.dead_letters,
            "event_to_searchable_ms": dict(self.event_to_searchable_ms),
            "event_to_searchable_backlog_ms": dict(self.backlog_ms),
            "query_ms": dict(self.query_ms),
            "interactions": self.interactions,
            "found_by_similar": self.similar_found,
            "similar_seconds": round(self.similar_seconds, 1),
            "index_seconds": round(self.index_seconds, 1),
            "total_seconds": round(self.total_seconds, 1),
            "model": self.model,
            "problems": self.problems,
            "queries": self.queries,
        }

    def write(self, path: Path) -> None:
        """Write the JSON file, making its folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    def summary(self) -> Table:
        """The facts as a table."""
        rate = self.content_indexed / self.index_seconds if self.index_seconds else 0.0
        asked = self.published / self.similar_seconds if self.similar_seconds else 0.0
        return summary_table(
            {
                "model": self.model,
                "indexed": f"{self.content_indexed} of {self.published} items in {self.index_seconds:.1f} s "
                f"({rate:.0f} a second)",
                "interactions": str(self.interactions),
                "dead letters": str(self.dead_letters),
                "found by similar": f"{self.similar_found} of {self.published} items in {self.similar_seconds:.1f} s "
                f"({asked:.0f} a second, among pictures)",
                "event to searchable": f"{_told(self.event_to_searchable_ms)}, one item at a time",
                "  while catching up": f"{_told(self.backlog_ms)}, the whole corpus published at once",
                "query": f"{_told(self.query_ms)}, from the question's record to its result, one at a time",
                "whole demo": f"{self.total_seconds:.0f} s",
            }
        )


def _told(quantiles: Quantiles) -> str:
    return ", ".join(
        f"{name} {'not measured' if value is None else f'{value:.0f} ms'}" for name, value in quantiles.items()
    )
