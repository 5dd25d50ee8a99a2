"""Long, empty and strange inputs on their way into an encoder."""

import itertools

import numpy as np
import pytest

from config.errors import MediaRejected, Reason, RejectEvent
from encoders.base import AudioInput
from encoders.modalities.passages import MAX_PASSAGES, cut_samples, cut_text, cut_tokens
from encoders.modalities.readable import require_readable, spell_pictographs
from encoders.modalities.resampling import resample


def test_a_short_text_is_one_passage():
    """Nothing is cut that fits."""
    assert cut_text("x" * 512) == ["x" * 512]


def test_passages_overlap_and_cover():
    """Every character is in a passage, neighbours share some, cuts fall between words, none is too long."""
    text = " ".join(f"word{n:04d}" for n in range(400))
    passages = cut_text(text)

    assert all(len(passage) <= 512 for passage in passages)
    assert all(later[:40] in earlier for earlier, later in itertools.pairwise(passages))
    assert all(passage.endswith(text[-8:]) or passage[-8:].startswith("word") for passage in passages)
    assert {f"word{n:04d}" for n in range(400)} <= {word for passage in passages for word in passage.split()}


def test_an_endless_text_is_sampled():
    """A book is its first passage, its last, and some between: work stays bounded."""
    text = "".join(chr(0x4E00 + n % 5000) for n in range(1_000_000))
    passages = cut_text(text)

    assert len(passages) == MAX_PASSAGES
    assert text.startswith(passages[0]) and text.endswith(passages[-1])


def test_windows_end_flush():
    """Windows follow each other and the last ends where the sound ends; a short sound is one window."""
    samples = np.arange(25, dtype=np.float32)

    assert [window[0] for window in cut_samples(samples, length=10)] == [0, 10, 15]
    assert cut_samples(samples[:3], length=10)[0].shape == (3,)
    assert len(cut_samples(np.zeros(10_000, np.float32), length=10)) == MAX_PASSAGES


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u200b", "\x00\x01", "\ufeff \u3000"])
def test_refuses_texts_with_nothing_to_read(text: str):
    """White space, control and format characters are no text."""
    with pytest.raises(RejectEvent) as caught:
        require_readable(text)
    assert caught.value.reason is Reason.INVALID_EVENT


def test_collapses_white_space_and_composes():
    """The same words spaced or composed otherwise are the same text."""
    assert require_readable("  two\n words ") == "two words"
    assert require_readable("cafe\u0301") == "café"


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("plain", "plain"),
        ("I ♥ 🐱", "I black heart suit cat face"),
        ("🐱🐶", "cat face dog face"),
        ("👍🏽", "thumbs up sign"),
        ("🇫🇷!", "flag FR !"),
        ("👩‍🚀", "woman rocket"),
        ("猫", "猫"),
    ],
)
def test_spells_pictographs(text: str, spelt: str):
    """Emoji are read by name, without skin tones and joiners; letters stay as they are."""
    assert spell_pictographs(text) == spelt


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 44_100, 47_999, 48_000])
def test_resampling_keeps_pitch_and_length(rate_hz: int):
    """A tone stays the same tone at 16 kHz, also from odd rates, whose filters would need gigabytes."""
    times = np.arange(rate_hz) / rate_hz
    sound = AudioInput(samples=np.sin(2 * np.pi * 440 * times).astype(np.float32), sample_rate_hz=rate_hz)
    samples = resample(sound, 16_000)

    assert abs(samples.shape[0] - 16_000) <= 16
    assert samples.dtype == np.float32
    assert abs(np.abs(np.fft.rfft(samples)).argmax() * 16_000 / samples.shape[0] - 440) < 2


def test_resampling_refuses_nothing():
    """No samples, no sound."""
    with pytest.raises(MediaRejected):
        resample(AudioInput(samples=np.zeros(0, np.float32), sample_rate_hz=8_000), 16_000)


@pytest.mark.parametrize(
    ("count", "length", "lead"), [(0, 8, 0), (8, 8, 0), (9, 8, 0), (100, 8, 3), (50, 10, 5), (7, 1, 0)]
)
def test_passages_of_tokens_cover_all_and_overlap_by_a_quarter(count: int, length: int, lead: int):
    """Every token is in a passage, none is longer than allowed, and each begins with the lead and repeats a quarter."""
    ids = list(range(count))
    passages = cut_tokens(ids, lead=ids[:lead], length=length)

    assert {token for passage in passages for token in passage} == set(ids)
    assert all(len(passage) <= length and passage[:lead] == ids[:lead] for passage in passages)
    for before, after in itertools.pairwise(passages):
        shared = length // 4
        assert before[len(before) - shared :] == after[lead : lead + shared]
