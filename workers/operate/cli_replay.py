"""``crosscurrent evaluate recommend``: a log replayed through our recommender and what it must beat."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.operate.bars import Bars
from workers.operate.cli_options import settings_of
from workers.operate.console import output

if TYPE_CHECKING:
    from rich.table import Table

    from fusion.learning.interaction_log import InteractionLog, Vectors
    from fusion.learning.sequence import SequenceNetwork

_Items = Annotated[
    Path | None,
    typer.Option(
        help="Items' vectors (.npz with 'ids' and 'vectors'); FILE.items.npz when it is there.", dir_okay=False
    ),
]
_Seed = Annotated[int, typer.Option(help="The same seed makes the same again.", min=0)]


def register(evaluate: typer.Typer) -> None:
    """Add the command to the group ``evaluate``."""
    evaluate.command("recommend")(recommend)


def recommend(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="user,item,rating,timestamp; commas, tabs or '::', a header or none.")],
    *,
    generate: Annotated[bool, typer.Option("--generate", help="Write FILE first: a log made from the seed.")] = False,
    items: _Items = None,
    queries: Annotated[int, typer.Option(help="Most likes asked for.", min=50)] = 1500,
    with_sequence: Annotated[
        bool, typer.Option("--sequence/--no-sequence", help="Also train a sequence model on the part before the test.")
    ] = True,
    seed: _Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Replay a log in the order of time against popularity, item-kNN and matrix factorisation ('train' extra)."""
    from fusion.learning.baselines import require_library
    from fusion.learning.interaction_log import read_log
    from fusion.learning.replay import KNN, MF, POPULARITY, ReplayOptions, bounds, replay
    from fusion.learning.replay_report import report

    require_library()
    settings = settings_of(ctx)
    if generate:
        _write_generated(file, seed)
    log = read_log(file)
    options = ReplayOptions(queries=queries, seed=seed)
    validation, test = bounds(log, options)
    vectors, told = _vectors(log, validation, file, items)
    model = _trained_for(log, vectors, validation, seed) if with_sequence else None
    with Bars() as tell:
        replayed = asyncio.run(replay(log, vectors, options, sequence=model, people=settings.people, tell=tell))
    facts = {
        "file": file.name,
        "interactions": len(log),
        "users": len(log.user_ids),
        "items": len(log.item_ids),
        "vectors": told,
        "split": {"train": validation, "validation": test - validation, "test": len(log) - test},
        "seed": seed,
        "baselines": [POPULARITY, KNN, MF],
    }
    made = report(replayed, facts)
    if as_json:
        typer.echo(json.dumps(made, ensure_ascii=False, indent=2))
    else:
        output().print(_table(made))
        output().print(_differences(made))


def _write_generated(file: Path, seed: int) -> None:
    from fusion.learning.generated_log import generate_log
    from fusion.learning.interaction_log import write_log, write_vectors

    log, vectors = generate_log(seed)
    write_log(log, file)
    write_vectors(vectors, _beside(file))


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.items.npz")


def _vectors(log: "InteractionLog", until: int, file: Path, items: Path | None) -> tuple["Vectors", str]:
    """Content vectors where there are some, else what the training part of the log makes of its items."""
    from config.errors import Misconfigured
    from fusion.learning.interaction_log import read_vectors
    from fusion.learning.item_vectors import vectors_of_log

    given = items or (_beside(file) if _beside(file).is_file() else None)
    if given is None:
        made = vectors_of_log(log, until)
        return made, f"made of the training part of the log ({len(made)} of {len(log.item_ids)} items)"
    read = read_vectors(given)
    known = {item_id: read[item_id] for item_id in log.item_ids if item_id in read}
    if not known:
        raise Misconfigured(f"{given} has no vector of any item in {file}: its ids must be those of the log")
    return known, f"content, from {given.name} ({len(known)} of {len(log.item_ids)} items)"


def _trained_for(log: "InteractionLog", vectors: "Vectors", until: int, seed: int) -> "SequenceNetwork":
    from fusion.learning.sequence import SequenceNetwork
    from fusion.learning.sequence_data import acts_of
    from fusion.learning.sequence_training import SequenceOptions, train_sequence

    with tempfile.TemporaryDirectory() as folder, Bars() as tell:
        acts, options = acts_of(log.rows(until), vectors), SequenceOptions(seed=seed)
        train_sequence(acts, options, Path(folder), tell=lambda done, most, _: tell("training", done, most))
        return SequenceNetwork.load(Path(folder))


def _table(made: dict[str, Any]) -> "Table":
    from rich.table import Table

    title = f"{made['file']}: {made['queries']} likes of the last tenth, all {made['items']} items as candidates"
    table = Table(title=title, title_justify="left", title_style="dim", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("recommender", "HR@10", "nDCG@10", f"HR@10, {made['cold_item_queries']} cold items"):
        table.add_column(name, justify="left" if name == "recommender" else "right")
    for name, row in made["recommenders"].items():
        cold = row["hr@10_cold_items"]
        table.add_row(name, _said(row["hr@10"]), _said(row["ndcg@10"]), "-" if cold is None else f"{cold:.3f}")
    return table


def _differences(made: dict[str, Any]) -> "Table":
    from rich.table import Table

    table = Table(
        title="differences", title_justify="left", title_style="dim", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for name in ("ours", "less", "HR@10", "nDCG@10"):
        table.add_column(name, justify="left" if name in {"ours", "less"} else "right")
    for ours, rows in made["differences"].items():
        for baseline, row in rows.items():
            table.add_row(ours, baseline, _said(row["hr@10"], "+"), _said(row["ndcg@10"], "+"))
    return table


def _said(interval: dict[str, float], sign: str = "") -> str:
    return "{0:{3}.3f} [{1:{3}.3f}, {2:{3}.3f}]".format(*(interval[name] for name in ("mean", "low", "high")), sign)
