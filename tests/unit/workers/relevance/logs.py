"""Logs of a small shop as its topics hold them: readers click what they look at and want."""

import json
from pathlib import Path
from typing import Any

import numpy as np

NOW = "2026-05-01T12:00:00Z"


def query_event(query_id: str, text: str) -> dict[str, Any]:
    """A search for a text."""
    return {"query_id": query_id, "kind": "search", "parts": [{"modality": "text", "text": text}]}


def result_event(query_id: str, items: list[str]) -> dict[str, Any]:
    """What was shown."""
    hits = [{"rank": rank, "item_id": item, "score": 0.5} for rank, item in enumerate(items, start=1)]
    return {"query_id": query_id, "occurred_at": NOW, "status": "ok", "hits": hits, "model": "deterministic@1"}


def interaction(query_id: str, item: str, action: str = "click", number: int = 0) -> dict[str, Any]:
    """What a reader did."""
    return {
        "type": "interaction",
        "event_id": f"{query_id}-{item}-{action}-{number}",
        "user_id": "ada",
        "item_id": item,
        "action": action,
        "query_id": query_id,
        "occurred_at": NOW,
    }


def write(file: Path, *events: dict[str, Any]) -> Path:
    """JSON lines."""
    file.write_text("".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events), encoding="utf-8")
    return file


def biased_log(
    wanted: dict[str, dict[str, float]], shown: dict[str, list[str]], *, eta: float, often: int, seed: int = 0
) -> list[dict[str, Any]]:
    """Each text's items, shown mostly in one order; what is looked at and wanted is clicked."""
    rng = np.random.default_rng(seed)
    events: list[dict[str, Any]] = []
    for text, items in shown.items():
        for turn in range(often):
            query_id = f"{text}-{turn}"
            order = list(items)
            if rng.random() < 0.3:  # a test of another ranking, now and then
                first, second = rng.choice(len(order), 2, replace=False)
                order[first], order[second] = order[second], order[first]
            events += [query_event(query_id, text), result_event(query_id, order)]
            for place, item in enumerate(order, start=1):
                if rng.random() < place**-eta * wanted[text].get(item, 0.0):
                    events.append(interaction(query_id, item))
    return events
