"""Weights per dimension: what tells pairs apart counts more, and a file brings them to the space they belong to."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import Misconfigured
from config.settings import ModelSettings
from config.vocabulary import Background, Modality, ModelRef
from encoders.alignment.dimension_weights import average_weights, learn_weights
from encoders.alignment.features import PairedFeatures
from encoders.alignment.options import FitOptions
from encoders.alignment.record import RECORD, load_record
from encoders.alignment.run import RunOptions, train
from encoders.alignment.sightings import score_all, sight
from encoders.alignment.weights_json import load_weights, save_weights
from encoders.base import DimensionWeights
from encoders.registry import load_encoders
from encoders.vectors import unit_rows
from tests.unit.encoders.alignment.planted import planted

TELLING = 6
MODEL = ModelRef("planted", "1")


def noisy(items: int, seed: int) -> dict[Modality, NDArray[np.float32]]:
    """Two modalities that agree in the first six dimensions and are noise in the other eighteen."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(items, TELLING))
    tables = {}
    for modality in (Modality.TEXT, Modality.IMAGE):
        seen = shared + 0.2 * rng.normal(size=shared.shape)
        tables[modality] = unit_rows(np.column_stack([seen, rng.normal(size=(items, 18))]))
    return tables


def recall(tables: dict[Modality, NDArray[np.float32]], weights: NDArray[np.float64] | None = None) -> float:
    """Recall at 1 of pictures by texts."""
    scale = 1.0 if weights is None else np.sqrt(weights)
    scaled = {modality: unit_rows(rows * scale) for modality, rows in tables.items()}
    features = PairedFeatures(item_ids=tuple(map(str, range(len(tables[Modality.TEXT])))), vectors=scaled)
    score = score_all(sight(features), sight(features))[Modality.TEXT, Modality.IMAGE]
    assert score is not None
    return score.recall_at_1


def test_dimensions_that_tell_pairs_apart_count_more() -> None:
    """On items that were not learnt from, the weighted cosine finds far more."""
    weights = learn_weights(noisy(400, seed=0))

    assert weights is not None
    assert (weights > 0).all()
    assert weights.mean() == pytest.approx(1.0)
    assert weights[:TELLING].min() > 2 * weights[TELLING:].max()
    fresh = noisy(200, seed=1)
    assert recall(fresh, weights) > recall(fresh) + 0.2


def test_what_says_nothing_counts_as_before() -> None:
    """Modalities without any relation leave every weight near 1."""
    rng = np.random.default_rng(2)
    tables = {m: unit_rows(rng.normal(size=(600, 16))) for m in (Modality.TEXT, Modality.IMAGE)}

    weights = learn_weights(tables)

    assert weights is not None
    assert np.abs(weights - 1.0).max() < 0.2


def test_items_without_two_modalities_teach_nothing() -> None:
    """Seven pairs are too few, whatever else there is."""
    tables = noisy(50, seed=3)
    tables[Modality.IMAGE][7:] = np.nan

    assert learn_weights(tables) is None


def test_sites_average_by_their_items() -> None:
    """The geometric mean, by hand: 4 and 1 with three items against one; a site without weights does not count."""
    one, other = np.array([4.0, 1.0]), np.array([1.0, 1.0])
    expected = np.array([4.0**0.75, 1.0])

    mean = average_weights([(one, 3), (other, 1), (None, 100)])

    np.testing.assert_allclose(mean, expected / expected.mean())
    assert average_weights([(None, 5)]) is None


def test_training_leaves_them_in_the_record(tmp_path: Path) -> None:
    """Heads bring their weights, and say what both similarities were worth; a folder from before has none."""
    fit = FitOptions(head="linear", solver="procrustes")
    done = train(planted(200, noise=0.3), MODEL, RunOptions(fit=fit, name="mine"), tmp_path)

    read = load_record(tmp_path)
    assert done.dimension_weights is not None
    assert read.dimension_weights is not None
    np.testing.assert_allclose(read.dimension_weights.values, done.dimension_weights.values, atol=1e-5)
    assert read.dimension_weights.calibration.keys() == read.calibration.keys()
    assert read.dimension_weights.calibration != read.calibration
    assert set(read.facts["similarity"]) == {"cosine", "weighted_cosine"}
    assert "by weighted cosine" in (tmp_path / "MODEL_CARD.md").read_text()
    record = tmp_path / RECORD
    record.write_text(record.read_text().replace('"dimension_weights"', '"unknown"'))
    assert load_record(tmp_path).dimension_weights is None


def test_a_file_brings_them_to_a_space_without_heads(tmp_path: Path) -> None:
    """What was saved for the deterministic space is what its encoders have; another length or space is refused."""
    plain = load_encoders(ModelSettings(profile="deterministic"))
    values = np.linspace(0.5, 1.5, plain.dims)
    pair = {(Modality.TEXT, Modality.IMAGE): Background(mean=0.25, std=0.125)}
    weights = DimensionWeights(values=values, calibration=pair)
    file = tmp_path / "weights.json"
    save_weights(file, plain.model, weights, {})
    settings = ModelSettings(profile="deterministic", dimension_weights=file)

    loaded = load_encoders(settings).dimension_weights

    assert plain.dimension_weights is None
    assert loaded is not None
    np.testing.assert_allclose(loaded.values, values, atol=1e-5)
    assert loaded.calibration == pair
    save_weights(file, replace(plain.model, version="9"), weights, {})
    with pytest.raises(Misconfigured, match="belongs to deterministic@9"):
        load_encoders(settings)
    save_weights(file, plain.model, DimensionWeights(values=values[:-1]), {})
    with pytest.raises(Misconfigured, match="damaged"):
        load_encoders(settings)
    with pytest.raises(Misconfigured, match="crosscurrent train weights"):
        load_weights(tmp_path / "none.json", plain.model, plain.dims)
