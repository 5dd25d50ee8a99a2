"""Segments as bytes: nothing is lost but what a direction does not need."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.vocabulary import Modality
from fusion.index.protocol import Segment
from fusion.index.segment_layout import directions, pack_segments, quantised, unpack_segments
from tests.fusion_builders import DIMS, frame, item, passage, stretch, unit

places = st.none() | st.integers(0, 10**5) | st.floats(0, 600, allow_nan=False)
segments = st.builds(
    Segment,
    modality=st.sampled_from(Modality),
    source=st.sampled_from(Modality),
    start=places,
    end=places,
    text=st.text(max_size=20),
    codes=st.sampled_from([b"", quantised(unit(1)), quantised(unit(2))]),
)


@given(st.lists(segments, max_size=5))
def test_segments_come_back_as_they_were(made: list[Segment]) -> None:
    """Words in any script, places in characters and in seconds, with and without codes."""
    assert unpack_segments(pack_segments(made)) == tuple(made)


def test_the_layout_is_fixed() -> None:
    """Other tools may read it: a header, JSON, and one int8 a dimension."""
    packed = pack_segments([passage("猫。", np.array([0.5, -1.0], np.float32)), frame(1.5, None)])
    names = json.dumps([["text", "text", 0, 2, "猫。", 2], ["image", "video", 1.5, 1.5, "", 0]], ensure_ascii=False)
    told = names.replace(", ", ",").encode()

    assert packed == b"CCS1" + struct.pack("<I", len(told)) + told + struct.pack("<2b", 64, -127)
    assert pack_segments([]) == b""


@pytest.mark.parametrize("cut", [3, 7, 20, -1])
def test_bytes_that_are_no_layout_are_refused(cut: int) -> None:
    """Rather than read as other segments."""
    with pytest.raises(ValueError):
        unpack_segments(pack_segments([stretch(0, 6, unit(1))])[:cut])


def test_cosines_survive_quantisation() -> None:
    """Of 384 dimensions they are off by less than 0.006, and by 0.002 at most times."""
    rows = np.stack([unit(seed, 384) for seed in range(100)])
    kept = item(
        "a", vectors={Modality.TEXT: rows[0]}, segments=[passage(str(place), row) for place, row in enumerate(rows)]
    )
    found = directions(kept)
    errors = np.abs(found @ found.T - rows @ rows.T)

    assert np.allclose(np.linalg.norm(found, axis=1), 1.0)
    assert errors.max() < 0.006
    assert np.median(errors) < 0.002


def test_an_items_own_vector_stands_for_what_has_no_codes() -> None:
    """In full precision; and an item without segments has no directions."""
    kept = item("a", vectors={Modality.TEXT: unit(1)}, segments=[passage("x", None), passage("y", unit(2))])

    assert np.allclose(directions(kept)[0], unit(1))
    assert directions(item("b")).shape == (0, DIMS)
