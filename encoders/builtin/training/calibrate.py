"""Measure what similarity means nothing: the background of every pair of modalities, on the shipped corpus.

A cosine of 0.3 between a text and a picture may be a find, and between two texts nothing. Fusion therefore looks at
distances from the pair's own background, in standard deviations; this stage fills that table of the manifest. Then it
learns what each dimension counts in a weighted cosine, which has backgrounds of its own.
"""

import dataclasses
import io
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from config.errors import Misconfigured
from config.vocabulary import Background, Calibration, Modality
from encoders.alignment.dimension_weights import learn_weights
from encoders.base import DimensionWeights
from encoders.builtin.artifacts import load_image_tower, load_manifest, save_manifest
from encoders.builtin.corpus import Corpus, Item, decode_wav
from encoders.builtin.places import load_place_tower
from encoders.builtin.readings import load_readings_tower
from encoders.builtin.speech import SpeechTower, load_speech_tower
from encoders.builtin.training.embeddings import BATCH, embed_pictures, embed_texts
from encoders.builtin.training.measures import ITEM_PREFIX
from encoders.builtin.training.packages import DEFAULT_CACHE
from encoders.builtin.training.place_stage import town_vectors
from encoders.builtin.training.sensor_stage import feature_rows, reading_vectors
from encoders.builtin.training.weather_data import KINDS, weather_set
from encoders.progress import track
from encoders.vectors import weighted_rows

Vectors = NDArray[np.float32]
FULL_SCALE = 32_768.0
WEATHER_SERIES: Final = 320
WEATHER_SEED: Final = 1
EVERY: Final = 4  # items between two that are measured: a quarter of a million pairs are left


@dataclass(frozen=True, slots=True)
class Sample:
    """Vectors of one modality and what they belong to.

    Attributes:
        owners: (n,) item that each row belongs to.
        vectors: (n, dims).
    """

    owners: NDArray[np.str_]
    vectors: Vectors

    def scaled(self, weights: NDArray[np.float64]) -> "Sample":
        """Return vectors whose cosine is the weighted cosine of these."""
        return Sample(self.owners, weighted_rows(self.vectors, weights))


def calibrate(out: Path, cache: Path = DEFAULT_CACHE, corpus: Path | None = None) -> Calibration:
    """Measure every ordered pair of modalities, and write the table into the manifest in ``out``.

    Raises:
        Misconfigured: a tower or the corpus is missing.
    """
    items, names = sample_corpus(out, cache, corpus, every=EVERY)
    table = measure(items, names)
    save_manifest(dataclasses.replace(load_manifest(out), calibration=table), out)
    return table


def weigh(out: Path, cache: Path = DEFAULT_CACHE, corpus: Path | None = None) -> DimensionWeights:
    """Learn what each dimension counts from the corpus, and write it into the manifest in ``out``.

    Raises:
        Misconfigured: a tower or the corpus is missing.
    """
    items, names = sample_corpus(out, cache, corpus, every=1)
    values = learn_weights({modality: _in_rows(each, names.owners) for modality, each in items.items()})
    if values is None:
        raise Misconfigured(f"the corpus {corpus or 'that ships'} has no eight items: build it again")
    table = measure({modality: each.scaled(values) for modality, each in items.items()}, names.scaled(values))
    weights = DimensionWeights(values=values, calibration=table)
    save_manifest(dataclasses.replace(load_manifest(out), dimension_weights=weights), out)
    return weights


def sample_corpus(out: Path, cache: Path, corpus: Path | None, *, every: int) -> tuple[dict[Modality, Sample], Sample]:
    """Return the vectors of every so-many-th item by modality, and of its name, by which people ask.

    Places and readings are those of all items: there are few.
    """
    shipped = Corpus(corpus)
    chosen = list(shipped.items.values())[::every]
    owners = np.array([item.item_id for item in chosen])
    items = {
        Modality.TEXT: Sample(owners, embed_texts([item.text for item in chosen], out, cache)),
        Modality.IMAGE: Sample(
            owners, embed_pictures(load_image_tower(out), [corpus_picture(shipped, i) for i in chosen])
        ),
        Modality.AUDIO: Sample(
            owners, embed_sounds(load_speech_tower(out), [corpus_samples(shipped, i) for i in chosen])
        ),
        Modality.LOCATION: _places(out, shipped),
        Modality.SENSOR: _readings(out),
    }
    return items, Sample(owners, embed_texts([item.name for item in chosen], out, cache))


def measure(items: Mapping[Modality, Sample], names: Sample) -> Calibration:
    """Return every ordered pair's background.

    Queries by text are the items' names alone, because people ask with few words; items' texts have their keywords.
    """
    queries = {**items, Modality.TEXT: names}
    return {(query, item): background(queries[query], items[item]) for query, item in product(items, items)}


def background(queries: Sample, items: Sample) -> Background:
    """Return mean and standard deviation of the cosine of every row of one with every row of *another* item."""
    cosines = (queries.vectors @ items.vectors.T).astype(np.float64)
    others = cosines[queries.owners[:, None] != items.owners]
    return Background(mean=float(others.mean()), std=float(others.std()))


def _places(out: Path, corpus: Corpus) -> Sample:
    placed = {item_id: measured["location"] for item_id, measured in corpus.measures.items() if "location" in measured}
    points = np.array([(place["latitude"], place["longitude"]) for place in placed.values()], np.float32)
    return Sample(np.array(list(placed)), town_vectors(load_place_tower(out), points).numpy())


def _readings(out: Path) -> Sample:
    series, kinds = weather_set(WEATHER_SERIES, seed=WEATHER_SEED)
    owners = np.array([f"{ITEM_PREFIX}{KINDS[kind].hexcode}" for kind in kinds])
    return Sample(owners, reading_vectors(load_readings_tower(out), feature_rows(series)).numpy())


def _in_rows(sample: Sample, owners: NDArray[np.str_]) -> Vectors:
    """The first vector of each owner (n, dims), NaN for who has none."""
    table = np.full((len(owners), sample.vectors.shape[1]), np.nan, np.float32)
    firsts = {owner: row for row, owner in reversed(list(enumerate(sample.owners.tolist())))}
    for place, owner in enumerate(owners.tolist()):
        if owner in firsts:
            table[place] = sample.vectors[firsts[owner]]
    return table


def embed_sounds(tower: SpeechTower, sounds: list[Vectors]) -> Vectors:
    """Return unit vectors (n, dims) of clips (time,) at 16 kHz, similar lengths together."""
    order = np.argsort([len(sound) for sound in sounds], kind="stable")
    vectors = np.zeros((len(sounds), tower.dims), np.float32)
    for start in track(range(0, len(order), BATCH), "listen"):
        rows = order[start : start + BATCH]
        clips = [torch.from_numpy(sounds[row]) for row in rows]
        lengths = torch.tensor([len(clip) for clip in clips])
        with torch.inference_mode():
            vectors[rows] = tower(torch.nn.utils.rnn.pad_sequence(clips, batch_first=True), lengths).numpy()
    return vectors


def corpus_picture(corpus: Corpus, item: Item) -> NDArray[np.uint8]:
    """Return an item's picture as RGB (height, width, 3)."""
    with Image.open(io.BytesIO(corpus.media(item.item_id, "image"))) as picture:
        return np.asarray(picture.convert("RGB"))


def corpus_samples(corpus: Corpus, item: Item) -> Vectors:
    """Return an item's spoken name as samples (time,) at 16 kHz in [-1, 1]."""
    with wave.open(io.BytesIO(decode_wav(corpus.media(item.item_id, "audio")))) as reader:
        data = reader.readframes(reader.getnframes())
    return np.frombuffer(data, np.int16).astype(np.float32) / FULL_SCALE
