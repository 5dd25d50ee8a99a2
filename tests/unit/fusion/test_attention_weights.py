"""Trained weights: those that ship, those on disk, and for whom they are."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import Misconfigured
from config.settings import QuerySettings
from config.vocabulary import FusionStrategy, Modality, ModelRef
from fusion.attention_weights import (
    NAMED,
    SHIPPED,
    WEIGHTS_FILE,
    FusionWeights,
    fusion_weights_of,
    read_weights,
    shipped_weights,
    write_weights,
)
from fusion.learning.card import CARD
from fusion.strategies import fuse
from tests.unit.fusion.test_fusion_strategies import drawn, matrices

KNOTS = np.array([0.0, 3.0, 8.0])


def random_weights(seed: int, hidden: int = 4) -> FusionWeights:
    """Weights that nobody trained."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, Any] = {name: rng.standard_normal((len(Modality), hidden)) for name in NAMED}
    arrays |= {"plain": rng.standard_normal((5, hidden)), "curve": rng.standard_normal((hidden, 3))}
    arrays |= {"curve_ground": rng.standard_normal(3), "knots": KNOTS, "widths": np.ones(3)}
    arrays |= {name: rng.standard_normal(hidden) for name in ("offset", "ground")}
    arrays |= {"mix": np.array(rng.standard_normal()), "centre": np.zeros(()), "spread": np.ones(())}
    return FusionWeights(name="random", model=ModelRef("test", "1"), arrays=arrays, facts={"steps": 3})


@given(matrices, st.integers(0, 2**32 - 1))
def test_nearer_never_hurts_whatever_the_weights(shape: Any, seed: int) -> None:
    """Under a part that counts towards an item; and never helps under one that steers away."""
    given_scores = drawn(shape)
    constants = replace(given_scores.constants, network=random_weights(seed))
    given_scores = replace(given_scores, constants=constants)
    nearer = given_scores.deviations + given_scores.present * np.random.default_rng(seed).random(shape[:3])

    before = fuse(FusionStrategy.ATTENTION, replace(given_scores, part_weights=np.abs(given_scores.part_weights)))
    closer = replace(given_scores, deviations=nearer)
    after = fuse(FusionStrategy.ATTENTION, replace(closer, part_weights=np.abs(given_scores.part_weights)))
    against = -np.abs(given_scores.part_weights)

    assert (after >= before).all()
    assert (
        fuse(FusionStrategy.ATTENTION, replace(closer, part_weights=against))
        <= fuse(FusionStrategy.ATTENTION, replace(given_scores, part_weights=against))
    ).all()


def test_a_written_folder_reads_the_same(tmp_path: Path) -> None:
    """Arrays to single precision, facts as they are, and a name that says which bytes they are."""
    weights = random_weights(0)
    write_weights(weights, tmp_path)

    read = read_weights(tmp_path)

    assert read.name.startswith("random@")
    assert (read.model, read.facts) == (weights.model, weights.facts)
    for name, array in weights.arrays.items():
        np.testing.assert_allclose(read.arrays[name], array, rtol=1e-6)


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    """Their hash names them, so it must not change by chance."""
    write_weights(random_weights(0), tmp_path / "a")
    write_weights(random_weights(0), tmp_path / "b")

    assert (tmp_path / "a" / WEIGHTS_FILE).read_bytes() == (tmp_path / "b" / WEIGHTS_FILE).read_bytes()


def test_other_models_are_asked_without_names() -> None:
    """What was learned of particular modalities is true of the model that was trained on."""
    weights = random_weights(0)
    own, other = weights.for_model(ModelRef("test", "1")), weights.for_model(ModelRef("test", "2"))

    assert own is weights
    assert not any(other.arrays[name].any() for name in NAMED)
    assert other.arrays["curve"].any()
    assert other.name == "random without names"


@pytest.mark.parametrize("damage", ["cut", "shape", "nan", "format"])
def test_damaged_weights_are_refused(tmp_path: Path, damage: str) -> None:
    """Whatever the damage is, with the way out."""
    weights, file = random_weights(0), tmp_path / WEIGHTS_FILE
    if damage in {"shape", "nan"}:
        wrong = {"curve": np.zeros((4, 2))} if damage == "shape" else {"offset": np.full(4, np.nan)}
        with pytest.raises(Misconfigured, match="train the weights again"):
            write_weights(replace(weights, arrays={**weights.arrays, **wrong}), tmp_path)
        return
    write_weights(weights, tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:-8] if damage == "cut" else whole.replace(b'\\"format\\": 1', b'\\"format\\": 9'))

    with pytest.raises(Misconfigured, match="train the weights again"):
        read_weights(tmp_path)


def test_settings_name_weights_by_folder_or_name(tmp_path: Path) -> None:
    """A folder, or its name under the folder of all; what is not there is refused with the way out."""
    write_weights(random_weights(0), tmp_path / "mine")
    model = ModelRef("test", "1")

    by_path = fusion_weights_of(QuerySettings(fusion_weights=str(tmp_path / "mine")), model)
    by_name = fusion_weights_of(QuerySettings(fusion_weights="mine", fusion_weights_dir=tmp_path), model)

    assert by_path.name == by_name.name
    with pytest.raises(Misconfigured, match="train fusion"):
        fusion_weights_of(QuerySettings(fusion_weights="yours", fusion_weights_dir=tmp_path), model)


def test_the_shipped_weights_are_whole() -> None:
    """They load, know the built-in model, and their card names them."""
    weights = shipped_weights()

    assert weights.model.name == "builtin"
    assert weights.name in (SHIPPED / CARD).read_text(encoding="utf-8")
    assert json.dumps(dict(weights.facts))
    assert fusion_weights_of(QuerySettings(), weights.model) is weights
