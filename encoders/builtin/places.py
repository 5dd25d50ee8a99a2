"""The location tower of the built-in model: a position in, one unit vector of the aligned space out.

A position becomes sines and cosines of its projections on random directions at many wavelengths, from the size of the
Earth to that of a town (Fourier features: Tancik et al. 2020, "Fourier Features Let Networks Learn High Frequency
Functions in Low Dimensional Domains", https://arxiv.org/abs/2006.10739; on the sphere, so that neither poles nor the
date line are seams: Mai et al. 2023, "Sphere2Vec", https://arxiv.org/abs/2306.17624). A small network recognises the
country, whose flag and name give the vector; landmarks and large towns near by add theirs.
"""

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from encoders.builtin.artifacts import BUILTIN_DIMS, load_manifest, load_module
from encoders.builtin.meanings import Meanings

WEIGHTS_FILE: Final = "location.safetensors"
EARTH_RADIUS_KM: Final = 6_371.0
LONGEST_WAVE_KM: Final = 20_000.0
SHORTEST_WAVE_KM: Final = 50.0
DIRECTIONS: Final = 256
WIDTH: Final = 256
ANCHOR_WEIGHT: Final = 1.5
"""How much a landmark or town adds at its very place to the country's vector, whose length is at most 1."""


class PlaceTower(nn.Module):
    """Positions to unit vectors of the aligned space.

    Args:
        countries: Number of countries known.
        anchors: Number of landmarks and towns known.
        dims: Length of the aligned vectors.
        dropout: Share of hidden units dropped in training.
    """

    directions: Tensor
    anchor_places: Tensor
    anchor_reach_km: Tensor
    anchor_values: Tensor

    def __init__(self, *, countries: int, anchors: int, dims: int = BUILTIN_DIMS, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("directions", torch.zeros(DIRECTIONS, 3))
        self.country = Meanings(inputs=2 * DIRECTIONS + 3, meanings=countries, dims=dims, width=WIDTH, dropout=dropout)
        self.register_buffer("anchor_places", torch.zeros(anchors, 2))
        self.register_buffer("anchor_reach_km", torch.ones(anchors))
        self.register_buffer("anchor_values", torch.zeros(anchors, dims))

    def features(self, points: Tensor) -> Tensor:
        """Turn unit vectors (n, 3) from the Earth's centre into features (n, 515)."""
        phases = points @ self.directions.T
        return torch.cat((points, phases.sin(), phases.cos()), dim=1)

    def forward(self, places: Tensor) -> Tensor:
        """Turn places (n, 2), degrees north and east, into unit vectors (n, dims)."""
        points = on_sphere(places)
        country = self.country(self.features(points))
        nearness = torch.exp(-0.5 * (self._distances_km(points) / self.anchor_reach_km).square())
        return functional.normalize(
            country + ANCHOR_WEIGHT * nearness @ functional.normalize(self.anchor_values, dim=-1), dim=-1
        )

    def _distances_km(self, points: Tensor) -> Tensor:
        # The chord, not the arc: near an anchor they are the same, and far from it neither counts.
        return torch.cdist(points, on_sphere(self.anchor_places), compute_mode="donot_use_mm_for_euclid_dist") * (
            EARTH_RADIUS_KM
        )


def on_sphere(places: Tensor) -> Tensor:
    """Turn places (n, 2), degrees north and east, into unit vectors (n, 3) from the Earth's centre."""
    north, east = torch.deg2rad(places).unbind(dim=1)
    return torch.stack((north.cos() * east.cos(), north.cos() * east.sin(), north.sin()), dim=1)


def draw_directions(generator: torch.Generator) -> Tensor:
    """Draw directions (256, 3) whose lengths are angular frequencies of wavelengths from 20,000 to 50 km."""
    spread = torch.linspace(0.0, 1.0, DIRECTIONS).unsqueeze(1)
    waves_km = LONGEST_WAVE_KM * (SHORTEST_WAVE_KM / LONGEST_WAVE_KM) ** spread
    unit = functional.normalize(torch.randn(DIRECTIONS, 3, generator=generator), dim=1)
    frequencies = 2.0 * torch.pi * EARTH_RADIUS_KM / waves_km
    return (unit * frequencies).half().float()  # as they will be stored: the network learns on no other


def load_place_tower(folder: Path | None = None, device: str = "cpu") -> PlaceTower:
    """Return the trained tower, ready for inference; ``None`` is the folder that ships with the package.

    Raises:
        Misconfigured: A file is missing, damaged or not the one the manifest names.
    """
    facts = load_manifest(folder).facts.get("location", {})
    tower = PlaceTower(countries=int(facts.get("countries", 1)), anchors=int(facts.get("anchors", 1)))
    return load_module(tower, WEIGHTS_FILE, folder, device)
