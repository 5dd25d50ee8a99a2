"""The shipped corpus is whole, small, and made of events that the content worker accepts."""

import io
import json
import wave
from pathlib import Path

import av
import pytest
from PIL import Image

from config.errors import Misconfigured
from encoders.builtin.corpus import DEFAULT_FOLDER, Corpus, iter_corpus_events
from workers.contracts.content import CONTENT_EVENTS
from workers.contracts.parse import parse_event

MAX_BYTES = 20_000_000
OCCURRED_AT = "2026-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Return the shipped corpus."""
    return Corpus()


def test_it_is_complete_and_small(corpus: Corpus) -> None:
    """About 1,900 items under their own identifiers, in at most 20 MB, with the licences beside them."""
    assert len(corpus.items) > 1_850
    assert all(item_id == item.item_id for item_id, item in corpus.items.items())
    assert sum(path.stat().st_size for path in DEFAULT_FOLDER.iterdir()) < MAX_BYTES
    notice = (DEFAULT_FOLDER / "NOTICE.txt").read_text(encoding="utf-8")
    assert {str(item.attributes["artist"]) for item in corpus.items.values()} == {"noto", "twemoji"}
    assert "Apache-2.0" in notice
    assert "CC-BY-4.0" in notice


def test_every_event_is_accepted() -> None:
    """Each item becomes an event that the contract takes as it is."""
    for event in iter_corpus_events(occurred_at=OCCURRED_AT):
        parsed = parse_event(json.dumps(event).encode(), CONTENT_EVENTS)

        assert parsed.item_id == event["item_id"]


def test_every_picture_is_a_picture(corpus: Corpus) -> None:
    """Each picture decodes to 128 x 128 pixels that are not one colour."""
    for item_id in corpus.items:
        with Image.open(io.BytesIO(corpus.media(item_id, "image"))) as picture:
            assert (picture.size, picture.format) == ((128, 128), "WEBP")
            assert any(low != high for low, high in picture.convert("RGB").getextrema()), item_id


def test_every_name_is_spoken(corpus: Corpus) -> None:
    """Each spoken name is an Opus stream of a sensible length; one in twenty is decoded to the end."""
    for place, item_id in enumerate(corpus.items):
        data = corpus.media(item_id, "audio")
        assert data.startswith(b"OggS")
        if place % 20 == 0:
            with av.open(io.BytesIO(data)) as container:
                samples = sum(frame.samples for frame in container.decode(audio=0))
                seconds = samples / container.streams.audio[0].rate
            assert 0.2 < seconds < 8.0, item_id


def test_items_are_found_by_name_and_emoji(corpus: Corpus) -> None:
    """A name in any case and the emoji itself lead to the same item."""
    assert corpus.find("Cat Face") == corpus.find("🐱")
    assert corpus.find("cat face").attributes["name_zh"] == "猫脸"
    with pytest.raises(KeyError, match="no such thing"):
        corpus.find("no such thing")


def test_flags_know_where_they_fly(corpus: Corpus) -> None:
    """A country's flag carries its code and its capital's position."""
    flag = corpus.find("flag: Japan").attributes

    assert (flag["country"], flag["capital"]) == ("JP", "Tokyo")
    assert flag["latitude"] == pytest.approx(35.69, abs=0.1)
    assert flag["longitude"] == pytest.approx(139.69, abs=0.1)


def test_query_words_are_wav_files(corpus: Corpus) -> None:
    """Words to ask with are 16-bit mono WAV at 16 kHz, and "cat" is among them."""
    assert "cat" in corpus.spoken_words
    for word in corpus.spoken_words:
        with wave.open(io.BytesIO(corpus.spoken_query(word))) as reader:
            assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, 16_000)
            assert 0.2 < reader.getnframes() / 16_000 < 3.0


def test_a_missing_corpus_says_how_to_build_it(tmp_path: Path) -> None:
    """An empty folder and a broken archive are refused with the command that repairs them."""
    with pytest.raises(Misconfigured, match="crosscurrent train corpus"):
        Corpus(tmp_path)
    (tmp_path / "corpus.zip").write_bytes(b"not a zip")
    with pytest.raises(Misconfigured, match="crosscurrent train corpus"):
        Corpus(tmp_path)
