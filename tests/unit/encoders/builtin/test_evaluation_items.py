"""Items to measure on: which get a clip, what is cut out of a picture, and that they are events like any other."""

import io
import json
from itertools import islice

import numpy as np
from PIL import Image, ImageDraw

from encoders.builtin.corpus import Corpus
from encoders.builtin.evaluation_clips import choose_for_clips, cut_out, silent_clip
from encoders.builtin.evaluation_items import SHOWS, _weather, corpus_items
from workers.contracts.content import CONTENT_EVENTS, ContentUpsert
from workers.contracts.parse import parse_event


def test_whatever_has_readings_gets_a_clip_and_the_rest_is_spread() -> None:
    """All of the measured, a fifth with a place, the rest from the first to the last, and as many as were asked for."""
    measured, placed = [3, 50, 51], list(range(100, 200))

    chosen = choose_for_clips(1000, measured, placed, clips=40).tolist()

    assert len(chosen) == 40
    assert set(measured) <= set(chosen)
    assert sum(each in placed for each in chosen) == 8
    assert chosen == sorted(chosen)
    assert (chosen[0], chosen[-1]) == (0, 999)


def test_few_things_all_get_one() -> None:
    """Nothing is chosen twice, and nothing is missing."""
    assert choose_for_clips(6, [1], [2], clips=40).tolist() == [0, 1, 2, 3, 4, 5]


def test_the_ground_is_clear_and_what_is_white_inside_stays() -> None:
    """A black ring on white: its outside is clear, the hole in it is not."""
    picture = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(picture).ellipse((8, 8, 55, 55), outline="black", width=6)
    target = io.BytesIO()
    picture.save(target, "PNG")

    pixels = cut_out(target.getvalue())

    assert pixels.shape == (64, 64, 4)
    assert pixels[0, 0, 3] == 0
    assert pixels[63, 63, 3] == 0
    assert pixels[32, 32].tolist() == [255, 255, 255, 255]
    assert pixels[11, 32].tolist() == [0, 0, 0, 255]


def test_a_clip_is_the_same_every_time() -> None:
    """By its number; another number moves it otherwise."""
    rendering = np.full((32, 32, 4), 200, np.uint8)
    assert silent_clip(rendering, 1) == silent_clip(rendering, 1)
    assert silent_clip(rendering, 1) != silent_clip(rendering, 2)


def test_the_corpus_says_what_each_item_shows() -> None:
    """Every item is accepted as it is; some have a clip, and what they show is themselves."""
    found = [parse_event(json.dumps(event).encode(), CONTENT_EVENTS) for event in islice(corpus_items(), 12)]

    assert all(isinstance(one, ContentUpsert) and one.attributes[SHOWS] == one.item_id for one in found)
    clips = [one for one in found if isinstance(one, ContentUpsert) and one.modalities.video is not None]
    assert 0 < len(clips) < 12


def test_stations_show_weather_that_the_corpus_has() -> None:
    """Lost readings are null on the wire, and the parser takes them."""
    events = list(islice(_weather(), 60))
    items = Corpus().items

    assert all(event["attributes"][SHOWS] in items for event in events)
    assert all(parse_event(json.dumps(event).encode(), CONTENT_EVENTS) for event in events)
    assert any(None in row for event in events for row in event["modalities"]["sensor"]["values"])
