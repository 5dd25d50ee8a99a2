"""``crosscurrent train weights``: what each dimension counts in a weighted cosine, where no heads bring it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from config.errors import Misconfigured
from config.vocabulary import Similarity
from workers.operate.cli_evaluate import AsJson, Cache, HeldOut, Pairs, collection_of
from workers.operate.cli_options import settings_of
from workers.operate.console import progress_console, show_report, tell_problems

if TYPE_CHECKING:
    from rich.table import Table

    from workers.operate.head_comparison import Trial


def register(train: typer.Typer) -> None:
    """Add the command to the group ``train``."""
    train.command("weights")(weights)


def weights(
    ctx: typer.Context,
    *,
    out: Annotated[Path, typer.Option(help="JSON file that gets them, for model.dimension_weights.", dir_okay=False)],
    file: Pairs = None,
    held_out: HeldOut = False,
    profile: Annotated[str | None, typer.Option(help="Profile of the space; the settings' if left out.")] = None,
    heads: Annotated[str | None, typer.Option(help="Alignment heads: a folder, or a name.")] = None,
    share: Annotated[float, typer.Option(help="Part of the items to measure on.", min=0.01, max=0.9)] = 0.25,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: AsJson = False,
    cache: Cache = None,
) -> None:
    """Learn how much each dimension counts, and say whether it helps on items that were kept aside.

    Without --pairs it learns from the corpus that ships.
    """
    from encoders.alignment.dimension_weights import learn_weights, weigh
    from encoders.alignment.weights_json import save_weights
    from encoders.builtin.training.packages import DEFAULT_CACHE
    from encoders.registry import load_encoders
    from workers.operate.head_trial import trial_on_corpus, trial_on_items

    chosen = {key: value for key, value in (("profile", profile), ("heads", heads)) if value}
    settings = settings_of(ctx, {"model": chosen} if chosen else None)
    store = cache or DEFAULT_CACHE
    encoders = load_encoders(settings.model)
    if file:
        collection = collection_of(file, settings, store, held_out=held_out)
        trial = trial_on_items(collection, encoders, settings, store, share=share)
    else:
        trial = trial_on_corpus(encoders, settings, store, share=share, held_out=held_out)
    tell_problems(trial.problems)
    learnt = learn_weights(trial.training.vectors, seed=seed)
    if learnt is None:
        raise Misconfigured("fewer than eight items have two modalities: give more items to learn weights from")
    report = _report(trial, learnt)
    save_weights(out, encoders.model, weigh(trial.training.vectors, learnt), report)
    show_report(report, _table(report), as_json=as_json)
    progress_console().print(f"use them with model.dimension_weights: {out}", soft_wrap=True)


def _report(trial: "Trial", learnt: Any) -> dict[str, Any]:
    from dataclasses import asdict

    from encoders.alignment.sightings import mean_over_pairs, score_all
    from workers.operate.measuring import comparison

    found = {}
    for similarity in (Similarity.COSINE, Similarity.WEIGHTED_COSINE):
        compared = comparison(similarity, learnt, str(trial.base))
        scores = score_all(trial.test.queries, trial.test.items, compared)
        pairs = {f"{query}>{item}": asdict(each) for (query, item), each in scores.items() if each is not None}
        found[similarity.value] = {"mean": asdict(mean_over_pairs(scores)), "pairs": pairs}
    spread = {"smallest": float(learnt.min()), "largest": float(learnt.max())}
    return {
        "model": str(trial.base),
        "title": trial.title,
        "items": len(trial.training),
        "weights": spread,
        "similarities": found,
    }


def _table(report: Mapping[str, Any]) -> "Table":
    from rich.table import Table

    title = f"{report['model']}, {report['title']}: weights learnt from {report['items']:,} items, measured on others"
    table = Table(title=title, title_justify="left")
    table.add_column("pair")
    for heading in ("R@1", "R@10", "nDCG@10", "weighted R@1", "weighted R@10", "weighted nDCG@10"):
        table.add_column(heading, justify="right")
    both = [report["similarities"][each.value] for each in (Similarity.COSINE, Similarity.WEIGHTED_COSINE)]
    rows = {pair: [one["pairs"][pair] for one in both] for pair in both[0]["pairs"]}
    for pair, scores in {**rows, "mean": [one["mean"] for one in both]}.items():
        keys = ("recall_at_1", "recall_at_10", "ndcg_at_10")
        table.add_row(pair, *(f"{score[key]:.3f}" for score in scores for key in keys))
    return table
