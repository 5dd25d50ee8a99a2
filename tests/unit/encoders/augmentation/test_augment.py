"""Second views: the same kind of thing, within stated bounds, and by the generator's state alone."""

import numpy as np
import pytest

from config.vocabulary import Modality
from encoders.augmentation import augment
from encoders.augmentation.audio import change_speed, telephone
from encoders.augmentation.text import SYNONYMS
from encoders.base import AudioInput, EncoderInput, ImageInput, LocationInput, SensorInput, TextInput
from encoders.samples import sample_input

EACH = [each for each in Modality if each is not Modality.VIDEO]


def same(left: EncoderInput, right: EncoderInput) -> bool:
    """Whether two inputs are equal, arrays and gaps included."""
    return all(
        np.array_equal(one, other, equal_nan=one.dtype.kind == "f") if isinstance(one, np.ndarray) else one == other
        for one, other in ((getattr(left, name), getattr(right, name)) for name in left.__slots__)
    )


@pytest.mark.parametrize("modality", EACH)
def test_a_view_follows_from_the_state_alone_and_the_input_stays(modality: Modality) -> None:
    """Same state, same view; other states, other views; strength 0 is the input itself."""
    item = TextInput(text="a big red car on a small road") if modality is Modality.TEXT else sample_input(modality)
    before = sample_input(modality) if modality is not Modality.TEXT else item
    views = [augment(modality, item, np.random.default_rng(seed)) for seed in (1, 1, 2, 3, 4, 5)]
    assert same(item, before)
    assert same(views[0], views[1])
    assert any(not same(views[0], view) for view in views[2:])
    assert augment(modality, item, np.random.default_rng(1), strength=0) is item
    assert all(type(view) is type(item) for view in views)


def test_a_text_keeps_a_word_and_gains_only_synonyms() -> None:
    """Whatever is dropped, something is left; new words come from the table or have two letters swapped."""
    words = ["big", "happy", "car", "house"]
    allowed = {other for word in words for other in (word, *SYNONYMS[word])}
    for seed in range(60):
        view = augment(Modality.TEXT, TextInput(text=" ".join(words)), np.random.default_rng(seed), strength=3.0)
        assert isinstance(view, TextInput)
        assert view.text
        assert all(word in allowed or any(sorted(word) == sorted(a) for a in allowed) for word in view.text.split())
    chinese = augment(Modality.TEXT, TextInput(text="红色的小汽车"), np.random.default_rng(0), strength=2.0)
    assert isinstance(chinese, TextInput)
    assert set(chinese.text) <= set("红色的小汽车")
    assert chinese.text


def test_a_picture_keeps_its_size_and_kind() -> None:
    """Also one pixel wide, and at any strength."""
    for shape in ((40, 60, 3), (1, 1, 3), (1, 50, 3)):
        item = ImageInput(pixels=np.full(shape, 120, np.uint8))
        for seed in range(10):
            view = augment(Modality.IMAGE, item, np.random.default_rng(seed), strength=2.0)
            assert isinstance(view, ImageInput)
            assert view.pixels.shape == shape
            assert view.pixels.dtype == np.uint8


def test_a_telephone_passes_only_its_band() -> None:
    """A tone outside is gone, one inside stays, and the steps are mu-law's."""
    times = np.arange(16_000) / 16_000
    for tone, passes in ((100, False), (1000, True), (5000, False)):
        heard = telephone((0.5 * np.sin(2 * np.pi * tone * times)).astype(np.float32), 16_000)
        assert (float(np.sqrt(np.mean(heard**2))) > 0.2) is passes
    assert len(np.unique(telephone((0.9 * np.sin(2 * np.pi * 500 * times)).astype(np.float32), 16_000))) <= 256


def test_speed_moves_the_pitch() -> None:
    """A tone of 1,000 Hz played a tenth faster is one of 1,100 Hz, and shorter."""
    times = np.arange(16_000) / 16_000
    fast = change_speed(np.sin(2 * np.pi * 1000 * times).astype(np.float32), 1.1)
    assert len(fast) == pytest.approx(16_000 / 1.1, abs=2)
    assert np.argmax(np.abs(np.fft.rfft(fast))) * 16_000 / len(fast) == pytest.approx(1100, abs=5)


@pytest.mark.parametrize("count", [0, 1, 700, 40_000])
def test_a_sound_of_any_length_stays_in_range(count: int) -> None:
    """Empty, one sample, too short for a spectrum, and long."""
    item = AudioInput(samples=np.random.default_rng(0).uniform(-1, 1, count).astype(np.float32), sample_rate_hz=16_000)
    view = augment(Modality.AUDIO, item, np.random.default_rng(1), strength=2.0)
    assert isinstance(view, AudioInput)
    assert view.samples.dtype == np.float32
    assert np.abs(view.samples).max(initial=0) <= 1
    assert len(view.samples) == pytest.approx(count, rel=0.14)


@pytest.mark.parametrize(("latitude", "longitude"), [(0.0, 180.0), (89.99, 10.0), (-90.0, 0.0), (48.1, 11.6)])
def test_a_place_moves_by_ten_kilometres_at_most(latitude: float, longitude: float) -> None:
    """On the sphere, also across the date line and beside a pole."""
    for seed in range(40):
        view = augment(
            Modality.LOCATION, LocationInput(latitude=latitude, longitude=longitude), np.random.default_rng(seed)
        )
        assert isinstance(view, LocationInput)
        assert -90 <= view.latitude <= 90
        assert -180 <= view.longitude <= 180
        a, b = (
            np.array([np.cos(p) * np.cos(q), np.cos(p) * np.sin(q), np.sin(p)])
            for p, q in np.radians([[latitude, longitude], [view.latitude, view.longitude]])
        )
        assert np.arccos(np.clip(a @ b, -1, 1)) * 6371.0088 < 10.01


def test_readings_keep_their_gaps_and_at_least_one_value() -> None:
    """A channel without readings stays so, one with few never loses the last, and noise follows the spread."""
    values = np.stack([np.sin(np.arange(50) / 5) * 10, np.full(50, np.nan), np.full(50, 7.0)], axis=1).astype(
        np.float32
    )
    item = SensorInput(channels=("a", "b", "c"), sample_rate_hz=1.0, values=values)
    for seed in range(20):
        view = augment(Modality.SENSOR, item, np.random.default_rng(seed), strength=5.0)
        assert isinstance(view, SensorInput)
        assert view.values.shape == values.shape
        assert np.isnan(view.values[:, 1]).all()
        assert np.isfinite(view.values[:, 0]).any()
        assert np.nanmax(np.abs(view.values[:, 2] - 7.0)) < 1e-5, "a constant has no spread"


def test_what_cannot_be_distorted_is_refused() -> None:
    """A clip has no encoder of its own, and strength is not negative."""
    with pytest.raises(ValueError, match="distort its pictures"):
        augment(Modality.VIDEO, TextInput(text="x"), np.random.default_rng(0))
    with pytest.raises(ValueError, match="at least 0"):
        augment(Modality.TEXT, TextInput(text="x"), np.random.default_rng(0), strength=-1)
