"""What the built-in model is measured on by every pair of modalities, as content events.

The shipped corpus needs nothing but the package, and much of it was seen in training. What was never seen needs the
``train`` extra and espeak-ng: pictures and clips by one artist, a voice and towns held out, stations drawn anew.
Attribute ``shows`` says what an item shows: items with the same value match.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from encoders.base import SensorInput
from encoders.builtin.artifacts import load_manifest
from encoders.builtin.corpus import AUDIO_MEDIA_TYPE, IMAGE_MEDIA_TYPE, SCHEMA_VERSION, Corpus
from encoders.builtin.evaluation_clips import MEDIA_TYPE, choose_for_clips, cut_out, silent_clip
from encoders.builtin.training.corpus_build import encode_opus, encode_picture
from encoders.builtin.training.emoji import Concept, load_concepts
from encoders.builtin.training.measures import ITEM_PREFIX
from encoders.builtin.training.packages import DEFAULT_CACHE
from encoders.builtin.training.place_data import ALIKE, country_code, flag_groups, load_towns
from encoders.builtin.training.renderings import load_renderings
from encoders.builtin.training.speech_data import HELD_OUT_VOICES, held_out
from encoders.builtin.training.speech_engines import speak
from encoders.builtin.training.vendors import colour_sets
from encoders.builtin.training.weather_data import KINDS, weather_set
from encoders.progress import track

SHOWS: Final = "shows"
NAME: Final = "name"
GROUP: Final = "category"
TOWNS: Final = 4  # of each country
SERIES: Final = 320
SEED: Final = 99  # stations of training are drawn from other seeds
VERSION: Final = 1  # of what is never seen: raise it when that changes
OCCURRED_AT: Final = "2026-01-01T00:00:00Z"

Event = dict[str, Any]


def corpus_items() -> Iterator[Event]:
    """Yield the shipped corpus, with silent clips of some pictures.

    Raises:
        Misconfigured: There is no corpus.
    """
    corpus = Corpus()
    ids = list(corpus.items)
    measured = [place for place, one in enumerate(ids) if "sensor" in corpus.measures.get(one, {})]
    placed = [place for place, one in enumerate(ids) if "location" in corpus.measures.get(one, {})]
    filmed = set(choose_for_clips(len(ids), measured, placed).tolist())
    flags = {item.attributes.get("country"): item_id for item_id, item in corpus.items.items()}
    alike = {flags.get(code): flags.get(first) for first, *others in ALIKE for code in others}
    for place, event in enumerate(track(corpus.events(OCCURRED_AT), "items", len(ids))):
        if place in filmed:
            clip = silent_clip(cut_out(corpus.media(ids[place], "image")), place)
            event["modalities"]["video"] = _inline(clip, MEDIA_TYPE)
        event["attributes"][SHOWS] = alike.get(ids[place]) or ids[place]
        yield event


def unseen_items(cache: Path = DEFAULT_CACHE) -> Iterator[Event]:
    """Yield items that no part of the model has met; texts are met by everyone.

    Raises:
        Misconfigured: The ``train`` extra or espeak-ng is missing.
    """
    concepts = load_concepts(cache)
    shows = [concepts[number].item_id for number in flag_groups(concepts)]
    yield from _named(concepts, shows, cache)
    yield from _towns(concepts, shows)
    yield from _weather()


def unseen_artist() -> str:
    """Return whose pictures ``unseen_items`` has: the first artist that the manifest names as held out."""
    return colour_sets(load_manifest().facts["held_out_vendors"])[0]


def _named(concepts: Sequence[Concept], shows: Sequence[str], cache: Path) -> Iterator[Event]:
    rows, pixels = load_renderings(unseen_artist(), concepts, cache)
    drawn = dict(zip(rows.tolist(), pixels, strict=True))
    kinds = {kind.hexcode for kind in KINDS}
    measured = [place for place in drawn if concepts[place].hexcode in kinds]
    placed = [place for place in drawn if country_code(concepts[place])]
    filmed = set(choose_for_clips(len(concepts), measured, placed).tolist())
    for place, concept in enumerate(track(concepts, "items")):
        sound = encode_opus(speak(held_out(concept.names["en"], HELD_OUT_VOICES[0])))
        modalities: dict[str, Any] = {"text": {"text": _described(concept)}, "audio": _inline(sound, AUDIO_MEDIA_TYPE)}
        if place in drawn:
            modalities["image"] = _inline(encode_picture(drawn[place]), IMAGE_MEDIA_TYPE)
        if place in drawn and place in filmed:
            modalities["video"] = _inline(silent_clip(drawn[place], place), MEDIA_TYPE)
        names = {f"{NAME}_{language}": name for language, name in concept.names.items() if language != "en"}
        attributes = {NAME: concept.names["en"], **names, GROUP: concept.group, SHOWS: shows[place]}
        yield _event(concept.item_id, modalities, attributes)


def _described(concept: Concept) -> str:
    words = [word for word in concept.keywords["en"] if word not in concept.names["en"].split()]
    return f"{concept.names['en']}: {', '.join(words)}" if words else concept.names["en"]


def _towns(concepts: Sequence[Concept], shows: Sequence[str]) -> Iterator[Event]:
    towns = load_towns(concepts)
    rng = np.random.default_rng(SEED)
    for number, concept in enumerate(towns.concepts.tolist()):
        unseen = np.flatnonzero(towns.held_out & (towns.countries == number))
        for row in np.sort(rng.permutation(unseen)[:TOWNS]).tolist():
            latitude, longitude = (float(value) for value in towns.places[row])
            place = {"latitude": latitude, "longitude": longitude}
            yield _event(f"town-{row}", {"location": place}, {SHOWS: shows[concept], GROUP: "flags"})


def _weather() -> Iterator[Event]:
    series, kinds = weather_set(SERIES, SEED)
    for number, (readings, kind) in enumerate(zip(series, kinds.tolist(), strict=True)):
        shows = f"{ITEM_PREFIX}{KINDS[kind].hexcode}"
        yield _event(f"station-{number}", {"sensor": _table(readings)}, {SHOWS: shows})


def _table(readings: SensorInput) -> dict[str, Any]:
    values = [[None if np.isnan(one) else float(one) for one in row] for row in readings.values]
    return {"channels": list(readings.channels), "sample_rate_hz": readings.sample_rate_hz, "values": values}


def _event(item_id: str, modalities: Mapping[str, Any], attributes: Mapping[str, Any]) -> Event:
    return {
        "schema_version": SCHEMA_VERSION,
        "type": "content.upsert",
        "item_id": item_id,
        "occurred_at": OCCURRED_AT,
        "modalities": dict(modalities),
        "attributes": dict(attributes),
    }


def _inline(data: bytes, media_type: str) -> dict[str, str]:
    return {"data": base64.b64encode(data).decode("ascii"), "media_type": media_type}
