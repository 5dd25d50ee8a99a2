"""What is planned of an item for summaries: places that are right, and nothing encoded twice."""

from typing import Any

import numpy as np
import pytest

from config.errors import Reason, RejectEvent
from config.settings import ContentSettings
from config.vocabulary import Modality
from encoders.base import AudioInput, EncoderInput, ImageInput, LocationInput, TextInput
from fusion.index.protocol import Segment
from fusion.index.segment_layout import quantised
from tests.fusion_builders import unit
from workers.streams.inputs import Input
from workers.streams.segments import SHORT_TEXT, Plan, plan

ARTICLE = "Ships come home in the morning. The harbour smells of tar and fish. Dr. Lee counts the crates until noon."


def made(modality: Modality, value: EncoderInput, source: Modality | None = None) -> Input:
    """An input as it is read."""
    return Input(modality=modality, value=value, field="modalities", source=source or modality)


def text(words: str) -> Input:
    """A text."""
    return made(Modality.TEXT, TextInput(text=words))


def picture(time_s: float | None = None) -> Input:
    """A picture, or a frame of a clip."""
    source = Modality.IMAGE if time_s is None else Modality.VIDEO
    return made(Modality.IMAGE, ImageInput(pixels=np.zeros((2, 2, 3), np.uint8), time_s=time_s), source)


def sound(seconds: float, source: Modality = Modality.AUDIO) -> Input:
    """A silent sound."""
    return made(
        Modality.AUDIO, AudioInput(samples=np.zeros(round(seconds * 100), np.float32), sample_rate_hz=100), source
    )


def planned(*found: Input, inputs: list[Input] | None = None, **settings: Any) -> Plan:
    """The plan of what was read."""
    return plan(found, list(found) if inputs is None else inputs, ContentSettings(**settings))


def segments_of(of: Plan) -> tuple[Segment, ...]:
    """The segments, each input with a vector of its own."""
    return of.segments([unit(seed) for seed in range(len(of.inputs) + len(of.further))])


def test_sentences_are_inputs_of_their_own() -> None:
    """With their words, places and language, after what the item's vectors are made of."""
    item = made(Modality.TEXT, TextInput(text=ARTICLE, language="en"))
    of = planned(item)

    assert [value for _, value in of.further] == [
        TextInput(text=words, language="en") for words in (ARTICLE[:31], ARTICLE[32:67], ARTICLE[68:])
    ]
    segments = segments_of(of)
    assert all(ARTICLE[int(each.start or 0) : int(each.end or 0)] == each.text for each in segments)
    assert [each.codes for each in segments] == [quantised(unit(seed)) for seed in (1, 2, 3)]


@pytest.mark.parametrize("words", ["  A cat. ", "A cat. A dog. A bird.", "猫。", "x" * 500])
def test_a_short_text_is_one_passage_and_encoded_once(words: str) -> None:
    """Its item's vector stands for it, so that it costs its words alone; so it is with one long sentence."""
    of = planned(text(words))

    assert of.further == []
    (segment,) = segments_of(of)
    assert (segment.text, segment.codes) == (words.strip(), b"")
    assert len(words) <= SHORT_TEXT or ". " not in words


def test_pictures_and_frames_share_what_was_encoded() -> None:
    """A picture has no time and its item's vector; the frames of a clip have times, and vectors of their own."""
    assert segments_of(planned(picture())) == (Segment(modality=Modality.IMAGE, source=Modality.IMAGE),)
    of = planned(picture(0.5), picture(1.50004))
    assert of.further == []
    assert segments_of(of) == tuple(
        Segment(modality=Modality.IMAGE, source=Modality.VIDEO, start=at_s, end=at_s, codes=quantised(unit(seed)))
        for seed, at_s in ((0, 0.5), (1, 1.5))
    )


def test_a_clip_beside_a_picture_keeps_its_frames() -> None:
    """They are not part of the item's vector, and encoded for its summary alone; its track likewise."""
    poster, jingle, frame, track = picture(), sound(2), picture(0.5), sound(3, Modality.VIDEO)
    of = planned(poster, jingle, frame, track, inputs=[poster, jingle])

    assert [id(value) for _, value in of.further] == [id(frame.value), id(track.value)]
    assert [(each.source, each.start, each.end, bool(each.codes)) for each in segments_of(of)] == [
        (Modality.IMAGE, None, None, False),
        (Modality.AUDIO, 0.0, 2.0, False),
        (Modality.VIDEO, 0.5, 0.5, True),
        (Modality.VIDEO, 0.0, 3.0, True),
    ]


def test_a_long_sound_comes_in_stretches() -> None:
    """All of it, with times in seconds; a short one is one stretch and encoded once."""
    of = planned(sound(24))

    assert [(each.start, each.end) for each in segments_of(of)] == [(0.0, 6.0), (6.0, 12.0), (12.0, 18.0), (18.0, 24.0)]
    assert [modality for modality, _ in of.further] == [Modality.AUDIO] * 4
    assert planned(sound(7)).further == []


def test_no_more_are_kept_than_the_settings_say() -> None:
    """Passages are joined, frames are spread, stretches grow."""
    of = planned(text(ARTICLE), *map(picture, range(9)), sound(60), max_passages=2, max_frames=3, max_stretches=4)
    segments = segments_of(of)

    assert [each.text for each in segments[:2]] == [ARTICLE[:67], ARTICLE[68:]]
    assert [each.start for each in segments[2:5]] == [1.0, 4.0, 7.0]
    assert [each.end for each in segments[5:]] == [15.0, 30.0, 45.0, 60.0]


def test_a_piece_that_cannot_be_encoded_is_left_out() -> None:
    """The others keep their own directions; the item is not refused."""
    of = planned(text(ARTICLE))
    refusal = RejectEvent(Reason.ENCODER_FAILED, "nothing in it")

    assert [each.codes for each in of.segments([unit(0), unit(1), refusal, unit(3)])] == [
        quantised(unit(1)),
        quantised(unit(3)),
    ]


def test_nothing_is_planned_where_it_is_off_or_there_is_nothing() -> None:
    """Neither for a place, which has no passages, frames or stretches."""
    assert planned(text(ARTICLE), segments=False).further == []
    assert segments_of(planned(text(ARTICLE), segments=False)) == ()
    assert segments_of(planned(made(Modality.LOCATION, LocationInput(latitude=1, longitude=2)))) == ()
