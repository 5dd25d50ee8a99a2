"""The speech tower keeps its rules, on random weights."""

import math

import pytest
import torch
from torch import Tensor

from encoders.builtin import speech
from encoders.builtin.speech import SpeechTower, cut_windows, trim_silence
from encoders.builtin.speech_head import FEATURES, SLOTS, SpeechHead, warp_features

RATE = speech.SAMPLE_RATE_HZ


@pytest.fixture(scope="module")
def tower() -> SpeechTower:
    """Return a tower with random weights that do not drown its input."""
    torch.manual_seed(0)
    tower = SpeechTower(dims=32, phrases=40).eval()
    bands = torch.arange(tower.front_end.mel.shape[0]) // 4 == torch.arange(speech.MEL_BANDS)[:, None]
    tower.front_end.mel.copy_(bands.T / 200.0)  # 32 bands of four bins each
    for layer in tower.backbone.convolutions:
        torch.nn.init.kaiming_normal_(layer.weight, a=0.2)
    torch.nn.init.kaiming_normal_(tower.backbone.last.weight)
    return tower


def chirp(seconds: float, hertz: float = 300.0) -> Tensor:
    """Return a rising tone (time,) at half of full scale."""
    time = torch.arange(int(seconds * RATE)) / RATE
    return 0.5 * torch.sin(2 * math.pi * hertz * time * (1 + time))


def batch(*clips: Tensor) -> tuple[Tensor, Tensor]:
    """Return clips padded to one length, and their true lengths."""
    padded = torch.nn.utils.rnn.pad_sequence(list(clips), batch_first=True)
    return padded, torch.tensor([len(clip) for clip in clips])


def encode(tower: SpeechTower, *clips: Tensor) -> Tensor:
    """Encode clips in one batch."""
    with torch.inference_mode():
        return tower(*batch(*clips))


def test_vectors_are_finite_and_of_unit_norm(tower: SpeechTower) -> None:
    """Whatever the length, from one sample to a minute, a clip gives one unit vector."""
    clips = [chirp(0.0001)[:1] + 0.1, chirp(0.05), chirp(1), chirp(60)]

    vectors = encode(tower, *clips)

    assert vectors.shape == (4, 32)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(4), atol=1e-5)


def test_a_vector_does_not_depend_on_its_batch(tower: SpeechTower) -> None:
    """A clip encodes alone as it does beside shorter and longer ones."""
    clips = [chirp(0.3, 200), chirp(1.1, 400), chirp(7, 150), chirp(2.5, 900)]

    together = encode(tower, *clips)

    for clip, row in zip(clips, together, strict=True):
        assert torch.allclose(encode(tower, clip)[0], row, atol=1e-5)


def test_samples_beyond_the_length_are_ignored(tower: SpeechTower) -> None:
    """What lies in the padding has no say, even when it is loud."""
    clip = chirp(1)
    noisy = torch.cat((clip, torch.ones(RATE)))[None]

    with torch.inference_mode():
        vector = tower(noisy, torch.tensor([len(clip)]))

    assert torch.allclose(vector, encode(tower, clip), atol=1e-5)


def test_silence_around_and_level_do_not_matter(tower: SpeechTower) -> None:
    """A late start, a late end and a quiet microphone leave the vector where it is."""
    clip = chirp(1)
    silence = torch.zeros(RATE // 2)

    moved = encode(tower, torch.cat((silence, 0.01 * clip, silence)))

    assert torch.allclose(moved, encode(tower, clip), atol=1e-4)


def test_different_sounds_differ(tower: SpeechTower) -> None:
    """The rules above are no proof if everything gives the same vector."""
    low, high, backwards = chirp(1, 200), chirp(1, 900), chirp(1, 200).flip(0)

    vectors = encode(tower, low, high, backwards)

    assert (vectors @ vectors.T).fill_diagonal_(0).max() < 0.9998  # random weights; the tolerances above are 1e-4


def test_digital_silence_is_encoded(tower: SpeechTower) -> None:
    """Silence has a vector too: refusing empty input is the decoder's business, not a division by zero here."""
    assert torch.isfinite(encode(tower, torch.zeros(RATE))).all()


def test_long_clips_are_cut_into_overlapping_windows() -> None:
    """Ten seconds give windows from 0, 3 and 4 s: every sound lies whole in one of them, the end included."""
    samples, lengths = batch(chirp(10), chirp(1))

    windows = cut_windows(samples, lengths)

    assert windows.clips.tolist() == [0, 0, 0, 1]


def test_trimming_keeps_the_sound() -> None:
    """Only silence goes, in whole blocks of 10 ms."""
    silence = torch.zeros(8_000)

    trimmed = trim_silence(torch.cat((silence, torch.ones(3_200), silence)))

    assert trimmed.shape == (3_200,)
    assert (trimmed == 1).all()


@pytest.mark.parametrize("length", [0, -3, 17])
def test_impossible_lengths_are_refused(tower: SpeechTower, length: int) -> None:
    """A clip without samples, or with more than it has, is named by its row."""
    with pytest.raises(ValueError, match="clip 1 claims"):
        tower(torch.zeros(2, 16), torch.tensor([16, length]))


def test_time_is_normalised() -> None:
    """A ramp said fast, slowly or beside a longer neighbour is the same ramp over sixteen slots, nearly end to end."""
    ramp = torch.linspace(0, 1, 40)[None, :, None].expand(2, 40, FEATURES)
    short = torch.zeros(1, 40, FEATURES)
    short[:, :10] = torch.linspace(0, 1, 10)[None, :, None]

    slots = warp_features(torch.cat((ramp, short)), torch.tensor([40, 40, 10]))[..., 0]

    assert slots.shape == (3, SLOTS)
    assert torch.allclose(slots[0], slots[2], atol=0.04)
    assert (slots.diff(dim=1) > 0).all()


def test_one_step_is_enough() -> None:
    """A clip of a single backbone output fills every slot with it."""
    features = torch.randn(1, 3, FEATURES)

    slots = warp_features(features, torch.tensor([1]))

    assert torch.allclose(slots, features[:, :1].expand_as(slots))


def test_steps_behind_a_clip_are_not_heard() -> None:
    """What a longer row adds behind a clip reaches none of its slots, though steps hear each other."""
    head = SpeechHead(dims=8, phrases=3)
    for convolution in head.neighbours:
        torch.nn.init.normal_(convolution.weight, std=0.1)
    features, steps = torch.randn(1, 9, FEATURES), torch.tensor([9])

    alone = head.normalise(features, steps)
    beside = head.normalise(torch.cat((features, torch.randn(1, 30, FEATURES)), dim=1), steps)

    assert torch.allclose(alone, beside, atol=1e-5)
    assert not torch.allclose(alone[0, :FEATURES], features[0, 0], atol=0.1)  # the convolutions did something
