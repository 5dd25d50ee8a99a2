"""Positions and readings through the built-in encoders."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from config.errors import RejectEvent
from encoders.base import LocationInput, SensorInput
from encoders.builtin.artifacts import load_manifest
from encoders.modalities.builtin_measures import BuiltinLocationEncoder, BuiltinSensorEncoder
from tests.builtin_weights import save_random_weights

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of random weights."""
    return save_random_weights(tmp_path_factory.mktemp("weights"))


def series(*channels: str, value: float = 20.0) -> SensorInput:
    """Return three readings of each channel."""
    return SensorInput(
        channels=channels, sample_rate_hz=0.1, values=np.full((3, len(channels)), value, dtype=np.float32)
    )


def test_readings_and_words_share_a_batch(weights: Path) -> None:
    """Known quantities go through the tower, unknown ones are read by name, and each row stays in its place."""
    asked: list[str] = []

    def words(texts: Sequence[str]) -> torch.Tensor:
        asked.extend(texts)
        return torch.eye(encoder.dims)[: len(texts)]

    encoder = BuiltinSensorEncoder(load_manifest(weights), CPU, weights, words=words)
    inputs = [
        series("heart_rate_bpm", "spo2-percent"),
        series("temperature_celsius", "heart_rate_bpm"),
        series("vibration_m_s2"),
        series("temperature_celsius"),
    ]
    rows = encoder.finish(encoder.forward([encoder.prepare(one) for one in inputs]))

    assert asked == ["heart rate bpm, spo2 percent", "vibration m s2"]
    np.testing.assert_array_equal(rows[[0, 2]], np.eye(encoder.dims)[:2])
    np.testing.assert_allclose(rows[1], rows[3])  # what the tower does not know does not count beside what it does
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)


def test_a_series_without_a_reading_is_refused(weights: Path) -> None:
    """With the way out."""
    encoder = BuiltinSensorEncoder(load_manifest(weights), CPU, weights, words=lambda texts: torch.zeros(0))
    with pytest.raises(RejectEvent, match="no reading in any channel: leave the series out"):
        encoder.prepare(series("temperature_celsius", value=float("nan")))


def test_places_are_encoded_in_order(weights: Path) -> None:
    """A batch gives what single places give."""
    encoder = BuiltinLocationEncoder(load_manifest(weights), CPU, weights)
    prepared = [encoder.prepare(LocationInput(latitude=la, longitude=lo)) for la, lo in [(35.7, 139.7), (-33.9, 18.4)]]
    together = encoder.finish(encoder.forward(prepared))
    alone = np.concatenate([encoder.finish(encoder.forward([one])) for one in prepared])

    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert together.shape == (2, encoder.dims)
