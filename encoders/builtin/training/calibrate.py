"""Measure what similarity means nothing: the background of every pair of modalities, on the shipped corpus.

A cosine of 0.3 between a text and a picture may be a find, and between two texts nothing. Fusion therefore looks at
distances from the pair's own background, in standard deviations; this stage fills that table of the manifest.
"""

import dataclasses
import io
import wave
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from config.vocabulary import Background, Modality
from encoders.builtin.artifacts import load_image_tower, load_manifest, save_manifest
from encoders.builtin.corpus import Corpus, Item, decode_wav
from encoders.builtin.speech import SpeechTower, load_speech_tower
from encoders.builtin.training.embeddings import BATCH, embed_pictures, embed_texts
from encoders.builtin.training.packages import DEFAULT_CACHE
from encoders.progress import track

Vectors = NDArray[np.float32]
FULL_SCALE = 32_768.0
EVERY = 4  # items between two that are measured: a quarter of a million pairs are left


def calibrate(
    out: Path, cache: Path = DEFAULT_CACHE, corpus: Path | None = None
) -> dict[tuple[Modality, Modality], Background]:
    """Measure every ordered pair over text, image and audio, and write the table into the manifest in ``out``.

    Queries by text are the items' names alone, because people ask with few words; items' texts have their keywords.

    Raises:
        Misconfigured: a tower or the corpus is missing.
    """
    shipped = Corpus(corpus)
    sample = list(shipped.items.values())[::EVERY]
    items = {
        Modality.TEXT: embed_texts([item.text for item in sample], out, cache),
        Modality.IMAGE: embed_pictures(load_image_tower(out), [_picture(shipped, item) for item in sample]),
        Modality.AUDIO: embed_sounds(load_speech_tower(out), [_samples(shipped, item) for item in sample]),
    }
    names = embed_texts([item.name for item in sample], out, cache)
    queries = {**items, Modality.TEXT: names}
    table = {(query, item): background(queries[query], items[item]) for query, item in product(items, items)}
    save_manifest(dataclasses.replace(load_manifest(out), calibration=table), out)
    return table


def background(queries: Vectors, items: Vectors) -> Background:
    """Return mean and standard deviation of the cosine of every row of one with every *other* row of the other."""
    cosines = (queries @ items.T).astype(np.float64)
    others = cosines[~np.eye(len(queries), dtype=bool)]
    return Background(mean=float(others.mean()), std=float(others.std()))


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


def _picture(corpus: Corpus, item: Item) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(corpus.media(item.item_id, "image"))) as picture:
        return np.asarray(picture.convert("RGB"))


def _samples(corpus: Corpus, item: Item) -> Vectors:
    with wave.open(io.BytesIO(decode_wav(corpus.media(item.item_id, "audio")))) as reader:
        data = reader.readframes(reader.getnframes())
    return np.frombuffer(data, np.int16).astype(np.float32) / FULL_SCALE
