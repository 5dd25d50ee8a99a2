"""The shipped weights: what is written is what is read, and nothing else is taken for it."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from config.errors import Misconfigured
from config.vocabulary import Background, Modality
from encoders.builtin.artifacts import (
    BUILTIN_DIMS,
    IMAGE_FILE,
    MANIFEST,
    MODEL,
    TEXT_FILE,
    Manifest,
    load_image_tower,
    load_manifest,
    load_text_head,
    save_manifest,
    save_module,
)
from encoders.builtin.text import BACKBONE_DIMS, TextHead

CALIBRATION = {(Modality.TEXT, Modality.IMAGE): Background(mean=0.0625, std=0.125)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A weights folder with a text head of random weights."""
    torch.manual_seed(0)
    digest = save_module(TextHead(), TEXT_FILE, tmp_path)
    manifest = Manifest(
        model=MODEL, dims=BUILTIN_DIMS, files={TEXT_FILE: digest}, calibration=CALIBRATION, facts={"seed": 0}
    )
    save_manifest(manifest, tmp_path)
    return tmp_path


def test_a_manifest_is_read_as_written(folder: Path) -> None:
    """Model, dimensions, hashes, calibration and facts survive the file."""
    manifest = load_manifest(folder)
    assert manifest.model == MODEL
    assert manifest.dims == BUILTIN_DIMS
    assert manifest.calibration == CALIBRATION
    assert manifest.facts == {"seed": 0}
    save_manifest(manifest, folder)
    assert load_manifest(folder) == manifest


def test_weights_are_read_as_written_up_to_half_precision(folder: Path) -> None:
    """A loaded head is float32, in evaluation mode, without gradients, and gives the same vectors."""
    torch.manual_seed(0)
    written, read = TextHead().eval(), load_text_head(folder)
    features = torch.nn.functional.normalize(torch.randn(4, BACKBONE_DIMS), dim=1)
    with torch.inference_mode():
        torch.testing.assert_close(read(features), written(features), rtol=0, atol=2e-3)
    assert not read.training
    assert all(value.dtype == torch.float32 and not value.requires_grad for value in read.parameters())


def test_damaged_weights_are_refused(folder: Path) -> None:
    """One changed byte is noticed and the file is named."""
    path = folder / TEXT_FILE
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(Misconfigured, match=r"text\.safetensors has sha256 .* reinstall"):
        load_text_head(folder)


def test_missing_weights_are_refused(folder: Path) -> None:
    """A file that the manifest names but the folder lacks is named."""
    (folder / TEXT_FILE).unlink()
    with pytest.raises(Misconfigured, match="cannot read the weights"):
        load_text_head(folder)


def test_a_part_that_the_model_lacks_is_refused(folder: Path) -> None:
    """A folder without an image tower says so."""
    with pytest.raises(Misconfigured, match=f"names no {IMAGE_FILE}"):
        load_image_tower(folder)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    """A file with the right hash and the wrong tensors does not load."""
    digest = save_module(torch.nn.Linear(2, 2), TEXT_FILE, folder)
    save_manifest(dataclasses.replace(load_manifest(folder), files={TEXT_FILE: digest}), folder)
    with pytest.raises(Misconfigured, match="does not fit"):
        load_text_head(folder)


@pytest.mark.parametrize(
    "text", ["", "not json", "[]", "{}", '{"model": "builtin"}', '{"model": "a@1", "dims": "x", "files": {}}']
)
def test_a_broken_manifest_is_refused(folder: Path, text: str) -> None:
    """Whatever is wrong with a manifest, the error names the file."""
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(Misconfigured, match=r"manifest\.json is not a manifest"):
        load_manifest(folder)


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    """An empty folder is no model, and the error says how to get one."""
    with pytest.raises(Misconfigured, match="crosscurrent train builtin"):
        load_manifest(tmp_path)


def test_vectors_of_another_length_are_refused(folder: Path) -> None:
    """A manifest of other dimensions belongs to another version of the code."""
    path = folder / MANIFEST
    raw = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**raw, "dims": 7}), encoding="utf-8")
    with pytest.raises(Misconfigured, match="retrain"):
        load_manifest(folder)


def test_the_shipped_weights_load_and_are_small() -> None:
    """The package's own folder holds whole towers, of 25 MB at most, trained with the backbone the code expects."""
    manifest = load_manifest()
    assert {IMAGE_FILE, TEXT_FILE} <= set(manifest.files)
    assert load_image_tower().training is False
    assert load_text_head().training is False
    from encoders.builtin.artifacts import WEIGHTS, expected_text_backbone

    assert sum((WEIGHTS / name).stat().st_size for name in manifest.files) <= 25_000_000
    assert manifest.text_backbone == expected_text_backbone()
