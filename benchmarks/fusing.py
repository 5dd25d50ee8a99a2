"""How long fusing and ranking takes once candidates are read: 300 candidates, 6 modality pairs, 32 at once, one core.

Run: ``.venv/bin/python benchmarks/fusing.py [--queries 32] [--candidates 300] [--json]``

Two parts against three modalities, of which items lack some. Every step is timed on its own, over the whole batch and
then a query at a time; the best of many rounds counts, because whatever else the machine does only ever adds.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from config.vocabulary import Attributes, Background, FusionStrategy, ItemId, Modality, ModelRef, Version
from fusion.answer import page_of
from fusion.attention_weights import shipped_weights
from fusion.candidates import Candidates, assemble
from fusion.index.protocol import Item
from fusion.request import QueryPart, RankingRequest
from fusion.scoring import score_many
from fusion.scoring_batch import Question, cosines_block, fuse_block, recipe_of, scores_of

MODALITIES = (Modality.AUDIO, Modality.IMAGE, Modality.TEXT)
PARTS = (Modality.TEXT, Modality.IMAGE)
DIMS = 384
BACKGROUND = Background(mean=0.2, std=0.1)
LACKS = 0.25


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Random unit vectors around one direction, as a modality's cone is."""
    rows = rng.standard_normal((*shape, DIMS)) + 0.5
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def items(rng: np.random.Generator, count: int) -> dict[ItemId, Item]:
    """Items as the index returns them."""
    found = {}
    for place in range(count):
        held = [modality for modality in MODALITIES if rng.random() > LACKS] or [MODALITIES[place % 3]]
        attributes: Attributes = {"name": f"item {place}", "year": 2000 + place % 25}
        item_id = ItemId(f"item-{place:05d}")
        vectors = dict(zip(held, unit(rng, len(held)), strict=True))
        found[item_id] = Item(item_id=item_id, version=Version(place, 0), vectors=vectors, attributes=attributes)
    return found


def request(rng: np.random.Generator, strategy: FusionStrategy, *, explain: bool) -> RankingRequest:
    """Two parts."""
    parts = tuple(QueryPart(modality=modality, vector=unit(rng)) for modality in PARTS)
    weights = shipped_weights().for_model(ModelRef("builtin", "2")) if strategy is FusionStrategy.ATTENTION else None
    return RankingRequest(parts=parts, strategy=strategy, explain=explain, fusion_weights=weights)


def best_of(rounds: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest round."""
    taken = []
    for _ in range(rounds):
        began = perf_counter()
        work()
        taken.append(perf_counter() - began)
    return min(taken)


def measure(queries: int, candidates: int, strategy: FusionStrategy, rounds: int, *, explain: bool) -> dict[str, float]:
    """Milliseconds a query by step, of a batch and of single queries."""
    rng = np.random.default_rng(0)
    found = [items(rng, candidates) for _ in range(queries)]
    requests = [request(rng, strategy, explain=explain) for _ in range(queries)]
    backgrounds = {(query, item): BACKGROUND for query in PARTS for item in MODALITIES}

    def assembled() -> list[Candidates]:
        return [assemble(each, MODALITIES, DIMS) for each in found]

    blocks = assembled()
    questions = [Question(*each, backgrounds) for each in zip(requests, blocks, strict=True)]
    recipe = recipe_of(requests[0], MODALITIES)
    cosines = cosines_block(questions, recipe)
    block = scores_of(questions, recipe, cosines)
    scored = score_many(questions)

    def pages() -> object:
        return [page_of(*each) for each in zip(requests, blocks, scored, strict=True)]

    def everything(some: Sequence[Question]) -> object:
        return [page_of(one.request, one.candidates, own) for one, own in zip(some, score_many(some), strict=True)]

    steps = {
        "lay out candidates": assembled,
        "cosines": lambda: cosines_block(questions, recipe),
        "calibrate": lambda: scores_of(questions, recipe, cosines),
        "fuse": lambda: fuse_block(recipe, block),
        "rank and show": pages,
    }
    report = {name: best_of(rounds, work) / queries * 1e3 for name, work in steps.items()}
    report["fusing and ranking, a batch"] = best_of(rounds, lambda: everything(questions)) / queries * 1e3
    alone = lambda: [everything([question]) for question in questions]  # noqa: E731 - one line of three
    report["fusing and ranking, one by one"] = best_of(rounds, alone) / queries * 1e3
    return report


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=32)
    parser.add_argument("--candidates", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    wanted = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":  # read when numpy is loaded: start again with one core
        one_core = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **one_core})  # noqa: S606 - itself
    cases = [(strategy, False) for strategy in FusionStrategy] + [(FusionStrategy.ATTENTION, True)]
    reports = {
        strategy.value + (", explained" if explain else ""): measure(
            wanted.queries, wanted.candidates, strategy, wanted.rounds, explain=explain
        )
        for strategy, explain in cases
    }
    if wanted.json:
        print(json.dumps(reports, indent=2))
        return
    table = Table(title="ms a query", title_justify="left")
    for name in ("strategy", *next(iter(reports.values()))):
        table.add_column(name, justify="left" if name == "strategy" else "right")
    for name, report in reports.items():
        table.add_row(name, *[f"{value:.3f}" for value in report.values()])
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
