"""Weather as a station measures it, simulated: kinds of weather with their emoji, and series of readings of each kind.

No recordings are used. Every kind is a range for each quantity, wide enough for climates from Lapland to the Gulf, with
the course that makes it what it is: the light that comes and goes under broken clouds, the pressure that falls before a
storm. A station adds its altitude, its instruments' errors, its rate, and channels it lacks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from encoders.base import SensorInput

Span = tuple[float, float]
Course = Literal["steady", "falling", "rising", "gusty", "broken", "clearing"]
Series = NDArray[np.float64]

CHANNELS: Final = (
    *("temperature_celsius", "relative_humidity", "pressure_hpa", "wind_speed_m_per_s", "precipitation_mm_per_h"),
    *("illuminance_lux", "cloud_cover_percent", "visibility_km", "lightning_per_h"),
)
CALM: Final[Mapping[str, Span]] = {
    "temperature_celsius": (0, 25),
    "relative_humidity": (40, 80),
    "pressure_hpa": (1_000, 1_028),
    "wind_speed_m_per_s": (0.2, 6),
    "precipitation_mm_per_h": (0, 0),
    "illuminance_lux": (2_000, 60_000),
    "cloud_cover_percent": (10, 90),
    "visibility_km": (12, 50),
    "lightning_per_h": (0, 0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of weather.

    Attributes:
        name: What it is called.
        hexcode: The emoji that shows it.
        spans: Range of each quantity; what is not named is as on a calm day.
        courses: How a quantity goes; steady if not named.
    """

    name: str
    hexcode: str
    spans: Mapping[str, Span]
    courses: Mapping[str, Course] = field(default_factory=dict)


def _kind(name: str, hexcode: str, spans: Mapping[str, Span], courses: Mapping[str, Course] | None = None) -> Kind:
    return Kind(name=name, hexcode=hexcode, spans=spans, courses=courses or {})


_T, _H, _P, _W, _R, _L, _C, _V, _F = CHANNELS

KINDS: Final = (
    _kind(
        "sun", "2600", {_T: (8, 36), _H: (20, 60), _P: (1_010, 1_032), _L: (40_000, 120_000), _C: (0, 12), _V: (20, 60)}
    ),
    _kind("broken clouds", "26c5", {_L: (15_000, 90_000), _C: (30, 70)}, {_L: "broken", _C: "broken"}),
    _kind("overcast", "2601", {_H: (55, 88), _L: (1_500, 15_000), _C: (88, 100), _V: (8, 30)}),
    _kind(
        "rain",
        "1f327",
        {_T: (3, 22), _H: (85, 100), _P: (985, 1_012), _R: (0.8, 15), _L: (500, 9_000), _C: (92, 100), _V: (2, 10)},
    ),
    _kind(
        "showers and sun",
        "1f326",
        {_T: (6, 25), _H: (65, 95), _R: (0.5, 8), _L: (8_000, 70_000), _C: (40, 80), _V: (6, 30)},
        {_R: "broken", _L: "broken", _C: "broken"},
    ),
    _kind(
        "thunderstorm",
        "26c8",
        {
            _T: (12, 30),
            _H: (75, 100),
            _P: (985, 1_010),
            _W: (6, 25),
            _R: (6, 80),
            _L: (100, 6_000),
            _C: (95, 100),
            _V: (0.8, 6),
            _F: (10, 400),
        },
        {_T: "falling", _W: "gusty", _R: "broken", _P: "falling"},
    ),
    _kind(
        "dry lightning",
        "1f329",
        {_T: (15, 35), _H: (30, 70), _W: (2, 15), _L: (100, 9_000), _C: (70, 100), _F: (5, 300)},
        {_W: "gusty"},
    ),
    _kind(
        "snow",
        "1f328",
        {_T: (-18, 1), _H: (80, 100), _P: (985, 1_015), _R: (0.3, 6), _L: (500, 12_000), _C: (92, 100), _V: (0.3, 5)},
    ),
    _kind("frost", "2744", {_T: (-40, -6), _H: (50, 90), _P: (1_012, 1_045), _W: (0.1, 4), _C: (0, 50), _V: (15, 60)}),
    _kind(
        "fog",
        "1f32b",
        {_T: (-3, 15), _H: (96, 100), _P: (1_005, 1_032), _W: (0, 2), _L: (500, 9_000), _C: (80, 100), _V: (0.03, 0.9)},
    ),
    _kind("wind", "1f32c", {_W: (11, 26), _P: (990, 1_015), _H: (35, 80)}, {_W: "gusty"}),
    _kind(
        "tornado",
        "1f32a",
        {_W: (32, 95), _P: (920, 985), _H: (60, 95), _L: (50, 3_000), _C: (95, 100), _V: (0.2, 4), _F: (0, 200)},
        {_P: "falling", _W: "rising"},
    ),
    _kind(
        "cyclone",
        "1f300",
        {
            _T: (20, 30),
            _W: (24, 62),
            _P: (925, 985),
            _R: (5, 60),
            _H: (85, 100),
            _L: (200, 4_000),
            _C: (98, 100),
            _V: (0.3, 3),
        },
        {_W: "gusty"},
    ),
    _kind(
        "rainbow",
        "1f308",
        {_T: (8, 26), _H: (60, 95), _R: (0.3, 8), _L: (5_000, 70_000), _C: (30, 75), _V: (10, 40)},
        {_R: "clearing", _L: "rising", _C: "falling"},
    ),
    _kind(
        "desert heat",
        "1f3dc",
        {_T: (36, 52), _H: (2, 18), _P: (1_000, 1_020), _L: (70_000, 130_000), _C: (0, 8), _V: (10, 50)},
    ),
    _kind(
        "clear night",
        "1f319",
        {_T: (-8, 25), _H: (40, 90), _P: (1_005, 1_032), _W: (0, 4), _L: (0, 0.4), _C: (0, 15), _V: (15, 60)},
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """What a station does to the weather before it is sent.

    Attributes:
        channels: What it measures.
        sample_rate_hz: Readings a second.
        length: Readings in a series.
        offsets: Error of each quantity, as a share of its usual spread.
        missing: Share of readings that are lost.
        altitude_m: Above the sea; pressure is as at the station.
    """

    channels: tuple[str, ...]
    sample_rate_hz: float
    length: int
    offsets: Mapping[str, float]
    missing: float
    altitude_m: float


ESSENTIAL: Final = 2
"""Channels that a station has at least."""
LAPSE_HPA_PER_M: Final = 0.115
SPREAD: Final[Mapping[str, float]] = {_T: 0.8, _H: 4.0, _P: 1.0, _C: 5.0}


def draw_station(rng: np.random.Generator, *, whole: float = 0.5) -> Station:
    """Draw a station; ``whole`` of them have every channel."""
    count = len(CHANNELS) if rng.random() < whole else int(rng.integers(ESSENTIAL, len(CHANNELS)))
    chosen = sorted(rng.choice(len(CHANNELS), size=count, replace=False))
    return Station(
        channels=tuple(CHANNELS[place] for place in chosen),
        sample_rate_hz=float(10.0 ** rng.uniform(-3.5, 0.0)),
        length=int(rng.integers(6, 120)),
        offsets={channel: float(rng.normal()) for channel in SPREAD},
        missing=float(rng.choice([0.0, 0.0, 0.05, 0.3])),
        altitude_m=float(max(rng.normal(100, 200), 0.0)),
    )


def simulate(kind: Kind, station: Station, rng: np.random.Generator) -> SensorInput:
    """Draw a series of one kind of weather as a station sends it."""
    spans = {**CALM, **kind.spans}
    columns = [_column(spans[name], name, kind, station, rng) for name in station.channels]
    values = np.stack(columns, axis=1)
    values[rng.random(values.shape) < station.missing] = np.nan
    values[0] = np.where(np.isnan(values[0]), [column[0] for column in columns], values[0])
    return SensorInput(
        channels=station.channels, sample_rate_hz=station.sample_rate_hz, values=values.astype(np.float32)
    )


def _column(span: Span, name: str, kind: Kind, station: Station, rng: np.random.Generator) -> Series:
    low, high = span
    wide = low > 0 and high / low > 10  # light, sight and rain spread over decades
    level = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if wide else float(rng.uniform(low, high))
    series = _course(kind.courses.get(name, "steady"), level, station.length, rng)
    noise = _wander(station.length, rng) * (0.06 * level if name not in SPREAD else 0.5 * SPREAD[name])
    series = series + noise + station.offsets.get(name, 0.0) * SPREAD.get(name, 0.0)
    if name == _P:
        return series - LAPSE_HPA_PER_M * station.altitude_m
    if name == _T:
        return series
    return np.clip(series, 0.0, 100.0 if name in {_H, _C} else None)


def _course(course: Course, level: float, length: int, rng: np.random.Generator) -> Series:
    time = np.linspace(0.0, 1.0, length)
    match course:
        case "falling":
            return level * (1.0 + rng.uniform(0.005, 0.04) * (0.5 - time)) + rng.uniform(1, 6) * (0.5 - time)
        case "rising":
            return level * (0.4 + 0.9 * time ** rng.uniform(0.5, 2.0))
        case "gusty":
            gusts = np.clip(rng.standard_normal(length), -1.5, 3.0)
            return np.asarray(level * (1.0 + rng.uniform(0.15, 0.5) * gusts), np.float64)
        case "broken":
            lit = np.sin(2 * np.pi * (rng.uniform(1, 5) * time + rng.random())) > 0
            return np.asarray(level * np.where(lit, 1.0, 0.12), np.float64)
        case "clearing":
            return np.asarray(level * (time < rng.uniform(0.3, 0.6)), np.float64)
        case _:
            return np.full(length, level)


def _wander(length: int, rng: np.random.Generator) -> Series:
    steps = rng.standard_normal(length)
    for place in range(1, length):
        steps[place] += 0.8 * steps[place - 1]
    wandering: Series = steps * 0.6
    return wandering


def weather_set(count: int, seed: int) -> tuple[Sequence[SensorInput], NDArray[np.int64]]:
    """Draw series, each of another station, with the number of its kind (n,)."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, len(KINDS), size=count)
    return [simulate(KINDS[kind], draw_station(rng), rng) for kind in kinds], kinds
