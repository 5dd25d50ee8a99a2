"""The encoder contract, run by every implementation: what batching and the index rely on."""

from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec

import numpy as np
import pytest

from config.errors import Misconfigured, RejectEvent
from config.settings import ModelSettings
from config.vocabulary import Modality
from encoders.base import (
    AudioInput,
    Encoder,
    EncoderInput,
    EncoderSet,
    ImageInput,
    LocationInput,
    SensorInput,
    TextInput,
    Vector,
)
from encoders.batching import DeviceBatcher
from encoders.deterministic import deterministic_encoders
from encoders.registry import load_encoders
from tests.scratch import scratch_folder

RATE_HZ = 16_000


def words() -> list[EncoderInput]:
    """Texts of many lengths and scripts."""
    long = " ".join(f"sentence number {n} about boats and rivers." for n in range(60))
    return [TextInput(text=text) for text in ("cat", "猫", "a red car at night", "gato", "🐱", long, "x" * 3000, "7")]


def pictures() -> list[EncoderInput]:
    """Noise, flat colour and drawings of many shapes, down to one pixel."""
    random = np.random.default_rng(5)
    shapes = [(64, 64), (200, 90), (33, 301), (1, 1), (512, 640)]
    noise = [random.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]
    drawing = np.full((128, 128, 3), 255, np.uint8)
    drawing[40:90, 30:80] = (200, 30, 30)
    return [ImageInput(pixels=each) for each in [*noise, drawing, np.full((50, 50, 3), 128, np.uint8)]]


def sounds() -> list[EncoderInput]:
    """Noises of many lengths and rates, a single sample, digital silence, half a minute, and a minute."""
    random = np.random.default_rng(6)
    shapes = [
        (8_000, 16_000),
        (30_000, 44_100),
        (4_000, 8_000),
        (1, 16_000),
        (50_000, 47_999),
        (480_000, 16_000),
        (500_000, 8_000),
    ]
    noise = [(random.uniform(-0.5, 0.5, count).astype(np.float32), rate) for count, rate in shapes]
    silence = (np.zeros(20_000, np.float32), RATE_HZ)
    return [AudioInput(samples=samples, sample_rate_hz=rate) for samples, rate in [*noise, silence]]


def places() -> list[EncoderInput]:
    """Places far apart, poles and the date line among them."""
    return [LocationInput(latitude=la, longitude=lo) for la, lo in [(35.66, 139.75), (-33.9, 18.4), (90, 0), (0, -180)]]


def readings() -> list[EncoderInput]:
    """Series of several lengths, one with gaps."""
    gaps = np.array([[20.0], [np.nan], [21.0]], np.float32)
    return [
        SensorInput(channels=("temperature_celsius",), sample_rate_hz=0.1, values=values)
        for values in (np.ones((5, 1), np.float32), np.arange(40, dtype=np.float32)[:, None], gaps)
    ]


GOOD: dict[Modality, Callable[[], list[EncoderInput]]] = {
    Modality.TEXT: words,
    Modality.IMAGE: pictures,
    Modality.AUDIO: sounds,
    Modality.LOCATION: places,
    Modality.SENSOR: readings,
}
BAD: dict[Modality, EncoderInput] = {
    Modality.TEXT: TextInput(text=" \u200b\n"),
    Modality.AUDIO: AudioInput(samples=np.zeros(0, np.float32), sample_rate_hz=RATE_HZ),
}


@cache
def deterministic() -> EncoderSet:
    """The shipped encoders without weights."""
    return deterministic_encoders()


@cache
def builtin() -> EncoderSet:
    """The built-in model."""
    return load_encoders(ModelSettings(profile="builtin", device="cpu", threads=1))


@cache
def untrained() -> EncoderSet:
    """The built-in model's code on random weights: what it promises must not hang on what was trained."""
    import torch

    from encoders.builtin.artifacts import load_manifest
    from encoders.modalities.builtin import BuiltinImageEncoder, BuiltinSpeechEncoder, BuiltinTextEncoder
    from tests.builtin_weights import save_random_weights

    folder = save_random_weights(scratch_folder("untrained-"))
    manifest, cpu = load_manifest(folder), torch.device("cpu")
    classes = (BuiltinTextEncoder, BuiltinImageEncoder, BuiltinSpeechEncoder)
    encoders = {each.modality: each(manifest, cpu, folder) for each in classes}
    return EncoderSet(model=manifest.model, dims=manifest.dims, encoders=encoders)


@cache
def tiny() -> EncoderSet:
    """CLIP and CLAP through transformers, on small random checkpoints."""
    from encoders.alignment.heads import LinearHead, save_head
    from tests.tiny_models import DIMS, save_clap, save_clip, write_profile

    folder = scratch_folder("tiny-models-")
    save_clip(folder / "clip")
    save_clap(folder / "clap")
    save_head(LinearHead(DIMS, DIMS), folder / "heads", Modality.AUDIO)
    return load_encoders(ModelSettings(profile=str(write_profile(folder)), device="cpu", threads=1))


@cache
def published(name: str) -> EncoderSet:
    """One published architecture through transformers, on a small random checkpoint."""
    from tests.tiny_models import write_alone

    profile = write_alone(scratch_folder("tiny-models-"), name)
    return load_encoders(ModelSettings(profile=str(profile), device="cpu", threads=1))


PUBLISHED: dict[str, tuple[Modality, ...]] = {
    "clip": (Modality.TEXT, Modality.IMAGE),
    "siglip": (Modality.TEXT, Modality.IMAGE),
    "naflex": (Modality.TEXT, Modality.IMAGE),
    "clap": (Modality.TEXT, Modality.AUDIO),
    "chinese-clip": (Modality.TEXT, Modality.IMAGE),
    "metaclip-2": (Modality.TEXT, Modality.IMAGE),
    "align": (Modality.TEXT, Modality.IMAGE),
    "sentence": (Modality.TEXT,),
    "xlm-roberta": (Modality.TEXT,),
    "pe-av": (Modality.TEXT, Modality.IMAGE, Modality.AUDIO),
}
IMPLEMENTATIONS: dict[str, tuple[Callable[[], EncoderSet], tuple[Modality, ...]]] = {
    "deterministic": (deterministic, tuple(GOOD)),
    "builtin": (builtin, (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)),
    "untrained": (untrained, (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)),
    "clip-clap": (tiny, (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)),
    **{name: (partial(published, name), modalities) for name, modalities in PUBLISHED.items()},
}
CASES = [(name, modality) for name, (_, modalities) in IMPLEMENTATIONS.items() for modality in modalities]


@pytest.fixture(params=CASES, ids=[f"{name}-{modality}" for name, modality in CASES])
def case(request: pytest.FixtureRequest) -> tuple[EncoderSet, Modality]:
    """Each implementation with each modality that it encodes."""
    name, modality = request.param
    if name == "pe-av" and find_spec("timm") is None:
        pytest.skip("PE-AV's pictures are read by timm, which is not installed: pip install 'crosscurrent[pe-av]'")
    try:
        return IMPLEMENTATIONS[name][0](), modality
    except Misconfigured as exc:
        if name == "builtin":
            pytest.skip(f"the built-in model cannot be loaded here: {exc}")
        raise


def encode(encoder: Encoder, items: list[EncoderInput]) -> np.ndarray:
    """Return the vectors of one batch."""
    return encoder.finish(encoder.forward([encoder.prepare(item) for item in items]))


def test_vectors_are_unit_float32_of_the_space(case: tuple[EncoderSet, Modality]):
    """Rows are float32 of unit norm, as long as the space, one an input; all encoders of a set name one model."""
    encoders, modality = case
    encoder = encoders.encoders[modality]
    items = GOOD[modality]()
    vectors = encode(encoder, items)

    assert isinstance(encoder, Encoder)
    assert vectors.shape == (len(items), encoders.dims)
    assert vectors.dtype == np.float32
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
    assert (encoder.model, encoder.dims, encoder.modality) == (encoders.model, encoders.dims, modality)


def test_order_is_kept_and_company_does_not_matter(case: tuple[EncoderSet, Modality]):
    """Alone, in a batch and in a batch the other way round, an input has the same vector to 1e-4."""
    encoders, modality = case
    encoder = encoders.encoders[modality]
    items = GOOD[modality]()
    together = encode(encoder, items)
    alone = np.concatenate([encode(encoder, [item]) for item in items])
    reversed_ = encode(encoder, items[::-1])[::-1]

    assert np.abs(together - alone).max() < 1e-4
    assert np.abs(together - reversed_).max() < 1e-4


def test_the_same_input_gives_the_same_vector(case: tuple[EncoderSet, Modality]):
    """Nothing is drawn at random: a replayed event writes what it wrote before."""
    encoders, modality = case
    encoder = encoders.encoders[modality]
    items = GOOD[modality]()

    assert np.array_equal(encode(encoder, items), encode(encoder, items))


def test_different_inputs_have_different_vectors(case: tuple[EncoderSet, Modality], request: pytest.FixtureRequest):
    """The encoder looks at its input."""
    encoders, modality = case
    if "untrained" in request.node.name:
        pytest.skip("random weights hardly tell anything apart")
    vectors = encode(encoders.encoders[modality], GOOD[modality]())
    cosines = vectors @ vectors.T - 2 * np.eye(len(vectors))

    assert cosines.max() < 1 - 1e-6


async def test_bad_input_is_refused_alone(case: tuple[EncoderSet, Modality]):
    """A batch with an empty input among good ones gives the good ones their vectors, and it its refusal."""
    encoders, modality = case
    if modality not in BAD:
        pytest.skip(f"every {modality} input of the right type can be encoded")
    good = GOOD[modality]()[0]
    batcher = DeviceBatcher(encoders, ModelSettings())
    try:
        outcomes = await batcher.encode_many([(modality, item) for item in (good, BAD[modality], good)])
    finally:
        await batcher.close()

    assert isinstance(outcomes[1], RejectEvent)
    vectors: list[Vector] = [outcome for outcome in (outcomes[0], outcomes[2]) if not isinstance(outcome, RejectEvent)]
    expected = encode(encoders.encoders[modality], [good])[0]
    assert len(vectors) == 2
    assert all(np.abs(vector - expected).max() < 1e-4 for vector in vectors)
