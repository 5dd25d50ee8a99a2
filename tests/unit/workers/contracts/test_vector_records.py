"""Vectors travel bit for bit, and a record that does not add up is refused."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from pydantic import ValidationError

from config.vocabulary import ItemId, Modality, ModelRef, UserId, Version
from fusion.people.protocol import Profile, Step, Sums
from tests.fusion_builders import frame, passage, stretch, unit
from workers.contracts.profiles import USER_PROFILES, UserProfile, forgotten_at, forgotten_headers
from workers.contracts.vectors import (
    ITEM_VECTORS,
    ItemVectors,
    deletion_headers,
    deletion_version,
    pack_vector,
    unpack_vector,
)

MODEL = ModelRef("deterministic", "1")
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def test_an_item_comes_back_bit_for_bit():
    """Rebuilding from the topic gives the same floats, version and attributes."""
    vectors = {Modality.TEXT: np.float32([0.6, 0.8]), Modality.IMAGE: np.float32([1 / 3, -2 / 3])}
    sent = ItemVectors.of(ItemId("a"), Version(5, 7), MODEL, vectors, {"year": 2024})
    read = ITEM_VECTORS.validate_json(sent.to_bytes())
    assert read.version() == Version(5, 7)
    assert read.attributes == {"year": 2024}
    assert all(np.array_equal(read.unpacked()[modality], vector) for modality, vector in vectors.items())


def test_segments_come_back_as_they_were():
    """An index filled again from the topic gives the same summaries: words, places and directions."""
    segments = (
        passage("港の朝、船が帰る。", unit(1)),
        frame(1.25, None),
        frame(None, unit(2)),
        stretch(0.0, 6.5, unit(3)),
    )
    sent = ItemVectors.of(ItemId("a"), Version(5, 7), MODEL, {Modality.IMAGE: unit(9)}, {}, segments=segments)
    assert ITEM_VECTORS.validate_json(sent.to_bytes()).unpacked_segments() == segments


def test_segments_of_another_length_are_refused():
    """The record names which."""
    good = ItemVectors.of(ItemId("a"), Version(5, 7), MODEL, {Modality.TEXT: unit(9)}, {})
    wrong = good.model_dump(mode="json") | {"segments": [{"modality": "text", "source": "text", "codes": "X38="}]}
    with pytest.raises(ValidationError, match=r"segments\[0\] has 2 codes, not 32"):
        ITEM_VECTORS.validate_json(json.dumps(wrong))


@pytest.mark.parametrize("packed", ["AAAA", "AAAAAA==", pack_vector(np.float32([1.0, 0.0, 0.0]))])
def test_a_vector_of_another_length_is_refused(packed: str):
    """Bytes that are no float32 numbers, or not as many as said, never reach an index."""
    with pytest.raises(ValidationError):
        ItemVectors(
            item_id=ItemId("a"),
            version_ms=0,
            version_offset=0,
            model="m@1",
            dims=2,
            vectors={Modality.TEXT: packed},
        )


def test_a_profile_comes_back_bit_for_bit():
    """A snapshot holds the taste exactly, and a cold user has none."""
    taste = np.float32([0.6, -0.8])
    warm = Profile(user_id=UserId("u"), vector=taste, strength=1.5, recent=(ItemId("a"),), updated_at_ms=9)
    read = USER_PROFILES.validate_json(UserProfile.of(warm, MODEL, NOW).to_bytes())
    vector = read.unpacked()
    assert vector is not None
    assert np.array_equal(vector, taste)
    cold = Profile(user_id=UserId("u"), vector=None, strength=0, recent=(), updated_at_ms=9)
    assert USER_PROFILES.validate_json(UserProfile.of(cold, MODEL, NOW).to_bytes()).unpacked() is None


def test_a_deletion_carries_its_version():
    """In a header, for the record has no value; what is no version is none."""
    for version in (Version(1_760_000_000_000, 7), Version(-5, 0)):
        assert deletion_version(deletion_headers(version)) == version
    for wrong in ({}, {"version": b""}, {"version": b"1"}, {"version": b"1:-2"}, {"version": b"1:2 "}):
        assert deletion_version(wrong) is None


def test_what_a_profile_is_made_of_comes_back_bit_for_bit():
    """So that a store that was lost goes on with the same sums, and knows who was forgotten."""
    sums = Sums(total=np.array([1 / 3, -2e-9]), strength=0.1 + 0.2, reference_ms=7)
    step = Step(item_id=ItemId("a"), weight=-1.5, occurred_at_ms=9, session_id="s")
    sent = Profile(
        user_id=UserId("u"), vector=np.float32([0.6, -0.8]), strength=1.5, recent=(ItemId("a"),), updated_at_ms=9,
        steps=(step,), touched_ms=(9,), sums=sums,
    )  # fmt: skip
    read = USER_PROFILES.validate_json(UserProfile.of(sent, MODEL, NOW).to_bytes()).profile()
    assert read.sums is not None
    assert read.sums.total.tobytes() == sums.total.tobytes()
    assert (read.sums.strength, read.sums.reference_ms) == (sums.strength, 7)
    assert (read.steps, read.touched_ms, read.recent) == ((step,), (9,), sent.recent)
    assert forgotten_at(forgotten_headers(-5)) == -5
    assert forgotten_at(forgotten_headers(None)) is forgotten_at({"forgotten_ms": b"x"}) is None


def test_unpacked_vectors_are_little_endian_float32():
    """The layout is fixed, whatever machine wrote it."""
    assert unpack_vector("AACAPw==").tolist() == [1.0]
