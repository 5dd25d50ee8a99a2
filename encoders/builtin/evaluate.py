"""Measure the built-in model on artists and voices that it was not trained on.

For every vendor's set of pictures: an English name finds its picture, a picture finds its English name among all
names, a Chinese name and a spoken name find the picture. Needs the ``train`` extra, which carries the test data,
espeak-ng for the voices, and festival for the voice of another make.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from config.errors import Misconfigured
from encoders.alignment.evaluation import RetrievalScores, mean_scores, score_retrieval
from encoders.builtin.artifacts import load_manifest
from encoders.builtin.speech import SpeechTower, load_speech_tower
from encoders.builtin.training.embeddings import embed_speech, embed_texts, embed_vendors
from encoders.builtin.training.emoji import Concept, load_concepts
from encoders.builtin.training.packages import DEFAULT_CACHE
from encoders.builtin.training.speech_data import HELD_OUT_MANDARIN, HELD_OUT_VOICES, OTHER_MAKE, held_out
from encoders.builtin.training.speech_engines import FESTIVAL, is_there
from encoders.builtin.training.speech_features import spoken_features
from encoders.builtin.training.speech_phrases import CHINESE_FLAG_PREFIX
from encoders.builtin.training.vendors import colour_sets

Vectors = NDArray[np.float32]
TEXT_TO_IMAGE: Final = "text → image"
IMAGE_TO_TEXT: Final = "image → text"
CHINESE_TO_IMAGE: Final = "Chinese text → image"
SPEECH_TO_IMAGE: Final = "speech → image"
"""Spoken by voices never trained on; the mean over them, as for the three that follow."""
TELEPHONE_TO_IMAGE: Final = "telephone → image"
MANDARIN_TO_IMAGE: Final = "Mandarin speech → image"
OTHER_MAKE_TO_IMAGE: Final = "speech of another make → image"
"""By a program that had no part in training; left out where it is not installed."""


def evaluate_builtin(
    cache: Path = DEFAULT_CACHE,
    vendors: Sequence[str] | None = None,
    *,
    folder: Path | None = None,
    voices: Sequence[str] = HELD_OUT_VOICES,
) -> dict[str, Any]:
    """Measure a weights folder.

    Args:
        cache: Packages, renderings, embeddings and spoken features; filled where something is missing.
        vendors: Whose pictures to search; all sets in colour by the artists held out from training if None.
        folder: Weights; those that ship with the package if None.
        voices: espeak-ng voices that say the names; none leaves speech out.

    Returns:
        A report ready for JSON: ``model``, ``held_out`` (vendors that training never saw), ``vendors`` (by vendor and
        task) and ``mean`` (by task), each score as ``RetrievalScores``' fields.

    Raises:
        Misconfigured: a package, a tower or espeak-ng is missing.
    """
    manifest = load_manifest(folder)
    held_out = list(colour_sets(manifest.facts.get("held_out_vendors", ())))
    chosen = list(vendors or held_out)
    if not chosen:
        raise Misconfigured("the manifest names no held_out_vendors: say which vendors to measure on")
    concepts = load_concepts(cache)
    queries = _queries(concepts, folder, cache, voices)
    scores = {
        vendor: _score_vendor(rows, pictures, queries)
        for vendor, (rows, pictures) in zip(chosen, embed_vendors(chosen, concepts, folder, cache), strict=True)
    }
    tasks = next(iter(scores.values()))
    mean = {task: mean_scores([one[task] for one in scores.values()]) for task in tasks}
    return {
        "model": str(manifest.model),
        "held_out": held_out,
        "voices": list(voices),
        "vendors": {vendor: _plain(one) for vendor, one in scores.items()},
        "mean": _plain(mean),
    }


def report_table(report: Mapping[str, Any]) -> Table:
    """Return an evaluation report as a table: a row a vendor and task, the means last."""
    table = Table(title=f"{report['model']}: artists and voices never trained on", title_justify="left")
    for title in ("artist", "task"):
        table.add_column(title)
    for title in ("items", "R@1", "R@5", "R@10", "median rank", "MRR"):
        table.add_column(title, justify="right")
    for vendor, tasks in {**report["vendors"], "mean": report["mean"]}.items():
        name = vendor if vendor in (*report["held_out"], "mean") else f"{vendor} (trained on)"
        for task, score in tasks.items():
            table.add_row(name, task, *_cells(score))
        table.add_section()
    return table


def _cells(score: Mapping[str, Any]) -> list[str]:
    recalls = [f"{score[f'recall_at_{k}']:.3f}" for k in (1, 5, 10)]
    return [f"{score['items']:,}", *recalls, f"{score['median_rank']:.1f}", f"{score['mean_reciprocal_rank']:.3f}"]


def _queries(
    concepts: Sequence[Concept], folder: Path | None, cache: Path, voices: Sequence[str]
) -> dict[str, list[Vectors]]:
    """One vector a concept for each kind of query; several sets where several voices ask."""
    names = [concept.names["en"] for concept in concepts]
    chinese = [concept.names.get("zh", concept.names["en"]) for concept in concepts]
    found = {
        TEXT_TO_IMAGE: [embed_texts(names, folder, cache)],
        CHINESE_TO_IMAGE: [embed_texts(chinese, folder, cache)],
    }
    if voices:
        tower = load_speech_tower(folder)
        mandarin = [name.removeprefix(CHINESE_FLAG_PREFIX) for name in chinese]
        found[SPEECH_TO_IMAGE] = [_say(names, voice, tower, cache) for voice in voices]
        found[TELEPHONE_TO_IMAGE] = [_say(names, voice, tower, cache, telephone=True) for voice in voices]
        found[MANDARIN_TO_IMAGE] = [_say(mandarin, voice, tower, cache) for voice in HELD_OUT_MANDARIN]
        if is_there(FESTIVAL):
            found[OTHER_MAKE_TO_IMAGE] = [_say(names, OTHER_MAKE, tower, cache)]
    return found


def _say(names: Sequence[str], voice: str, tower: SpeechTower, cache: Path, *, telephone: bool = False) -> Vectors:
    utterances = [held_out(name, voice) for name in names]
    networks = (tower.front_end, tower.backbone)
    store, label = cache / "speech", f"say as {voice}{' by telephone' if telephone else ''}"
    spoken = spoken_features(
        utterances, range(len(names)), networks, cache=store, seed=0, telephone=telephone, label=label
    )
    return embed_speech(tower, spoken)


def _score_vendor(
    rows: NDArray[np.int64], pictures: Vectors, queries: Mapping[str, Sequence[Vectors]]
) -> dict[str, RetrievalScores]:
    labels = np.arange(len(queries[TEXT_TO_IMAGE][0]))
    names = queries[TEXT_TO_IMAGE][0]
    found = {
        task: mean_scores([score_retrieval(asked, pictures, labels, rows) for asked in several])
        for task, several in queries.items()
    }
    order = (TEXT_TO_IMAGE, IMAGE_TO_TEXT, *[task for task in found if task != TEXT_TO_IMAGE])
    found[IMAGE_TO_TEXT] = score_retrieval(pictures, names, rows, labels)
    return {task: found[task] for task in order}


def _plain(scores: Mapping[str, RetrievalScores]) -> dict[str, dict[str, Any]]:
    return {task: asdict(score) for task, score in scores.items()}
