"""Measure what is neither a word nor a still picture: towns, weather, clips, and drawings in plain strokes.

Nothing measured here had a part in training: towns are parted by their numbers, stations are drawn anew, clips show
pictures by artists held out and are spoken by a voice held out, and the line icons are of a set held out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from config.errors import Misconfigured
from config.settings import MediaSettings
from encoders.alignment.evaluation import RetrievalScores, mean_scores, score_retrieval
from encoders.builtin.artifacts import load_image_tower, load_manifest
from encoders.builtin.places import load_place_tower
from encoders.builtin.readings import load_readings_tower
from encoders.builtin.speech import SAMPLE_RATE_HZ, load_speech_tower
from encoders.builtin.training.calibrate import embed_sounds
from encoders.builtin.training.clips import make_clip
from encoders.builtin.training.embeddings import embed_pictures, embed_texts, embed_vendors
from encoders.builtin.training.emoji import Concept, load_concepts
from encoders.builtin.training.line_icons import load_line_icons
from encoders.builtin.training.packages import DEFAULT_CACHE
from encoders.builtin.training.place_data import flag_groups, load_towns
from encoders.builtin.training.place_stage import town_vectors
from encoders.builtin.training.renderings import load_renderings
from encoders.builtin.training.sensor_stage import feature_rows, reading_vectors
from encoders.builtin.training.speech_data import HELD_OUT_VOICES, held_out
from encoders.builtin.training.speech_engines import ESPEAK, is_there, speak
from encoders.builtin.training.vendors import colour_sets
from encoders.builtin.training.weather_data import KINDS, weather_set
from encoders.media.video import decode_video
from encoders.modalities.resampling import resample
from encoders.progress import track
from encoders.vectors import unit_rows

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
SERIES: Final = 4_000
SEED: Final = 99  # stations of training are drawn from other seeds
CLIPS: Final = 100
"""By each artist."""
ICONS: Final = 1_000
LINE_SET: Final = "lucide"
WHITE: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class _Data:
    """What all tasks search in.

    Attributes:
        drawn: By held-out artist, the concepts drawn and their vectors.
        names: (concepts, dims) vectors of English names.
    """

    folder: Path | None
    cache: Path
    concepts: Sequence[Concept]
    drawn: Mapping[str, tuple[Rows, Vectors]]
    names: Vectors


def evaluate_tasks(cache: Path = DEFAULT_CACHE, *, folder: Path | None = None) -> dict[str, Any]:
    """Measure a weights folder.

    Args:
        cache: Packages, renderings and embeddings; filled where something is missing.
        folder: Weights; those that ship with the package if None.

    Returns:
        A report ready for JSON: ``model``, ``artists`` and, by task, ``RetrievalScores``' fields.

    Raises:
        Misconfigured: a package or a tower is missing.
    """
    manifest = load_manifest(folder)
    artists = list(colour_sets(manifest.facts.get("held_out_vendors", ())))
    concepts = load_concepts(cache)
    pictures = dict(zip(artists, embed_vendors(artists, concepts, folder, cache), strict=True))
    names = embed_texts([concept.names["en"] for concept in concepts], folder, cache)
    data = _Data(folder=folder, cache=cache, concepts=concepts, drawn=pictures, names=names)
    scores = {**_towns(data), **_weather(data), **_clips(data), **_drawings(data)}
    tasks = {task: asdict(score) for task, score in scores.items()}
    return {"model": str(manifest.model), "artists": artists, "tasks": tasks}


def tasks_table(report: Mapping[str, Any]) -> Table:
    """Return the report as a table: a row a task."""
    table = Table(title=f"{report['model']}: places, readings, clips and drawings never seen", title_justify="left")
    table.add_column("task")
    for title in ("queries", "items", "R@1", "R@3", "R@10", "median rank"):
        table.add_column(title, justify="right")
    for task, score in report["tasks"].items():
        recalls = [f"{score[f'recall_at_{k}']:.3f}" for k in (1, 3, 10)]
        table.add_row(task, f"{score['queries']:,}", f"{score['items']:,}", *recalls, f"{score['median_rank']:.1f}")
    return table


def _towns(data: _Data) -> dict[str, RetrievalScores]:
    """Towns to flags; flags that are the same picture by law count as one."""
    towns = load_towns(data.concepts)
    kept = np.flatnonzero(towns.held_out)
    asked = town_vectors(load_place_tower(data.folder), towns.places[kept]).numpy()
    looks = flag_groups(data.concepts)
    wanted = looks[towns.concepts[towns.countries[kept]]]
    flags = [
        (looks[rows], pictures) for rows, pictures in data.drawn.values() if np.isin(towns.concepts, rows).sum() > 100
    ]
    return {
        "town → its flag's name": score_retrieval(asked, data.names, wanted, looks),
        "town → its flag's picture": mean_scores([_those_drawn(asked, wanted, *drawn) for drawn in flags]),
    }


def _weather(data: _Data) -> dict[str, RetrievalScores]:
    series, kinds = weather_set(SERIES, SEED)
    asked = reading_vectors(load_readings_tower(data.folder), feature_rows(series)).numpy()
    by_code = {concept.hexcode: number for number, concept in enumerate(data.concepts)}
    wanted = np.array([by_code[KINDS[kind].hexcode] for kind in kinds])
    pictures = [_those_drawn(asked, wanted, *drawn) for drawn in data.drawn.values()]
    return {
        "readings → the weather's name": score_retrieval(asked, data.names, wanted, np.arange(len(data.names))),
        "readings → the weather's picture": mean_scores(pictures),
    }


def _those_drawn(asked: Vectors, wanted: Rows, rows: Rows, pictures: Vectors) -> RetrievalScores:
    drawn = np.isin(wanted, rows)
    return score_retrieval(asked[drawn], pictures, wanted[drawn], rows)


def _clips(data: _Data) -> dict[str, RetrievalScores]:
    """Clips to names through the decoding and pooling that the workers do: pictures from frames, sound beside."""
    found = {
        "clip on plain ground → name": mean_scores([_film(data, artist, graded=False) for artist in data.drawn]),
        "clip on graded ground → name": mean_scores([_film(data, artist, graded=True) for artist in data.drawn]),
    }
    if is_there(ESPEAK):
        spoken = [_film(data, artist, graded=True, spoken=True) for artist in data.drawn]
        found["the same, saying its name → name"] = mean_scores(spoken)
    return found


def _film(data: _Data, artist: str, *, graded: bool, spoken: bool = False) -> RetrievalScores:
    rng = np.random.default_rng(SEED)
    rows, renderings = load_renderings(artist, data.concepts, data.cache)
    chosen = rng.permutation(len(rows))[:CLIPS]
    frames: list[NDArray[np.uint8]] = []
    counts: list[int] = []
    sounds: list[Vectors] = []
    for place in track(chosen, f"film {artist}"):
        name = data.concepts[rows[place]].names["en"]
        sound = speak(held_out(name, HELD_OUT_VOICES[0])) if spoken else None
        shown, heard = decode_video(make_clip(renderings[place], rng, graded=graded, sound=sound), MediaSettings())
        frames += [frame.pixels for frame in shown]
        counts.append(len(shown))
        sounds += [] if heard is None else [resample(heard, SAMPLE_RATE_HZ)]
    parts = np.split(embed_pictures(load_image_tower(data.folder), frames), np.cumsum(counts)[:-1])
    asked = unit_rows(np.stack([part.mean(axis=0) for part in parts]))
    if spoken:
        asked = unit_rows(asked + embed_sounds(load_speech_tower(data.folder), sounds))
    return score_retrieval(asked, data.names, rows[chosen], np.arange(len(data.names)))


def _drawings(data: _Data) -> dict[str, RetrievalScores]:
    words, renderings = load_line_icons(LINE_SET, data.cache)
    order = np.random.default_rng(SEED).permutation(len(words))
    firsts = dict.fromkeys(words[place] for place in order)  # one drawing a name
    chosen = {words[place]: int(place) for place in order if words[place] in firsts}
    places = list(chosen.values())[:ICONS]
    if len(places) < ICONS:
        raise Misconfigured(f"{LINE_SET} has {len(places)} names: take another release")
    pictures = embed_pictures(load_image_tower(data.folder), [_on_white(renderings[place]) for place in places])
    names = embed_texts([words[place] for place in places], data.folder, data.cache)
    numbers = np.arange(len(places))
    return {
        f"drawing → name ({LINE_SET})": score_retrieval(pictures, names, numbers, numbers),
        f"name → drawing ({LINE_SET})": score_retrieval(names, pictures, numbers, numbers),
    }


def _on_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    share = rgba[..., 3:].astype(np.float32) / WHITE
    return np.asarray(rgba[..., :3] * share + WHITE * (1.0 - share), np.uint8)
