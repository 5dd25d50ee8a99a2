"""Encoder profiles: those that ship are valid, and a wrong one is told all its faults at once."""

from pathlib import Path

import pytest
import yaml

from config.errors import Misconfigured
from config.profiles import load_profile, shipped_profiles
from config.vocabulary import Modality

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def written(folder: Path, **changes: object) -> str:
    """Write a valid profile with some changes and return its path."""
    profile = {
        "name": "mine",
        "version": "3",
        "kind": "transformers",
        "dims": 512,
        "modalities": {"text": {"model": "someone/clip", "revision": COMMIT}},
    } | changes
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(profile), encoding="utf-8")
    return str(path)


def problems(name: str) -> list[str]:
    """Return what is wrong with the profile."""
    with pytest.raises(Misconfigured) as caught:
        load_profile(name)
    return list(caught.value.problems)


@pytest.mark.parametrize("name", ["builtin", "clap", "clip-clap", "deterministic", "pe-av", "siglip2-clap"])
def test_shipped_profiles_are_valid(name: str):
    """Each profile that ships loads under its own name and encodes text and sounds, and pictures unless it is CLAP."""
    profile = load_profile(name)

    assert name in shipped_profiles()
    assert profile.name == name
    assert {Modality.TEXT, Modality.AUDIO} <= set(profile.modalities)
    assert (Modality.IMAGE in profile.modalities) == (name != "clap")


@pytest.mark.parametrize("name", ["clap", "clip-clap", "pe-av", "siglip2-clap"])
def test_hub_models_are_pinned(name: str):
    """Every hub model of the shipped profiles names a full commit."""
    sources = load_profile(name).modalities.values()

    assert all(source is not None and len(source.revision or "") == 40 for source in sources)


def test_words_before_texts_make_no_other_model(tmp_path: Path):
    """A prefix changes what is said to a model and not which weights are loaded; before pictures it is refused."""
    one = {"model": "someone/clip", "revision": COMMIT}
    profile = load_profile(written(tmp_path, modalities={"text": one | {"prefix": "query: "}, "image": one}))
    text, image = profile.modalities.values()

    assert text is not None and image is not None
    assert text != image and text.weights == image.weights
    [problem] = problems(written(tmp_path, modalities={"image": one | {"prefix": "query: "}}))
    assert "before texts only" in problem


def test_reads_a_file_and_folders_beside_it(tmp_path: Path):
    """A relative folder lies beside the profile, wherever the process was started."""
    (tmp_path / "my-clip").mkdir()
    (tmp_path / "heads").mkdir()
    profile = load_profile(written(tmp_path, modalities={"text": {"model": "my-clip"}}, heads="heads"))

    source = profile.modalities[Modality.TEXT]
    assert source is not None and source.is_folder
    assert source.model == str(tmp_path / "my-clip")
    assert profile.heads == tmp_path / "heads"


def test_tells_what_there_is_instead():
    """An unknown name is answered with the names there are."""
    [problem] = problems("clip-clop")

    assert "clip-clop" in problem
    assert "builtin, clap, clip-clap, deterministic, pe-av, siglip2-clap" in problem


def test_tells_every_fault_of_shape_at_once(tmp_path: Path):
    """Unknown field, wrong kind, wrong number and a modality that does not exist are all named."""
    name = written(tmp_path, colour="red", kind="magic", dims=1, modalities={"smell": None})

    told = " ".join(problems(name))

    assert all(word in told for word in ("colour", "kind", "dims", "modalities.smell"))


def test_tells_every_contradiction_at_once(tmp_path: Path):
    """Missing version and length, an unpinned revision, a strange id and a missing folder are all named."""
    name = written(
        tmp_path,
        version=None,
        dims=None,
        heads="nowhere",
        modalities={
            "text": {"model": "someone/clip", "revision": "main"},
            "image": {"model": "no such thing"},
            "audio": None,
        },
    )

    told = problems(name)

    assert len(told) == 6
    assert sum("40-digit commit" in problem for problem in told) == 1


def test_refuses_an_encoder_for_clips(tmp_path: Path):
    """Video is pictures and sound: a profile that names it is told so."""
    [problem] = problems(written(tmp_path, modalities={"video": {"model": "someone/clip", "revision": COMMIT}}))

    assert "pictures and its sound" in problem


def test_refuses_models_where_the_kind_has_none(tmp_path: Path):
    """The deterministic kind takes no model."""
    [problem] = problems(written(tmp_path, kind="deterministic"))

    assert "leave the value empty" in problem


@pytest.mark.parametrize("text", ["- a\n- list", "a: [", ""])
def test_refuses_what_is_no_profile(tmp_path: Path, text: str):
    """A list, broken YAML and an empty file are refused with the file's name."""
    path = tmp_path / "odd.yaml"
    path.write_text(text, encoding="utf-8")

    assert all("odd.yaml" in problem for problem in problems(str(path)))
