"""Every published architecture: our vectors are the library's, in any precision, to the end of a long text."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.errors import Misconfigured
from config.profiles import EncoderProfile, ModelSource
from config.settings import ModelSettings
from config.vocabulary import Modality
from encoders.base import AudioInput, EncoderInput, EncoderSet, ImageInput, TextInput
from encoders.modalities.sentence import FAMILIES
from encoders.registry import load_encoders
from encoders.samples import sample_input
from tests.scratch import scratch_folder
from tests.tiny_models import (
    CHECKPOINTS,
    DIMS,
    HAS_TIMM,
    save_clap,
    save_language_model,
    save_sentence,
    write_alone,
    write_profile,
)
from tests.tiny_tokenizers import TOKENS

import torch  # isort: skip - after tiny_models, which prepares it
from torch.nn import functional  # isort: skip

NEEDS_TIMM = pytest.mark.skipif(not HAS_TIMM, reason="needs timm: pip install 'crosscurrent[pe-av]'")
NAMES = [pytest.param(name, marks=NEEDS_TIMM if name == "pe-av" else ()) for name in CHECKPOINTS]
DUALS = ["clip", "chinese-clip", "metaclip-2", "align"]
PICTURE = np.random.default_rng(3).integers(0, 256, (40, 56, 3), dtype=np.uint8)


@cache
def folder_of(name: str) -> Path:
    """Return a folder in which the checkpoint lies under its name."""
    folder = scratch_folder(f"{name}-")
    write_alone(folder, name)
    return folder


def loaded(name: str, **changes: object) -> EncoderSet:
    """Return the checkpoint's encoders, with changes to its profile; each set is loaded once."""
    return _loaded(name, json.dumps(changes))


@cache
def _loaded(name: str, changes: str) -> EncoderSet:
    return load(write_alone(folder_of(name), name, **json.loads(changes)))


def load(profile: Path) -> EncoderSet:
    """Load a profile on the CPU."""
    return load_encoders(ModelSettings(profile=str(profile), device="cpu", threads=1))


def encode(encoders: EncoderSet, modality: Modality, *items: EncoderInput) -> np.ndarray:
    """Return the vectors of one batch."""
    encoder = encoders.encoders[modality]
    return encoder.finish(encoder.forward([encoder.prepare(item) for item in items]))


def words(encoders: EncoderSet, *texts: str) -> np.ndarray:
    """Return the vectors of texts."""
    return encode(encoders, Modality.TEXT, *(TextInput(text=text) for text in texts))


def unit(rows: Any) -> np.ndarray:
    """Return rows of unit norm."""
    return functional.normalize(rows.detach().float(), dim=-1).numpy()


@pytest.mark.parametrize("name", DUALS)
def test_dual_encoders_agree_with_the_library(name: str):
    """Text and picture vectors are those that the family's own tokenizer, processor and network give."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.models.auto.image_processing_auto import AutoImageProcessor

    place = folder_of(name) / name
    network = AutoModel.from_pretrained(place).eval()
    tokens = AutoTokenizer.from_pretrained(place)(["a cat"], return_tensors="pt")
    pixels = AutoImageProcessor.from_pretrained(place, backend="pil")([PICTURE], return_tensors="pt")
    text = network.get_text_features(tokens["input_ids"], tokens["attention_mask"]).pooler_output
    picture = network.get_image_features(pixels["pixel_values"]).pooler_output
    encoders = loaded(name)

    assert np.abs(words(encoders, "a cat") - unit(text)).max() < 1e-5
    assert np.abs(encode(encoders, Modality.IMAGE, ImageInput(pixels=PICTURE)) - unit(picture)).max() < 1e-5


@pytest.mark.parametrize("name", ["siglip", "naflex"])
def test_siglip_agrees_with_the_library(name: str):
    """A text is lower-cased and padded on the right to full length, without a mask; pictures are as processed."""
    from transformers import AutoModel, PreTrainedTokenizerFast, Siglip2ImageProcessorPil, SiglipImageProcessorPil

    place = folder_of(name) / name
    network = AutoModel.from_pretrained(place).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(place)
    tokens = tokenizer(["a cat"], padding="max_length", max_length=TOKENS, return_tensors="pt")["input_ids"]
    processor = Siglip2ImageProcessorPil if name == "naflex" else SiglipImageProcessorPil
    pixels = processor.from_pretrained(place)([PICTURE], return_tensors="pt")
    text, picture = network.get_text_features(tokens), network.get_image_features(**pixels)
    encoders = loaded(name)

    assert tokens.shape == (1, TOKENS)
    assert tokens[0, -1] == tokenizer.pad_token_id
    assert np.abs(words(encoders, "A Cat") - unit(text.pooler_output)).max() < 1e-5
    assert (
        np.abs(encode(encoders, Modality.IMAGE, ImageInput(pixels=PICTURE)) - unit(picture.pooler_output)).max() < 1e-5
    )


def test_siglip_of_the_first_kind_tells_what_it_needs(tmp_path: Path):
    """Its tokenizer is a SentencePiece model: where that package is missing, the refusal names it."""
    write_alone(tmp_path, "siglip")
    path = tmp_path / "siglip" / "tokenizer_config.json"
    path.write_text(json.dumps({"tokenizer_class": "SiglipTokenizer"}), encoding="utf-8")

    with pytest.raises(Misconfigured, match=r"(?i)sentencepiece|cannot be loaded"):
        load(write_alone(tmp_path, "siglip"))


def test_clap_agrees_with_the_library():
    """Texts too, and a sound has one vector whether the text tower is loaded beside it or not."""
    from transformers import AutoTokenizer, ClapModel

    place = folder_of("clap") / "clap"
    network = ClapModel.from_pretrained(place).eval()
    tokens = AutoTokenizer.from_pretrained(place)(["rain"], return_tensors="pt")
    text = network.get_text_features(tokens["input_ids"], tokens["attention_mask"]).pooler_output
    both = loaded("clap")
    alone = {modality: loaded("clap", modalities={modality: {"model": "clap"}}) for modality in ("text", "audio")}
    sound = sample_input(Modality.AUDIO)

    assert both.modalities == {Modality.TEXT, Modality.AUDIO}
    assert np.abs(words(both, "rain") - unit(text)).max() < 1e-5
    assert np.abs(words(alone["text"], "rain") - words(both, "rain")).max() < 1e-5
    heard = [encode(encoders, Modality.AUDIO, sound) for encoders in (both, alone["audio"])]
    assert np.abs(heard[0] - heard[1]).max() < 1e-5


def test_clap_reads_passages_as_long_as_it_was_trained_on(tmp_path: Path):
    """Its table has room for hundreds of tokens, of which training used 77."""
    save_clap(tmp_path / "clap", tokens=200)
    encoders = load(write_profile(tmp_path, modalities={"text": {"model": "clap"}}, heads=None))

    assert max(map(len, encoders.encoders[Modality.TEXT].prepare(TextInput(text="rain " * 200)))) == 77


def test_sentences_are_cut_as_their_files_say(tmp_path: Path):
    """The length that the model was trained on, below what its table of positions holds."""
    save_sentence(tmp_path / "sentence", limit=9)
    encoders = load(write_profile(tmp_path, modalities={"text": {"model": "sentence"}}, heads=None))

    assert max(map(len, encoders.encoders[Modality.TEXT].prepare(TextInput(text="rain " * 200)))) == 9


@pytest.mark.parametrize(
    ("pooling", "pool"),
    [
        ("mean", lambda states: states.mean(dim=1)),
        ("cls", lambda states: states[:, 0]),
        ("max", lambda states: states.amax(dim=1)),
    ],
)
def test_sentences_are_pooled_as_their_files_say(tmp_path: Path, pooling: str, pool: Callable[[Any], Any]):
    """Mean, first token or maximum, over the tokens that are there and not over padding."""
    from transformers import AutoModel, AutoTokenizer

    place = save_sentence(tmp_path / "sentence", pooling=pooling)
    tokens = AutoTokenizer.from_pretrained(place)(["a cat"], return_tensors="pt")
    states = AutoModel.from_pretrained(place).eval()(**tokens).last_hidden_state
    encoders = load(write_profile(tmp_path, modalities={"text": {"model": "sentence"}}, heads=None))

    assert np.abs(words(encoders, "a cat", "a much longer text")[:1] - unit(pool(states))).max() < 1e-5


def test_sentences_without_instructions_are_averaged(tmp_path: Path):
    """A language model that comes without the files of Sentence-Transformers is pooled like one that says mean."""
    save_sentence(tmp_path / "plain", pooling=None)
    save_sentence(tmp_path / "said", pooling="mean", limit=64)
    plain, said = (
        load(write_profile(tmp_path, modalities={"text": {"model": model}}, heads=None)) for model in ("plain", "said")
    )

    assert np.array_equal(words(plain, "a cat"), words(said, "a cat"))


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("modules.json", [{"type": "sentence_transformers.models.Dense"}], "has the layer Dense"),
        ("1_Pooling/config.json", {"pooling_mode_lasttoken": True}, "pools by pooling_mode_lasttoken"),
        ("1_Pooling/config.json", {"pooling_mode": "weightedmean"}, "pools by weightedmean"),
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "known is one"),
    ],
)
def test_sentences_pooled_otherwise_are_refused(tmp_path: Path, file: str, content: object, told: str):
    """What cannot be done as the model's files say is not done in another way."""
    place = save_sentence(tmp_path / "sentence")
    (place / file).write_text(json.dumps(content), encoding="utf-8")

    with pytest.raises(Misconfigured, match=told):
        load(write_profile(tmp_path, modalities={"text": {"model": "sentence"}}, heads=None))


def test_a_newer_pooling_file_is_read(tmp_path: Path):
    """The mode may be written as one word."""
    place = save_sentence(tmp_path / "sentence", pooling="cls")
    before = words(load(write_profile(tmp_path, modalities={"text": {"model": "sentence"}}, heads=None)), "a cat")
    (place / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls"}', encoding="utf-8")

    after = words(load(write_profile(tmp_path, modalities={"text": {"model": "sentence"}}, heads=None)), "a cat")
    assert np.array_equal(before, after)


def test_a_file_that_was_never_asked_for_is_not_one_that_is_missing():
    """Without the hub it cannot be told whether a model says how it pools: refused, not averaged."""
    from encoders.modalities.optional_files import optional_file
    from encoders.modalities.pretrained import ModelUse

    source = ModelSource(model="someone/never-fetched", revision="0" * 40)
    profile = EncoderProfile(name="x", kind="transformers", modalities={Modality.TEXT: source}, local_files_only=True)
    use = ModelUse(profile=profile, source=source, users=frozenset({Modality.TEXT}), device=torch.device("cpu"))
    with pytest.raises(Misconfigured, match="give the machine access to the hub once"):
        optional_file(use, "1_Pooling/config.json")


@NEEDS_TIMM
def test_pe_av_agrees_with_the_library():
    """Every cosine across modalities is half the network's own between the vectors that it compares for that pair."""
    from transformers import AutoTokenizer, PeAudioVideoModel

    encoders = loaded("pe-av")
    place = folder_of("pe-av") / "pe-av"
    network = PeAudioVideoModel.from_pretrained(place).eval()
    sound = AudioInput(samples=np.sin(np.arange(800 * 3) / 5).astype(np.float32), sample_rate_hz=800)
    pixels = torch.from_numpy(encoders.encoders[Modality.IMAGE].prepare(ImageInput(pixels=PICTURE)))
    tokens = AutoTokenizer.from_pretrained(place)(["a cat"], return_tensors="pt")
    with torch.inference_mode():
        output = network(
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
            input_values=torch.from_numpy(sound.samples)[None, None],
            pixel_values_videos=pixels[None, None],
        )
    text = words(encoders, "a cat")[0]
    picture = encode(encoders, Modality.IMAGE, ImageInput(pixels=PICTURE))[0]
    heard = encode(encoders, Modality.AUDIO, sound)[0]

    assert text @ heard == pytest.approx(cosine(output.text_audio_embeds, output.audio_embeds) / 2, abs=1e-5)
    assert text @ picture == pytest.approx(cosine(output.text_video_embeds, output.video_embeds) / 2, abs=1e-5)
    assert picture @ heard == pytest.approx(cosine(output.video_embeds, output.audio_embeds) / 2, abs=1e-5)


@NEEDS_TIMM
def test_pe_av_does_not_hear_the_silence_that_it_is_padded_with():
    """A sound of little more than a second, padded to two, has the vector that the network gives it unpadded."""
    from transformers import PeAudioVideoModel

    encoders = loaded("pe-av", modalities={"audio": {"model": "pe-av"}}, dims=DIMS)
    network = PeAudioVideoModel.from_pretrained(folder_of("pe-av") / "pe-av").eval()
    samples = np.random.default_rng(4).uniform(-1, 1, 800 + 32).astype(np.float32)
    expected = network.audio_model.get_audio_embeds(torch.from_numpy(samples)[None, None])
    [heard] = encode(encoders, Modality.AUDIO, AudioInput(samples=samples, sample_rate_hz=800))

    assert heard @ unit(expected)[0] > 0.9999  # 0.998 where the padding is heard


def cosine(first: Any, second: Any) -> float:
    """Return the cosine of two rows."""
    return float(functional.cosine_similarity(first, second)[0])


@NEEDS_TIMM
def test_pe_av_of_two_modalities_is_not_longer_than_the_model():
    """With texts and sounds alone there is one pair, and the cosine is the network's own."""
    three, two = (
        loaded("pe-av"),
        loaded("pe-av", modalities={"text": {"model": "pe-av"}, "audio": {"model": "pe-av"}}, dims=DIMS),
    )
    sound = sample_input(Modality.AUDIO)
    cosines = [words(each, "rain")[0] @ encode(each, Modality.AUDIO, sound)[0] for each in (three, two)]

    assert two.dims == DIMS
    assert cosines[0] == pytest.approx(cosines[1] / 2, abs=1e-5)


@pytest.mark.skipif(HAS_TIMM, reason="timm is installed here")
def test_pe_av_without_timm_says_what_to_install(tmp_path: Path):
    """Before anything is fetched."""
    (tmp_path / "pe-av").mkdir()
    (tmp_path / "pe-av" / "config.json").write_text('{"model_type": "pe_audio_video"}', encoding="utf-8")

    with pytest.raises(Misconfigured, match=r"pip install 'crosscurrent\[pe-av\]'"):
        load(write_alone(tmp_path, "pe-av"))


@pytest.mark.parametrize("name", NAMES)
def test_long_texts_are_read_to_their_end(name: str):
    """What stands behind the model's limit of tokens still moves the vector, and is not read twice as one."""
    start = "abcdefgh " * TOKENS
    vectors = words(loaded(name), start + "cat", start + "zebra qqq")

    assert np.abs(vectors[0] - vectors[1]).max() > 1e-4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_goes_through_every_network(name: str, dtype: str):
    """Weights and pixels in half precision, ids and masks as they are, vectors in single precision of unit norm."""
    exact, half = loaded(name), loaded(name, dtype=dtype)
    for modality in exact.modalities:
        item = sample_input(modality)
        [one], [other] = encode(exact, modality, item), encode(half, modality, item)

        assert half.encoders[modality]._network.dtype == getattr(torch, dtype)
        assert other.dtype == np.float32
        assert abs(np.linalg.norm(other) - 1) < 1e-5
        assert one @ other > 0.97


def test_the_words_before_a_text_are_read_with_it():
    """A prefix is as if the sender had typed it; text and picture still share one network."""
    both = {"text": {"model": "clip", "prefix": "query: "}, "image": {"model": "clip"}}
    said, typed = loaded("clip", modalities=both), loaded("clip")
    networks = {id(encoder._network) for encoder in said.encoders.values()}

    assert np.allclose(words(said, "cat"), words(typed, "query: cat"), atol=1e-6)
    assert len(networks) == 1


def test_every_passage_of_a_long_text_has_the_words_before_it():
    """The prefix stands before later passages too; one that leaves no room for the text is refused."""
    encoder = loaded("clip", modalities={"text": {"model": "clip", "prefix": "q: "}}).encoders[Modality.TEXT]
    passages = encoder.prepare(TextInput(text="abc " * TOKENS))

    assert len(passages) > 2
    assert len({tuple(passage[:3]) for passage in passages}) == 1
    assert max(map(len, passages)) == TOKENS
    with pytest.raises(Misconfigured, match=r"takes 12 of the 14 tokens.*shorten it"):
        loaded("clip", modalities={"text": {"model": "clip", "prefix": "abcdefghijkl"}})


def test_a_family_that_wants_its_padding_is_refused():
    """A dual encoder whose text vector changes beside longer texts would give one text two vectors."""
    from encoders.modalities.dual import DualTextEncoder, load_dual
    from encoders.modalities.pretrained import ModelUse

    class Unmasked(DualTextEncoder):
        def features(self, ids: Any, mask: Any) -> Any:
            return super().features(ids, torch.ones_like(mask))

    source = ModelSource(model=str(folder_of("chinese-clip") / "chinese-clip"))
    profile = EncoderProfile(name="x", kind="transformers", modalities={Modality.TEXT: source})
    use = ModelUse(profile=profile, source=source, users=frozenset({Modality.TEXT}), device=torch.device("cpu"))
    with pytest.raises(Misconfigured, match="wants texts padded in a way that is not known here"):
        Unmasked(load_dual(use), use, model=None, dims=DIMS, head=None, device=torch.device("cpu"))


def test_preprocessing_that_does_not_fit_its_weights_is_refused(tmp_path: Path):
    """A processor of another size is told at the start, with the model's name."""
    from transformers import ChineseCLIPImageProcessorPil

    write_alone(tmp_path, "chinese-clip")
    ChineseCLIPImageProcessorPil().save_pretrained(tmp_path / "chinese-clip")

    with pytest.raises(Misconfigured, match=r"chinese-clip cannot encode even a sample \(ValueError: Input image size"):
        load(write_alone(tmp_path, "chinese-clip"))


def test_texts_of_a_sentence_model_beside_pictures_need_heads():
    """Another model's texts lie in another space: refused with the way out."""
    folder = folder_of("clip")
    save_sentence(folder / "sentence")
    mixed = {"text": {"model": "sentence"}, "image": {"model": "clip"}}

    with pytest.raises(Misconfigured, match=r"image comes from .*crosscurrent train alignment.*model\.heads"):
        load(write_profile(folder, modalities=mixed, heads=None))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_language_model_reads_long_texts_in_any_company(tmp_path: Path, family: str):
    """Of each family of language models: passages fill its table of positions, and padding moves no vector."""
    save_language_model(tmp_path / "model", family)
    encoders = load(write_profile(tmp_path, modalities={"text": {"model": "model"}}, heads=None))
    texts = ["a cat", "a longer text than that", "abcdefgh " * 3 * TOKENS]
    together, alone = words(encoders, *texts), [words(encoders, text)[0] for text in texts]

    assert np.abs(together - np.stack(alone)).max() < 1e-4
    assert max(map(len, encoders.encoders[Modality.TEXT].prepare(TextInput(text=texts[2])))) == TOKENS
