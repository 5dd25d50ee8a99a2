"""Published models through transformers: safe loading, shared spaces, and the rules for long inputs."""

import hashlib
import logging
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch  # after tiny_models, which prepares it
from safetensors.torch import load_file, save_file

from config.errors import Misconfigured
from config.settings import ModelSettings
from config.vocabulary import Modality, ModelRef
from encoders.alignment.heads import LinearHead, NetworkHead, load_head, save_head
from encoders.alignment.record import Alignment, save_record
from encoders.base import AudioInput, EncoderSet, TextInput
from encoders.registry import describe, load_encoders
from tests.tiny_models import DIMS, save_clap, save_clip, write_profile
from tests.tiny_tokenizers import TOKENS

BOTH = {"text": {"model": "clip"}, "image": {"model": "clip"}}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny CLIP, a tiny CLAP and a head for sounds."""
    folder = tmp_path_factory.mktemp("checkpoints")
    save_clip(folder / "clip")
    save_clap(folder / "clap")
    torch.manual_seed(3)
    save_head(LinearHead(DIMS, DIMS), folder / "heads", Modality.AUDIO)
    return folder


@pytest.fixture
def mine(checkpoints: Path, tmp_path: Path) -> Path:
    """The same, to be damaged at will."""
    return Path(shutil.copytree(checkpoints, tmp_path / "mine"))


def load(profile: Path) -> EncoderSet:
    """Load a profile on the CPU."""
    return load_encoders(ModelSettings(profile=str(profile), device="cpu", threads=1))


def encode(encoders: EncoderSet, modality: Modality, *items: object) -> np.ndarray:
    """Return the vectors of one batch."""
    encoder = encoders.encoders[modality]
    return encoder.finish(encoder.forward([encoder.prepare(item) for item in items]))


def hash_of(path: Path) -> str:
    """Return a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_text_agrees_with_the_library(checkpoints: Path):
    """Our text vector is the one that transformers computes for the same words."""
    from transformers import CLIPModel, CLIPTokenizer

    encoders = load(write_profile(checkpoints, modalities=BOTH, heads=None))
    model = CLIPModel.from_pretrained(checkpoints / "clip").eval()
    tokens = CLIPTokenizer.from_pretrained(checkpoints / "clip")(["a cat"], return_tensors="pt")
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(model.get_text_features(**tokens).pooler_output, dim=-1)[0]

    assert np.abs(encode(encoders, Modality.TEXT, TextInput(text="a cat"))[0] - expected.numpy()).max() < 1e-5


def test_sounds_of_another_space_need_a_head(checkpoints: Path):
    """Sounds from CLAP beside texts from CLIP are refused without a head: comparing them would mean nothing."""
    with pytest.raises(Misconfigured, match="crosscurrent train alignment"):
        load(write_profile(checkpoints, heads=None))


def test_the_shipped_profile_says_what_it_needs():
    """``clip-clap`` as it ships names the head that it lacks, before anything is fetched."""
    with pytest.raises(Misconfigured, match=r"laion/clap-htsat-unfused.*train alignment"):
        load_encoders(ModelSettings(profile="clip-clap", device="cpu", threads=1))


def test_sounds_alone_need_none(checkpoints: Path):
    """A profile of sounds only is one space."""
    encoders = load(write_profile(checkpoints, modalities={"audio": {"model": "clap"}}, heads=None))

    assert encoders.modalities == {Modality.AUDIO}


def test_the_head_is_applied(mine: Path):
    """Another head, another vector; a head of zeros but for one output points along it."""
    head = LinearHead(DIMS, DIMS)
    with torch.no_grad():
        head.linear.weight.zero_()
        head.linear.bias.zero_()
        head.linear.bias[5] = -2.0
    save_head(head, mine / "heads", Modality.AUDIO)
    sound = AudioInput(samples=np.ones(4000, np.float32), sample_rate_hz=16_000)
    [vector] = encode(load(write_profile(mine)), Modality.AUDIO, sound)

    assert vector[5] == pytest.approx(-1)


def test_a_head_may_change_the_length(mine: Path):
    """With heads for all modalities the space has the heads' length."""
    for modality in (Modality.TEXT, Modality.IMAGE, Modality.AUDIO):
        save_head(NetworkHead(DIMS, 7, hidden=9), mine / "heads", modality)

    assert load(write_profile(mine, dims=7)).dims == 7


def test_a_wrong_length_is_refused(checkpoints: Path):
    """A profile whose dims the model does not have is refused with both numbers."""
    with pytest.raises(Misconfigured, match=f"have {DIMS} numbers where dims says 99"):
        load(write_profile(checkpoints, modalities=BOTH, heads=None, dims=99))


def test_an_incomplete_checkpoint_is_refused(mine: Path):
    """Weights that a file lacks would be filled with random numbers: refused."""
    path = mine / "clip" / "model.safetensors"
    weights = load_file(path)
    del weights["visual_projection.weight"]
    save_file(weights, path, metadata={"format": "pt"})

    with pytest.raises(Misconfigured, match=r"lacks 1 weights.*visual_projection"):
        load(write_profile(mine, modalities=BOTH, heads=None))


def test_pickles_are_never_loaded(mine: Path):
    """A checkpoint with a pickle and no safetensors is refused."""
    path = mine / "clip" / "model.safetensors"
    torch.save(load_file(path), mine / "clip" / "pytorch_model.bin")
    path.unlink()

    with pytest.raises(Misconfigured, match="safetensors"):
        load(write_profile(mine, modalities=BOTH, heads=None))


def test_an_unknown_family_is_refused(mine: Path):
    """A model of a family that nobody reads is refused with those that are read."""
    config = mine / "clip" / "config.json"
    config.write_text('{"model_type": "gpt2"}', encoding="utf-8")

    with pytest.raises(Misconfigured, match=r"'gpt2'.*clip, siglip, siglip2, clap, pe_audio_video, dual encoders"):
        load(write_profile(mine, modalities=BOTH, heads=None))


def test_a_modality_that_a_model_has_not_is_refused(checkpoints: Path):
    """CLIP hears nothing: told with what it does encode."""
    with pytest.raises(Misconfigured, match="encodes text, image and not audio; name another model for audio"):
        load(write_profile(checkpoints, modalities={"audio": {"model": "clip"}}, heads=None))


def test_heads_of_the_settings_make_one_space(checkpoints: Path, tmp_path: Path):
    """A profile of two spaces loads with ``model.heads`` trained on it, under an identity of its own."""
    profile = write_profile(checkpoints, heads=None)
    dims = {Modality.TEXT: DIMS, Modality.IMAGE: DIMS, Modality.AUDIO: DIMS}
    files = {m: hash_of(save_head(LinearHead(DIMS, 7), tmp_path, m)) for m in dims}
    base = ModelRef("tiny", "1")
    options = {"items": 1, "validation_items": 1, "data": "x", "steps": 1, "best_step": 1}
    facts = {"options": {}, "validation": {}, **options}
    save_record(Alignment(name="mine", base=base, dims=7, sources=dims, files=files, facts=facts), tmp_path)
    encoders = load_encoders(ModelSettings(profile=str(profile), heads=str(tmp_path), device="cpu", threads=1))

    assert encoders.modalities == {Modality.TEXT, Modality.IMAGE, Modality.AUDIO}
    assert encoders.dims == 7
    assert str(encoders.model).startswith("tiny.mine@1-")


def test_warming_up_logs_each_stage_of_each_modality(checkpoints: Path, caplog: pytest.LogCaptureFixture):
    """The operator sees the milliseconds of every stage, the precision and the identity that vectors are kept under."""
    with caplog.at_level(logging.INFO):
        encoders = load(write_profile(checkpoints, modalities=BOTH, heads=None))

    for modality in ("text", "image"):
        pattern = rf"warm-up {modality}: prepare \d+\.\d ms, forward \d+\.\d ms, finish \d+\.\d ms"
        assert any(re.fullmatch(pattern, message) for message in caplog.messages)
    assert any("as CLIPModel on cpu in torch.float32" in message for message in caplog.messages)
    assert {encoder.model for encoder in encoders.encoders.values()} == {ModelRef("tiny", "1")}


def test_a_hub_model_that_is_not_here_is_refused():
    """Without the hub, a model that was never fetched is refused with the ways out."""
    from config.profiles import EncoderProfile, ModelSource
    from encoders.modalities.pretrained import load_part

    source = ModelSource(model="someone/never-fetched", revision="0" * 40)
    profile = EncoderProfile(name="x", kind="transformers", modalities={Modality.TEXT: source}, local_files_only=True)
    from transformers import AutoConfig

    with pytest.raises(Misconfigured, match="save the model to a folder"):
        load_part(AutoConfig.from_pretrained, source, profile)


def test_long_texts_are_read_to_their_end(checkpoints: Path):
    """What stands behind the model's limit of tokens still moves the vector."""
    encoders = load(write_profile(checkpoints, modalities=BOTH, heads=None))
    start = "abcdefgh " * TOKENS
    vectors = encode(encoders, Modality.TEXT, TextInput(text=start + "cat"), TextInput(text=start + "zebra qqq"))

    assert np.abs(vectors[0] - vectors[1]).max() > 1e-4


@pytest.mark.parametrize("fused", [False, True])
def test_long_sounds_are_heard_to_their_end_and_always_alike(tmp_path: Path, fused: bool):
    """A long sound has one vector, which its end moves; the library itself would crop at random."""
    save_clap(tmp_path / "clap", fused=fused)
    encoders = load(write_profile(tmp_path, modalities={"audio": {"model": "clap"}}, heads=None))
    noise = np.random.default_rng(0).uniform(-1, 1, 3 * 48_000).astype(np.float32)
    other = noise.copy()
    other[-30_000:] = np.sin(np.arange(30_000) / 20)
    sounds = [AudioInput(samples=samples, sample_rate_hz=48_000) for samples in (noise, other)]
    first, second = encode(encoders, Modality.AUDIO, *sounds), encode(encoders, Modality.AUDIO, *sounds)

    assert np.array_equal(first, second)
    assert np.abs(first[0] - first[1]).max() > 1e-4


def test_describe_tells_without_loading(checkpoints: Path):
    """The doctor's view: sources and packages by name."""
    facts = describe(ModelSettings(profile=str(write_profile(checkpoints))))

    assert facts.sources[Modality.TEXT] == str(checkpoints / "clip")
    assert set(facts.needs) == {"torch", "torchaudio", "transformers"}
    assert facts.missing == ()
    assert "pip" not in describe(ModelSettings(profile="clip-clap")).sources[Modality.AUDIO]


def test_heads_that_do_not_fit_are_refused(tmp_path: Path):
    """A head of other lengths, a damaged file and a file that is no head are refused by name."""
    path = save_head(LinearHead(4, 6), tmp_path, Modality.TEXT)
    assert load_head(tmp_path, Modality.IMAGE, source=4, dims=6) is None
    assert load_head(tmp_path, Modality.TEXT, source=4, dims=6) is not None
    with pytest.raises(Misconfigured, match="does not fit"):
        load_head(tmp_path, Modality.TEXT, source=5, dims=6)

    save_file({"weight": torch.ones(2)}, path)
    with pytest.raises(Misconfigured, match="is not an alignment head"):
        load_head(tmp_path, Modality.TEXT, source=4, dims=6)

    path.write_bytes(b"garbage")
    with pytest.raises(Misconfigured, match="cannot be read"):
        load_head(tmp_path, Modality.TEXT, source=4, dims=6)
