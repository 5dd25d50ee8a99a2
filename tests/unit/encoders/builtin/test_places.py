"""Positions: no seam on the sphere, landmarks count near by and nowhere else."""

import numpy as np
import pytest
import torch

from encoders.builtin.places import DIRECTIONS, EARTH_RADIUS_KM, PlaceTower, draw_directions, on_sphere

KM_PER_DEGREE = 111.2


@pytest.fixture
def tower() -> PlaceTower:
    """Return a tower of four countries and one landmark at (10° N, 20° E) that reaches 5 km."""
    torch.manual_seed(0)
    made = PlaceTower(countries=4, anchors=1, dims=16)
    made.directions.copy_(draw_directions(torch.Generator().manual_seed(0)))
    made.country.values.normal_()
    made.anchor_values.normal_()
    made.anchor_places.copy_(torch.tensor([[10.0, 20.0]]))
    made.anchor_reach_km.fill_(5.0)
    return made.eval()


def vectors(tower: PlaceTower, *places: tuple[float, float]) -> np.ndarray:
    """Return what the tower makes of places."""
    with torch.inference_mode():
        return tower(torch.tensor(places)).numpy()


def test_neither_pole_nor_date_line_is_a_seam(tower: PlaceTower) -> None:
    """The same point by two names has one vector, and every vector is of unit norm."""
    found = vectors(tower, (52.0, 180.0), (52.0, -180.0), (90.0, 0.0), (90.0, 123.0), (-33.9, 18.4))

    np.testing.assert_allclose(found[0], found[1], atol=2e-3)
    np.testing.assert_allclose(found[2], found[3], atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)


def test_wavelengths_run_from_the_earths_size_to_a_towns() -> None:
    """Directions are as long as 2 π radius / wavelength, from 20,000 down to 50 km."""
    lengths = draw_directions(torch.Generator().manual_seed(1)).norm(dim=1).numpy()

    waves_km = 2 * np.pi * EARTH_RADIUS_KM / lengths
    assert len(waves_km) == DIRECTIONS
    assert waves_km[0] == pytest.approx(20_000, rel=1e-2)
    assert waves_km[-1] == pytest.approx(50, rel=1e-2)
    assert (np.diff(lengths) > 0).all()


def test_a_landmark_counts_near_by_alone(tower: PlaceTower) -> None:
    """At its place the landmark is most of the vector, at one reach 0.6 of that, at ten reaches nothing."""
    landmark = torch.nn.functional.normalize(tower.anchor_values[0], dim=0).numpy()
    lengths = {}
    for reaches in (0.0, 1.0, 10.0):
        place = (10.0 + reaches * 5.0 / KM_PER_DEGREE, 20.0)
        with torch.inference_mode():
            country = tower.country(tower.features(on_sphere(torch.tensor([place]))))[0].numpy()
        whole = vectors(tower, place)[0]
        # What is left of the direct sum once the country's part is taken away lies along the landmark.
        scale = np.linalg.lstsq(np.stack([country, landmark], 1), whole, rcond=None)[0]
        lengths[reaches] = scale[1] / scale[0]

    assert lengths[0.0] == pytest.approx(1.5, rel=1e-2)
    assert lengths[1.0] == pytest.approx(1.5 * np.exp(-0.5), rel=2e-2)
    assert abs(lengths[10.0]) < 1e-3
