"""``crosscurrent evaluate pairs`` and ``heads``: any model's modalities and any heads, on any items."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from config.vocabulary import Similarity
from workers.operate.cli_options import settings_of
from workers.operate.console import show_report, tell_problems

if TYPE_CHECKING:
    from config.settings import Settings
    from workers.operate.collection import Collection

Pairs = Annotated[
    Path | None, typer.Option("--pairs", help="Items as content events, one JSON a line.", exists=True, dir_okay=False)
]
HeldOut = Annotated[
    bool, typer.Option("--held-out", help="What the built-in model never met (needs the 'train' extra and espeak-ng).")
]
Profile = Annotated[str | None, typer.Option(help="Profile to measure; the settings' if left out.")]
Cache = Annotated[Path | None, typer.Option(help="Folder for packages and what is computed from them.")]
Same = Annotated[str, typer.Option(help="Attribute by which items show the same thing; each shows itself if left out.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


def register(evaluate: typer.Typer) -> None:
    """Add the commands to the group ``evaluate``."""
    evaluate.command("pairs")(pairs)
    evaluate.command("heads")(heads)


def pairs(
    ctx: typer.Context,
    *,
    file: Pairs = None,
    held_out: HeldOut = False,
    profile: Profile = None,
    heads: Annotated[str | None, typer.Option(help="Alignment heads: a folder, or a name.")] = None,
    similarity: Annotated[Similarity, typer.Option(help="How vectors are compared.")] = Similarity.COSINE,
    by: Annotated[Literal["language", "group"] | None, typer.Option(help="Show this in place of all.")] = None,
    same: Same = "",
    group: Annotated[str, typer.Option(help="Attribute by whose values --by group parts your items.")] = "",
    as_json: AsJson = False,
    plot: Annotated[Path | None, typer.Option(help="Draw heat maps into this .svg or .png.", dir_okay=False)] = None,
    cache: Cache = None,
) -> None:
    """Measure how well every modality finds every other: text, image, audio, video, location, sensor.

    Without --pairs it measures on the corpus that ships. A clip is one vector here, between its pictures' and its
    sound's.
    """
    from encoders.alignment.pair_tables import pairs_table, parts_table
    from encoders.builtin.training.packages import DEFAULT_CACHE
    from encoders.registry import load_encoders
    from workers.operate.heat_map import check_target, draw_heat_map
    from workers.operate.measuring import measure_pairs

    if plot is not None:
        check_target(plot)
    chosen = {key: value for key, value in (("profile", profile), ("heads", heads)) if value}
    settings = settings_of(ctx, {"model": chosen} if chosen else None)
    store = cache or DEFAULT_CACHE
    collection = collection_of(file, settings, store, held_out=held_out, same=same, group=group)
    encoders = load_encoders(settings.model)
    report = measure_pairs(collection, encoders, settings, similarity=similarity, cache=store)
    tell_problems(report["problems"])
    if plot is not None:
        draw_heat_map(report, plot)
    table = pairs_table(report) if by is None else parts_table(report, f"{by}s", by)
    show_report(report, table, as_json=as_json)


def heads(
    ctx: typer.Context,
    *,
    file: Pairs = None,
    held_out: HeldOut = False,
    profile: Annotated[str | None, typer.Option(help="With --pairs: whose unaligned vectors.")] = None,
    head: Annotated[list[str] | None, typer.Option(help="Fit this alone; repeat for several.")] = None,
    share: Annotated[float, typer.Option(help="Part of the items to measure on.", min=0.01, max=0.9)] = 0.25,
    steps: Annotated[int, typer.Option(help="Of trained heads, at most.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: AsJson = False,
    cache: Cache = None,
) -> None:
    """Fit every kind of alignment head on the same items, and measure each by every similarity on the same others.

    Without --pairs it aligns the built-in model's backbones, which were never trained together, on three quarters of
    the shipped corpus and measures on the rest; with --held-out on all of it, and on pictures and a voice never heard.
    """
    from encoders.builtin.backbones import load_backbones
    from encoders.builtin.training.packages import DEFAULT_CACHE
    from encoders.registry import load_encoders
    from workers.operate.bar import Bar
    from workers.operate.head_comparison import chosen_methods, compare_heads, heads_table
    from workers.operate.head_trial import trial_on_corpus, trial_on_items

    methods = chosen_methods(head or (), steps=steps, seed=seed)
    if profile and not file:
        raise typer.BadParameter("--profile says whose vectors of --pairs are aligned: name a file too")
    settings = settings_of(ctx, {"model": {"profile": profile}} if profile else None)
    store = cache or DEFAULT_CACHE
    if file:
        collection = collection_of(file, settings, store, held_out=held_out)
        encoders = load_encoders(settings.model, unaligned=True)
        trial = trial_on_items(collection, encoders, settings, store, share=share)
    else:
        backbones = load_backbones(settings.model)
        trial = trial_on_corpus(backbones, settings, store, share=share, held_out=held_out)
    tell_problems(trial.problems)
    report = compare_heads(trial, methods, Bar)
    show_report(report, heads_table(report), as_json=as_json)


def collection_of(
    file: Path | None, settings: "Settings", cache: Path, *, held_out: bool, same: str = "", group: str = ""
) -> "Collection":
    """Return the items that the options name.

    Raises:
        BadParameter: They name two kinds at once.
    """
    from workers.operate.collection import from_corpus, from_file, from_unseen

    if file and held_out:
        raise typer.BadParameter("--held-out belongs to the built-in model's own data: leave it out with --pairs")
    if file:
        return from_file(file, settings, same=same, group=group)
    return from_unseen(cache) if held_out else from_corpus()
