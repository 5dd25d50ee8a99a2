"""Train the sensor tower: simulated readings to kinds of weather, and what those mean."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from encoders.base import SensorInput
from encoders.builtin.artifacts import load_manifest, save_manifest, save_module
from encoders.builtin.readings import FEATURES, WEIGHTS_FILE, ReadingsTower, describe_readings
from encoders.builtin.training.meanings import Teachers
from encoders.builtin.training.weather_data import KINDS, weather_set
from encoders.progress import track

WHOLE: Final = ("weather.values",)
CARD_SECTION: Final = """\
Each of nine quantities (temperature, humidity, pressure, wind, rain, light, clouds, sight, lightning; in their common
units) becomes seven numbers that do not depend on rate or length; a network of three layers, trained on {series:,}
simulated series for {steps:,} steps from seed {seed}, recognises the weather: {kinds}. Its vector is that of the
emoji's name and pictures. Series of other quantities are read by their channels' names alone.

Limits: it was trained and measured on a simulation, not on observations, and knows weather at a station within hours:
from a day's mean temperature, rain and wind alone it tells the weather badly.
"""
SKY_SUBGROUP: Final = "sky-weather"
SERIES: Final = 24_000
BATCH: Final = 256
STEPS: Final = 3_000
LEARNING_RATE: Final = 2e-3
WEIGHT_DECAY: Final = 0.01
DROPOUT: Final = 0.1
INPUT_NOISE: Final = 0.05
SMOOTHING: Final = 0.05  # neighbouring kinds of weather pass into one another


def train_readings(teachers: Teachers, seed: int = 0, *, series: int = SERIES, steps: int = STEPS) -> None:
    """Train the tower and write it, its facts and its line in the manifest beside the towers of ``teachers``."""
    readings, kinds = weather_set(series, seed)
    tower = fit_weather(feature_rows(readings), kinds, seed=seed, steps=steps)
    refresh_readings(tower, teachers)
    facts = {"kinds": [kind.name for kind in KINDS], "series": series, "seed": seed, "steps": steps}
    _publish(tower, teachers, facts)


def readings_card(facts: Mapping[str, Any]) -> str:
    """Return the model card's section on readings from what ``train_readings`` left as ``sensor`` in the facts."""
    return CARD_SECTION.format(**{**facts, "kinds": ", ".join(facts["kinds"])})


def feature_rows(readings: Sequence[SensorInput]) -> NDArray[np.float32]:
    """Return features (n, 73) of series that each have at least one known channel."""
    rows = [describe_readings(one.channels, one.sample_rate_hz, one.values) for one in readings]
    return np.stack([row for row in rows if row is not None])


def fit_weather(features: NDArray[np.float32], kinds: NDArray[np.int64], *, seed: int, steps: int) -> ReadingsTower:
    """Learn kinds of weather from features (n, 73); deterministic for a seed, a machine and a number of threads."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    tower = ReadingsTower(kinds=len(KINDS), dropout=DROPOUT)
    inputs, targets = torch.from_numpy(features), torch.from_numpy(kinds)
    optimiser = torch.optim.AdamW(tower.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    tower.train()
    for _ in track(range(steps), "learn the weather"):
        rows = torch.from_numpy(rng.integers(0, len(features), size=BATCH))
        noisy = inputs[rows] + INPUT_NOISE * torch.randn(BATCH, FEATURES)
        loss = functional.cross_entropy(tower.weather.logits(noisy), targets[rows], label_smoothing=SMOOTHING)
        optimiser.zero_grad()
        torch.autograd.backward([loss])
        optimiser.step()
        schedule.step()
    return tower.eval()


@torch.no_grad()
def refresh_readings(tower: ReadingsTower, teachers: Teachers) -> None:
    """Give the kinds of weather the vectors that the teachers make of their emoji: seconds, no training."""
    hexcodes = {concept.hexcode: number for number, concept in enumerate(teachers.concepts)}
    shown = [hexcodes[kind.hexcode] for kind in KINDS]
    sky = [number for number, one in enumerate(teachers.concepts) if one.subgroup == SKY_SUBGROUP]
    tower.weather.values.copy_(teachers.meanings(shown, sorted({*sky, *shown})))


def reading_vectors(tower: ReadingsTower, features: NDArray[np.float32]) -> Tensor:
    """Return unit vectors (n, dims) of features (n, 73)."""
    with torch.inference_mode():
        return torch.cat([tower(torch.from_numpy(features))])


def _publish(tower: ReadingsTower, teachers: Teachers, facts: dict[str, Any]) -> None:
    digest = save_module(tower, WEIGHTS_FILE, teachers.out, whole=WHOLE)
    manifest = load_manifest(teachers.out)
    files = {**manifest.files, WEIGHTS_FILE: digest}
    save_manifest(dataclasses.replace(manifest, files=files, facts={**manifest.facts, "sensor": facts}), teachers.out)
