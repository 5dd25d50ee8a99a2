"""Every way to align heads under every similarity, fitted on the same items and measured on the same others."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import process_time
from typing import Any, Final

import numpy as np
from rich.table import Table

from config.errors import Misconfigured
from config.vocabulary import Modality, ModelRef, Similarity
from encoders.alignment.codes import hamming_similarity, to_codes
from encoders.alignment.evaluate import align, carry
from encoders.alignment.features import PairedFeatures
from encoders.alignment.heads import Head, load_head
from encoders.alignment.options import FitOptions
from encoders.alignment.record import Alignment
from encoders.alignment.relevance import RelevanceScores as Score
from encoders.alignment.run import RunOptions, train
from encoders.alignment.sightings import Compare, Pair, Sighted, Sightings, Vectors, mean_over_pairs, score_all
from workers.operate.measuring import comparison

METHODS: Final[Mapping[str, FitOptions]] = {
    "linear, least squares": FitOptions(head="linear", solver="least_squares"),
    "linear, procrustes": FitOptions(head="linear", solver="procrustes"),
    "linear, cca": FitOptions(head="linear", solver="cca"),
    "linear, trained": FitOptions(head="linear"),
    "adversarial": FitOptions(head="adversarial"),
    "network": FitOptions(head="network"),
    "network, binary": FitOptions(head="network", binary=True),
}
HAMMING: Final = "hamming"
COLUMNS: Final = (*(each.value for each in Similarity), HAMMING)
VALIDATE_EVERY: Final = 25
PATIENCE: Final = 6

Tell = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What all methods are given.

    Attributes:
        title: What the items are, for headings.
        base: Space of the encoders.
        training: Items to fit on; a tenth of them chooses when a trained method stops.
        test: Items to measure on, before any head.
        problems: Lines and items that could not be read.
    """

    title: str
    base: ModelRef
    training: PairedFeatures
    test: Sighted
    problems: tuple[str, ...] = ()


def chosen_methods(names: Sequence[str], *, steps: int, seed: int) -> dict[str, FitOptions]:
    """Return options by name: those named, or all.

    Raises:
        Misconfigured: A name is unknown.
    """
    if unknown := [name for name in names if name not in METHODS]:
        raise Misconfigured(f"no head {unknown[0]!r}: choose among {'; '.join(METHODS)}")
    return {name: replace(METHODS[name], steps=steps, seed=seed) for name in names or METHODS}


def compare_heads(
    trial: Trial, methods: Mapping[str, FitOptions], watch: Callable[[str], AbstractContextManager[Tell]]
) -> dict[str, Any]:
    """Fit and measure.

    Args:
        trial: What all methods are given.
        methods: Options by the methods' names.
        watch: Opens a listener to a method's progress, by its name.

    Returns:
        A report ready for JSON: ``model``, ``title``, ``training`` (items to fit on), ``test`` (items to measure on, by
        modality) and ``heads``, by method: ``cpu_seconds``, ``dims``, ``steps`` and ``similarities``: by similarity the
        ``mean`` over all pairs of modalities and the ``pairs``, as ``RelevanceScores``' fields. ``hamming`` compares
        sign codes.

    Raises:
        Misconfigured: The items are too few.
    """
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for place, (name, fit) in enumerate(methods.items()):
            with watch(name) as tell:
                found[name] = _measure(trial, fit, Path(folder) / str(place), tell)
    return {
        "model": str(trial.base),
        "title": trial.title,
        "training": len(trial.training),
        "test": {m.value: len(each.labels) for m, each in trial.test.items.items()},
        "heads": found,
    }


def heads_table(report: Mapping[str, Any]) -> Table:
    """Return a row a head, a column a similarity: the means of recall@10 and nDCG@10 over all pairs of modalities."""
    measured = ", ".join(f"{count:,} {modality}" for modality, count in report["test"].items())
    title = f"{report['model']}, {report['title']}: fitted on {report['training']:,} items, measured on {measured}"
    caption = "recall@10 / nDCG@10, mean over all ordered pairs of modalities; hamming: sign codes, a bit a dimension"
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    table.add_column("head")
    for column in COLUMNS:
        table.add_column(column.replace("_", " "), justify="right")
    table.add_column("CPU seconds", justify="right")
    for name, one in report["heads"].items():
        means = [one["similarities"].get(column, {}).get("mean") for column in COLUMNS]
        cells = [f"{m['recall_at_10']:.3f} / {m['ndcg_at_10']:.3f}" if m else "" for m in means]
        table.add_row(name, *cells, f"{one['cpu_seconds']:,.1f}")
    return table


def _measure(trial: Trial, fit: FitOptions, folder: Path, tell: Tell) -> dict[str, Any]:
    options = RunOptions(fit=fit, name="trial", validate_every=VALIDATE_EVERY, patience=PATIENCE)
    started = process_time()
    done = train(trial.training, trial.base, options, folder, tell)
    seconds = process_time() - started
    scores = _score(done, dict(_heads(done, folder)), trial)
    return {
        "cpu_seconds": round(seconds, 2),
        "dims": done.dims,
        "steps": done.facts["best_step"],
        "similarities": {
            similarity: {
                "mean": asdict(mean_over_pairs(pairs)),
                "pairs": {f"{q}>{i}": None if score is None else asdict(score) for (q, i), score in pairs.items()},
            }
            for similarity, pairs in scores.items()
        },
    }


def _heads(done: Alignment, folder: Path) -> Iterator[tuple[Modality, Head]]:
    for modality, source in done.sources.items():
        head = load_head(folder, modality, source=source, dims=done.dims)
        if head is not None:
            yield modality, head


def _score(done: Alignment, heads: Mapping[Modality, Head], trial: Trial) -> dict[str, dict[Pair, Score | None]]:
    queries, items = (_carried(heads, side) for side in (trial.test.queries, trial.test.items))
    values = None if done.dimension_weights is None else done.dimension_weights.values
    found = {
        similarity.value: score_all(queries, items, comparison(similarity, values, done.name))
        for similarity in Similarity
        if similarity is not Similarity.WEIGHTED_COSINE or values is not None
    }
    centres = {m: np.nanmean(rows, axis=0) for m, rows in align(heads, trial.training).items()}
    queries, items = (_centred(centres, side) for side in (queries, items))
    return {**found, HAMMING: score_all(queries, items, _hamming(done.dims))}


def _carried(heads: Mapping[Modality, Head], side: Mapping[Modality, Sightings]) -> dict[Modality, Sightings]:
    return {m: replace(one, vectors=carry(heads[m], one.vectors)) for m, one in side.items() if m in heads}


def _centred(centres: Mapping[Modality, Vectors], side: Mapping[Modality, Sightings]) -> dict[Modality, Sightings]:
    return {m: replace(one, vectors=one.vectors - centres[m]) for m, one in side.items()}


def _hamming(dims: int) -> Compare:
    return lambda queries, items: hamming_similarity(to_codes(queries), to_codes(items), dims)
