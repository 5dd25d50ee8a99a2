"""The built-in corpus and ways to ask for it, as vectors: computed once, then read from the cache.

Items are the corpus's own: its text with keywords, its picture, its spoken name. What asks was never trained on:
pictures are by artists held out from training, and distorted; voices are held out, and heard through rooms, telephones
and noise; words are keywords, which several items share, or names in other languages.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.vocabulary import Modality
from encoders.builtin.artifacts import Manifest, load_image_tower, load_manifest
from encoders.builtin.corpus import Corpus, Item
from encoders.builtin.speech import load_speech_tower
from encoders.builtin.training.augment import augment
from encoders.builtin.training.calibrate import corpus_picture, corpus_samples, embed_sounds
from encoders.builtin.training.embeddings import embed_pictures, embed_speech, embed_texts
from encoders.builtin.training.emoji import Concept, load_concepts
from encoders.builtin.training.packages import DEFAULT_CACHE
from encoders.builtin.training.renderings import FLAG_GROUP, load_renderings
from encoders.builtin.training.speech_data import HELD_OUT_VOICES, held_out
from encoders.builtin.training.speech_features import spoken_features

Vectors = NDArray[np.float32]
ARTISTS: Final = ("twemoji", "openmoji", "emojione", "fxemoji")
LANGUAGES: Final = ("zh", "es", "de", "fr", "ja")
SEED: Final = 11
VERSION: Final = 1
"""Of the distortions: raise it to make cached vectors invalid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmojiVectors:
    """Rows in the order of the concepts.

    Args:
        concepts: What there is.
        artists: Who drew each item's own picture.
        items: (n, dims) by modality.
        keywords: Vector by English keyword.
        names: (n, dims) by language; English among them.
        pictures: (n, dims) by artist held out; NaN where an artist draws none.
        voices: (n, dims) by voice held out.
    """

    concepts: tuple[Concept, ...]
    artists: tuple[str, ...]
    items: Mapping[Modality, Vectors]
    keywords: Mapping[str, Vectors]
    names: Mapping[str, Vectors]
    pictures: Mapping[str, Vectors]
    voices: Mapping[str, Vectors]

    def mapped(self, change: Callable[[Vectors], Vectors]) -> "EmojiVectors":
        """The same in another space; ``change`` maps rows (n, dims) to rows of another length."""

        def each(table: Mapping[Any, Vectors]) -> dict[Any, Vectors]:
            return {key: change(np.atleast_2d(rows)).reshape(*rows.shape[:-1], -1) for key, rows in table.items()}

        return EmojiVectors(
            concepts=self.concepts,
            artists=self.artists,
            items=each(self.items),
            keywords=each(self.keywords),
            names=each(self.names),
            pictures=each(self.pictures),
            voices=each(self.voices),
        )


def load_emoji_vectors(cache: Path = DEFAULT_CACHE) -> EmojiVectors:
    """Embed the corpus and what asks for it with the shipped model, or read it from ``cache``.

    Raises:
        Misconfigured: A package of the ``train`` extra or espeak-ng is missing.
    """
    corpus, concepts, manifest = Corpus(), load_concepts(cache), load_manifest()
    items = list(corpus.items.values())
    keep = _Store(cache / "fusion", manifest)
    words = sorted({word for concept in concepts for word in concept.keywords.get("en", ())})
    return EmojiVectors(
        concepts=tuple(concepts),
        artists=tuple(str(item.attributes["artist"]) for item in items),
        items=_items(corpus, items, keep, cache),
        keywords=dict(zip(words, keep("keywords", lambda: embed_texts(words, None, cache)), strict=True)),
        names={
            language: keep(f"names-{language}", partial(_names, language, concepts, cache))
            for language in ("en", *LANGUAGES)
        },
        pictures={artist: keep(f"picture-{artist}", partial(_pictures, artist, concepts, cache)) for artist in ARTISTS},
        voices={voice: keep(f"voice-{voice}", partial(_voice, voice, concepts, cache)) for voice in HELD_OUT_VOICES},
    )


class _Store:
    """Arrays by name, valid for one set of weights and one version of the distortions."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        known = json.dumps([VERSION, SEED, sorted(manifest.files.items())])
        self._prefix = hashlib.sha256(known.encode()).hexdigest()[:12]
        self._folder = folder

    def __call__(self, name: str, compute: Callable[[], Vectors]) -> Vectors:
        path = self._folder / f"{self._prefix}-{name}.npy"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".partial.npy")
            np.save(unfinished, compute())
            unfinished.rename(path)
        return np.asarray(np.load(path), np.float32)


def _items(corpus: Corpus, items: list[Item], keep: _Store, cache: Path) -> dict[Modality, Vectors]:
    return {
        Modality.TEXT: keep("item-text", lambda: embed_texts([item.text for item in items], None, cache)),
        Modality.IMAGE: keep(
            "item-image",
            lambda: embed_pictures(load_image_tower(), [corpus_picture(corpus, item) for item in items]),
        ),
        Modality.AUDIO: keep(
            "item-audio", lambda: embed_sounds(load_speech_tower(), [corpus_samples(corpus, item) for item in items])
        ),
    }


def _names(language: str, concepts: list[Concept], cache: Path) -> Vectors:
    return embed_texts([concept.names.get(language, concept.names["en"]) for concept in concepts], None, cache)


def _pictures(artist: str, concepts: list[Concept], cache: Path) -> Vectors:
    """Distorted pictures by one artist, NaN where there is none."""
    rows, drawn = load_renderings(artist, concepts, cache)
    rng = np.random.default_rng((SEED, ARTISTS.index(artist)))
    distorted = [
        augment(pixels, rng, keep_hues=concepts[row].group == FLAG_GROUP)
        for row, pixels in zip(rows, drawn, strict=True)
    ]
    vectors = embed_pictures(load_image_tower(), distorted)
    found = np.full((len(concepts), vectors.shape[1]), np.nan, np.float32)
    found[rows] = vectors
    return found


def _voice(voice: str, concepts: list[Concept], cache: Path) -> Vectors:
    tower = load_speech_tower()
    said = [held_out(concept.names["en"], voice) for concept in concepts]
    spoken = spoken_features(
        said,
        range(len(said)),
        (tower.front_end, tower.backbone),
        cache=cache / "speech",
        seed=SEED,
        augmented=True,
        label=f"say as {voice}, distorted",
    )
    return embed_speech(tower, spoken)
