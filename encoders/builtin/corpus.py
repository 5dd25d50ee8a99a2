"""The corpus that ships with the built-in model: every emoji as a text, a picture and a spoken name.

Flags and landmarks have a place besides, kinds of weather a day of hourly readings: ``measures.jsonl``, a line an item.

One zip archive holds it: ``items.jsonl`` (a line an item), ``image/<item_id>.webp``, ``audio/<item_id>.ogg`` and
``queries/<word>.ogg``, words that a voice says that neither the corpus nor the model's training has heard.
``crosscurrent train corpus --out DIR`` rebuilds it; ``NOTICE.txt`` beside it names the artists and licences.
"""

import base64
import io
import json
import wave
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from config.errors import Misconfigured

DEFAULT_FOLDER: Final = Path(__file__).with_name("corpus")
ARCHIVE: Final = "corpus.zip"
ITEMS: Final = "items.jsonl"
MEASURES: Final = "measures.jsonl"
IMAGE_MEDIA_TYPE: Final = "image/webp"
AUDIO_MEDIA_TYPE: Final = "audio/ogg"
SPEECH_RATE_HZ: Final = 16_000
SCHEMA_VERSION: Final = 1
_SUFFIX: Final = {"image": "webp", "audio": "ogg"}

Attribute = str | int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item's words.

    Attributes:
        item_id: Stable identifier, such as ``emoji-1f431``.
        text: English name and keywords, as published.
        attributes: ``name``, ``emoji``, ``category``, ``subgroup``, ``version``, ``year``, ``name_<language>``,
            ``artist``, and for flags ``country`` (ISO 3166), ``capital`` with its ``latitude`` and ``longitude``.
    """

    item_id: str
    text: str
    attributes: Mapping[str, Attribute]

    @property
    def name(self) -> str:
        """English name, such as ``cat face``."""
        return str(self.attributes["name"])


class Corpus:
    """The shipped corpus, read item by item.

    Args:
        folder: Where ``corpus.zip`` lies; the shipped one if None.

    Raises:
        Misconfigured: there is no readable archive; the message says how to build one.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or DEFAULT_FOLDER) / ARCHIVE
        try:
            self._archive = zipfile.ZipFile(self.path)
        except (OSError, zipfile.BadZipFile) as exc:
            remedy = f"build it with 'crosscurrent train corpus --out {self.path.parent}'"
            msg = f"no corpus at {self.path} ({exc}): {remedy}"
            raise Misconfigured(msg) from exc

    @cached_property
    def items(self) -> Mapping[str, Item]:
        """Every item by its identifier, in the order of the Unicode chart."""
        lines = self._archive.read(ITEMS).decode().splitlines()
        return {item.item_id: item for item in (Item(**json.loads(line)) for line in lines)}

    @cached_property
    def measures(self) -> Mapping[str, Mapping[str, Any]]:
        """``location`` and ``sensor`` by item, as a content event has them, of those that have any.

        Raises:
            Misconfigured: the file is missing.
        """
        path = self.path.with_name(MEASURES)
        try:
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except OSError as exc:
            remedy = f"build it with 'crosscurrent train corpus --out {path.parent}'"
            raise Misconfigured(f"no measures at {path} ({exc.strerror}): {remedy}") from exc
        found: dict[str, dict[str, Any]] = {}
        for line in lines:
            found.setdefault(line.pop("item_id"), {}).update(line)
        return found

    def find(self, name: str) -> Item:
        """Return the item with that English name, or that emoji.

        Raises:
            KeyError: no item is called so.
        """
        for item in self.items.values():
            if name.casefold() == item.name.casefold() or name == item.attributes["emoji"]:
                return item
        msg = f"no item of the corpus is called {name!r}"
        raise KeyError(msg)

    def media(self, item_id: str, kind: Literal["image", "audio"]) -> bytes:
        """Return an item's picture (WebP, 128 x 128) or spoken name (Ogg Opus, mono).

        Raises:
            KeyError: no such item.
        """
        return self._archive.read(f"{kind}/{item_id}.{_SUFFIX[kind]}")

    @cached_property
    def spoken_words(self) -> tuple[str, ...]:
        """Words that ``spoken_query`` can say."""
        names = (name for name in self._archive.namelist() if name.startswith("queries/"))
        return tuple(Path(name).stem for name in names)

    def spoken_query(self, word: str) -> bytes:
        """Return a word as a WAV file (16-bit mono, 16 kHz), said by a voice never trained on.

        Raises:
            KeyError: not one of ``spoken_words``.
        """
        return decode_wav(self._archive.read(f"queries/{word}.ogg"))

    def events(self, occurred_at: str) -> Iterator[dict[str, Any]]:
        """Yield a ``content.upsert`` event for every item.

        Args:
            occurred_at: Time of all events, RFC 3339.
        """
        for item in self.items.values():
            yield {
                "schema_version": SCHEMA_VERSION,
                "type": "content.upsert",
                "item_id": item.item_id,
                "occurred_at": occurred_at,
                "modalities": {
                    "text": {"text": item.text, "language": "en"},
                    "image": _inline(self.media(item.item_id, "image"), IMAGE_MEDIA_TYPE),
                    "audio": _inline(self.media(item.item_id, "audio"), AUDIO_MEDIA_TYPE),
                    **self.measures.get(item.item_id, {}),
                },
                "attributes": dict(item.attributes),
            }


def iter_corpus_events(*, occurred_at: str, folder: Path | None = None) -> Iterator[dict[str, Any]]:
    """Yield the shipped corpus as content events, ready for JSON.

    Raises:
        Misconfigured: there is no readable archive.
    """
    yield from Corpus(folder).events(occurred_at)


def decode_wav(encoded: bytes) -> bytes:
    """Turn an Ogg Opus file into a WAV file of 16-bit mono samples at 16 kHz."""
    import av  # late: naming the corpus must not load FFmpeg

    resampler = av.AudioResampler(format="s16", layout="mono", rate=SPEECH_RATE_HZ)
    with av.open(io.BytesIO(encoded)) as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    frames += resampler.resample(None)
    target = io.BytesIO()
    with wave.open(target, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SPEECH_RATE_HZ)
        writer.writeframes(b"".join(frame.to_ndarray().tobytes() for frame in frames))
    return target.getvalue()


def _inline(data: bytes, media_type: str) -> dict[str, str]:
    return {"data": base64.b64encode(data).decode("ascii"), "media_type": media_type}
