"""Measure what similarity means nothing: the background of every pair of modalities, on the shipped corpus.

A cosine of 0.3 between a text and a picture may be a find, and between two texts nothing. Fusion therefore looks at
distances from the pair's own background, in standard deviations; this stage fills that table of the manifest.
"""

import dataclasses
import io
import wave
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from config.vocabulary import Background, Modality
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


def calibrate(
    out: Path, cache: Path = DEFAULT_CACHE, corpus: Path | None = None
) -> dict[tuple[Modality, Modality], Background]:
    """Measure every ordered pair of modalities, and write the table into the manifest in ``out``.

    Queries by text are the items' names alone, because people ask with few words; items' texts have their keywords.

    Raises:
        Misconfigured: a tower or the corpus is missing.
    """
    shipped = Corpus(corpus)
    chosen = list(shipped.items.values())[::EVERY]
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
    names = Sample(owners, embed_texts([item.name for item in chosen], out, cache))
    queries = {**items, Modality.TEXT: names}
    table = {(query, item): background(queries[query], items[item]) for query, item in product(items, items)}
    save_manifest(dataclasses.replace(load_manifest(out), calibration=table), out)
    return table


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
