"""The sensor tower of the built-in model: readings of a weather station in, one unit vector of the aligned space out.

Each channel that is known becomes seven numbers that do not depend on rate and length (mean, spread, least, most, last,
trend, roughness), in its own customary unit and on a scale where common values are about 1; channels that are absent
are zeros with a flag. A small network recognises the weather.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from encoders.builtin.artifacts import BUILTIN_DIMS, load_manifest, load_module
from encoders.builtin.meanings import Meanings

WEIGHTS_FILE: Final = "sensor.safetensors"
MOMENTS: Final = 32
"""A series is brought to this many moments: what is shorter is read as it is."""
WIDTH: Final = 128

Readings = NDArray[np.float64]
Convert = Callable[[Readings], Readings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """Something a station measures.

    Attributes:
        names: What channels call it; the first is ours.
        units: Conversion to the customary unit by the unit's name; the first is customary and taken when none is said.
        scale: Turns customary values into numbers of about 1.
    """

    names: tuple[str, ...]
    units: Mapping[str, Convert]
    scale: Convert


def _times(factor: float) -> Convert:
    return lambda values: values * factor


def _log(unit: float) -> Convert:
    return lambda values: np.log1p(np.maximum(values, 0.0) / unit)


def _linear(centre: float, spread: float) -> Convert:
    return lambda values: (values - centre) / spread


_SPEEDS: Final = {
    "m_per_s": _times(1.0),
    "m_s": _times(1.0),
    "mps": _times(1.0),
    "km_per_h": _times(1 / 3.6),
    "km_h": _times(1 / 3.6),
    "kmh": _times(1 / 3.6),
    "kph": _times(1 / 3.6),
    "mph": _times(0.44704),
    "knots": _times(0.514444),
}
_SHARES: Final = {"percent": _times(1.0), "ratio": _times(100.0)}

QUANTITIES: Final = (
    Quantity(
        names=("temperature", "air_temperature"),
        units={
            "celsius": _times(1.0),
            "c": _times(1.0),
            "fahrenheit": lambda values: (values - 32.0) / 1.8,
            "f": lambda values: (values - 32.0) / 1.8,
            "kelvin": lambda values: values - 273.15,
            "k": lambda values: values - 273.15,
        },
        scale=_linear(12.0, 12.0),
    ),
    Quantity(names=("relative_humidity", "humidity"), units=_SHARES, scale=_linear(65.0, 20.0)),
    Quantity(
        names=("pressure", "air_pressure"),
        units={
            "hpa": _times(1.0),
            "mbar": _times(1.0),
            "pa": _times(0.01),
            "kpa": _times(10.0),
            "inhg": _times(33.8639),
            "mmhg": _times(1.33322),
        },
        scale=_linear(1_010.0, 15.0),
    ),
    Quantity(names=("wind_speed", "wind"), units=_SPEEDS, scale=_log(3.0)),
    Quantity(
        names=("precipitation", "rainfall", "rain_rate", "rain"),
        units={"mm_per_h": _times(1.0), "mm_h": _times(1.0), "in_per_h": _times(25.4), "in_h": _times(25.4)},
        scale=_log(0.5),
    ),
    Quantity(
        names=("illuminance", "light"),
        units={"lux": _times(1.0), "lx": _times(1.0), "klux": _times(1e3)},
        scale=_log(50.0),
    ),
    Quantity(names=("cloud_cover", "clouds"), units=_SHARES, scale=_linear(50.0, 35.0)),
    Quantity(
        names=("visibility",),
        units={"km": _times(1.0), "m": _times(1e-3), "miles": _times(1.609344)},
        scale=_log(1.0),
    ),
    Quantity(
        names=("lightning", "lightning_strikes"), units={"per_h": _times(1.0), "per_min": _times(60.0)}, scale=_log(2.0)
    ),
)

_STATISTICS: Final = 7
FEATURES: Final = len(QUANTITIES) * (_STATISTICS + 1) + 1


def find_channel(name: str) -> tuple[int, Convert] | None:
    """Return which quantity a channel measures and how to convert its unit; None where neither is known.

    A name is a quantity's, then, after an underscore, a unit's: ``temperature_fahrenheit``. Without a unit the
    customary one is meant.
    """
    plain = name.casefold().replace(" ", "_").replace("-", "_").replace("/", "_per_")
    for place, quantity in enumerate(QUANTITIES):
        for called in quantity.names:
            if plain == called:
                return place, next(iter(quantity.units.values()))
            unit = plain.removeprefix(f"{called}_")
            if unit != plain and unit in quantity.units:
                return place, quantity.units[unit]
    return None


def known_channels() -> tuple[str, ...]:
    """Return a name that is understood for each quantity, with its customary unit."""
    return tuple(f"{quantity.names[0]}_{next(iter(quantity.units))}" for quantity in QUANTITIES)


def describe_readings(
    channels: Sequence[str], sample_rate_hz: float, values: NDArray[np.floating]
) -> NDArray[np.float32] | None:
    """Return features (73,) of readings (time, channels), NaN where one is missing; None if no channel is known.

    A quantity measured by several channels is their mean.
    """
    by_quantity: dict[int, list[Readings]] = {}
    for place, name in enumerate(channels):
        found = find_channel(name)
        series = np.asarray(values[:, place], np.float64)
        series = np.where(np.isfinite(series), series, np.nan)
        if found is not None and not np.isnan(series).all():
            quantity, convert = found
            by_quantity.setdefault(quantity, []).append(convert(series))
    if not by_quantity:
        return None
    features = np.zeros((len(QUANTITIES), _STATISTICS + 1), np.float64)
    for quantity, several in by_quantity.items():
        features[quantity] = 1.0, *_statistics(QUANTITIES[quantity].scale(_resample(_merge(several))))
    hours = math.log1p(len(values) / sample_rate_hz / 3_600.0)
    clipped: NDArray[np.float32] = np.clip(np.append(features.ravel(), hours), -10.0, 10.0).astype(np.float32)
    return clipped


def _merge(several: Sequence[Readings]) -> Readings:
    known = ~np.isnan(np.stack(several))
    total = np.where(known, np.stack(several), 0.0).sum(axis=0)
    counts = known.sum(axis=0)
    merged: Readings = np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
    return merged


def _resample(series: Readings) -> Readings:
    """Fill what is missing from its neighbours in time, and average down to at most 32 moments."""
    places = np.arange(len(series))
    known = ~np.isnan(series)
    filled = np.interp(places, places[known], series[known])
    if len(filled) <= MOMENTS:
        return filled
    edges = np.linspace(0, len(filled), MOMENTS + 1).astype(int)
    return np.add.reduceat(filled, edges[:-1]) / np.diff(edges)


def _statistics(series: Readings) -> tuple[float, ...]:
    third = max(len(series) // 3, 1)
    trend = series[-third:].mean() - series[:third].mean()
    rough = np.abs(np.diff(series)).mean() if len(series) > 1 else 0.0
    return series.mean(), series.std(), series.min(), series.max(), series[-1], trend, rough


class ReadingsTower(nn.Module):
    """Features of readings to unit vectors of the aligned space."""

    def __init__(self, *, kinds: int, dims: int = BUILTIN_DIMS, dropout: float = 0.0) -> None:
        super().__init__()
        self.weather = Meanings(inputs=FEATURES, meanings=kinds, dims=dims, width=WIDTH, dropout=dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (n, 73) into unit vectors (n, dims)."""
        return functional.normalize(self.weather(features), dim=-1)


def load_readings_tower(folder: Path | None = None, device: str = "cpu") -> ReadingsTower:
    """Return the trained tower, ready for inference; ``None`` is the folder that ships with the package.

    Raises:
        Misconfigured: A file is missing, damaged or not the one the manifest names.
    """
    facts = load_manifest(folder).facts.get("sensor", {})
    tower = ReadingsTower(kinds=len(facts.get("kinds", "x")))
    return load_module(tower, WEIGHTS_FILE, folder, device)
