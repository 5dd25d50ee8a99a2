"""Tags at ingest without Kafka: which attributes an item gets, whose word counts, and what is refused at the start."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from config.errors import Misconfigured
from config.tagging import LabelSet, TaggingSettings
from config.vocabulary import Attributes, ItemId, Modality, Version
from encoders.base import TextInput, Vector
from fusion.index.protocol import Item
from tests.unit.workers.streams.support import PROFILE, batching
from workers.streams.tagging import make_tagger

MOOD = {"positive": ["lovely great happy"], "negative": ["awful bad sad"]}
TOPICS = {name: [f"{name} {name}s", name] for name in ("cat", "sun", "sea", "car", "hat", "ice")}
SETS: dict[str, Any] = {"mood": {"labels": MOOD}, "topics": {"labels": TOPICS, "multi": True}}

# Bags of words are told apart by their words alone, so confidence is low with an exclusive set's caution.
CERTAIN = {"min_confidence": 0.0}


def sets(**made: dict[str, Any]) -> dict[str, LabelSet]:
    """Label sets from plain dictionaries."""
    return TaggingSettings.model_validate({"sets": made}).label_sets()


def item(vectors: Mapping[Modality, Vector], own: Attributes | None = None) -> Item:
    """An item as it is before tagging."""
    return Item(item_id=ItemId("a"), version=Version(0, 0), vectors=vectors, attributes=own or {})


async def tagged(
    text: str, own: Attributes | None = None, made: dict[str, Any] | None = None, **vectors: Vector
) -> Attributes:
    """The attributes of an item with this text, after tagging."""
    async with batching() as batcher:
        tagger = await make_tagger(batcher, sets(**(SETS if made is None else made)))
        vector = await batcher.encode(Modality.TEXT, TextInput(text=text))
    others = {Modality(name): each for name, each in vectors.items()}
    [found] = tagger.tagged([item({Modality.TEXT: vector} | others, own)])
    return found.attributes


async def test_an_item_gets_a_label_and_a_list_with_their_confidence() -> None:
    """One label is a text, several are a list whose surest comes first; both have a number beside them."""
    found = await tagged("happy lovely: cat, cats, cat, sun, suns")
    assert found["mood"] == "positive"
    assert found["topics"] == ["cat", "sun"]
    assert 0.5 <= float(str(found["mood_confidence"])) <= 1.0
    assert 0.5 <= float(str(found["topics_confidence"])) <= 1.0
    assert set(found) == {"mood", "mood_confidence", "topics", "topics_confidence"}


async def test_what_is_not_sure_is_not_written() -> None:
    """A text about none of it has no attribute, so filters on it do not match."""
    assert await tagged("nothing of all this", made={"topics": SETS["topics"]}) == {}


@pytest.mark.parametrize("own", [{"mood": "furious"}, {"mood_confidence": 0.1}])
async def test_the_senders_own_attributes_stand(own: Attributes) -> None:
    """A set whose name the sender uses, in either attribute, adds nothing; the other sets do."""
    found = await tagged("happy lovely cat", own | {"year": 2024})
    assert {name: found[name] for name in own} == own
    assert len({"mood", "mood_confidence"} & set(found)) == 1
    assert found["year"] == 2024
    assert found["topics"] == ["cat"]


async def test_modalities_count_in_equal_parts() -> None:
    """A picture that says the opposite makes the text's label less sure; one that is not read changes nothing."""
    async with batching() as batcher:
        against = await batcher.encode(Modality.TEXT, TextInput(text="awful bad sad"))
    alone = await tagged("lovely great happy")
    both = await tagged("lovely great happy", made={"mood": SETS["mood"] | CERTAIN}, image=against)
    assert float(str(both["mood_confidence"])) == pytest.approx(0.5, abs=0.02)
    text_only = await tagged(
        "lovely great happy", made={"mood": SETS["mood"] | {"modalities": ["text"]}}, image=against
    )
    assert text_only["mood_confidence"] == alone["mood_confidence"]


async def test_an_item_without_what_a_set_reads_has_no_tag_of_it() -> None:
    """A sound alone says nothing to a set of texts and pictures."""
    async with batching() as batcher:
        tagger = await make_tagger(batcher, sets(mood={"labels": MOOD, "modalities": ["text"]} | CERTAIN))
    sound = item({Modality.AUDIO: np.eye(64, dtype=np.float32)[0]}, {"year": 1})
    assert tagger.tagged([sound]) == [sound]


async def refused(made: dict[str, Any], modalities: Sequence[Modality] = PROFILE) -> str:
    """Why a worker with these sets does not start."""
    async with batching(modalities) as batcher:
        with pytest.raises(Misconfigured) as caught:
            await make_tagger(batcher, sets(**made))
    return str(caught.value)


async def test_a_profile_without_texts_cannot_tag() -> None:
    """The message names the model and both ways out."""
    said = await refused(SETS, (Modality.IMAGE,))
    assert "deterministic@1 encodes no text" in said
    assert "model.profile" in said
    assert "tagging.presets" in said


async def test_a_set_that_can_read_nothing_is_refused() -> None:
    """It names what this profile does not encode."""
    said = await refused({"mood": {"labels": MOOD, "modalities": ["sensor"]}})
    assert "set mood reads sensor alone" in said
    assert "audio, image, text" in said


async def test_labels_that_mean_the_same_are_refused() -> None:
    """To the encoder, that is: the phrases differ as written."""
    assert "set mood: label 'a' cannot be told" in await refused({"mood": {"labels": {"a": ["Cat"], "b": ["cat!"]}}})


async def test_a_batch_is_tagged_as_its_items_are_alone() -> None:
    """Whatever stands beside an item, also one with nothing to read or with tags of its own."""
    async with batching() as batcher:
        tagger = await make_tagger(batcher, sets(mood={"labels": MOOD, "modalities": ["text"]} | CERTAIN))
        words = [(Modality.TEXT, TextInput(text=text)) for text in ("happy", "awful", "sad cat")]
        vectors = [vector for vector in await batcher.encode_many(words) if not isinstance(vector, Exception)]
    items = [item({Modality.TEXT: vector}) for vector in vectors]
    items[1:1] = [item({Modality.AUDIO: vectors[0]}), item({Modality.TEXT: vectors[0]}, {"mood": "bad"})]
    found = tagger.tagged(items)
    assert found == [tagger.tagged([one])[0] for one in items]
    assert [one.attributes.get("mood") for one in found] == ["positive", None, "bad", "negative", "negative"]
