"""What of the corpus can be measured: capitals of flags, places of landmarks, readings under each kind of weather."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from encoders.builtin.corpus import MEASURES, Attribute
from encoders.builtin.training.emoji import Concept
from encoders.builtin.training.place_data import LANDMARKS, country_flags
from encoders.builtin.training.weather_data import CHANNELS, KINDS, Station, simulate

ITEM_PREFIX: Final = "emoji-"
HOURS: Final = 24
HOURLY_HZ: Final = 1 / 3_600
DIGITS: Final = 5
STATION: Final = Station(
    channels=CHANNELS, sample_rate_hz=HOURLY_HZ, length=HOURS, offsets={}, missing=0.0, altitude_m=0.0
)


def write_measures(
    concepts: list[Concept], capitals: Mapping[str, Mapping[str, Attribute]], out: Path, seed: int
) -> None:
    """Write ``measures.jsonl``: a line an item with its ``location`` or ``sensor``, as a content event has them."""
    rng = np.random.default_rng(seed)
    lines: list[dict[str, Any]] = []
    for code, number in country_flags(concepts).items():
        if "latitude" in (capital := capitals.get(code, {})):
            place = {"latitude": capital["latitude"], "longitude": capital["longitude"]}
            lines.append({"item_id": concepts[number].item_id, "location": place})
    for landmark in LANDMARKS:
        place = dict(zip(("latitude", "longitude"), landmark.place, strict=True))
        lines.append({"item_id": f"{ITEM_PREFIX}{landmark.hexcode}", "location": place})
    for kind in KINDS:
        readings = simulate(kind, STATION, rng)
        table = [[float(f"{value:.{DIGITS}g}") for value in row] for row in readings.values.tolist()]
        sensor = {"channels": list(CHANNELS), "sample_rate_hz": HOURLY_HZ, "values": table}
        lines.append({"item_id": f"{ITEM_PREFIX}{kind.hexcode}", "sensor": sensor})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (out / MEASURES).write_text(text, encoding="utf-8")
