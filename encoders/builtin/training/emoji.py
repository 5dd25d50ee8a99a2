"""The emoji concepts: one per emoji without skin tones and components, with names and keywords in 16 languages.

Names and keywords are Unicode CLDR's, through the packages ``emojibase-data`` (14 languages) and
``cldr-annotations-full`` (Arabic and Turkish, which the first lacks).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encoders.builtin.training.packages import DEFAULT_CACHE, Package, fetch, read_json

EMOJIBASE = Package(
    registry="npm",
    name="emojibase-data",
    version="17.0.0",
    sha256="d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
    licence="MIT",
)
CLDR = Package(
    registry="npm",
    name="cldr-annotations-full",
    version="48.2.0",
    sha256="28576e51225deb51e3ddd734b0f824a0079682cb5d8c27faa9f68149317a14d1",
    licence="Unicode-3.0",
)
EMOJIBASE_LANGUAGES = ("en", "zh", "zh-hant", "de", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th")
CLDR_LANGUAGES = ("ar", "tr")
LANGUAGES = EMOJIBASE_LANGUAGES + CLDR_LANGUAGES
COMPONENT_GROUP = 2
SHORTCODE_SETS = ("cldr", "emojibase", "emojibase-legacy", "github", "iamcal", "joypixels")


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """One emoji as a thing that can be named and drawn.

    Attributes:
        item_id: Stable identifier, such as ``emoji-1f431``.
        emoji: The character sequence.
        hexcode: Code points in hexadecimal digits joined by ``-``, lower case, without variation selectors.
        names: Name by language; English is always there.
        keywords: Keywords by language.
        group: Unicode group, such as ``animals-nature``.
        subgroup: Unicode subgroup, such as ``cat-face``.
        unicode_version: Emoji version that introduced it.
        shortcodes: English short names of several chat systems, used to find renderings.
    """

    item_id: str
    emoji: str
    hexcode: str
    names: Mapping[str, str]
    keywords: Mapping[str, tuple[str, ...]]
    group: str
    subgroup: str
    unicode_version: float
    shortcodes: tuple[str, ...]


def load_concepts(cache: Path = DEFAULT_CACHE) -> list[Concept]:
    """Return every concept in Unicode order (about 1,900).

    Raises:
        Misconfigured: A package cannot be fetched or its hash differs.
    """
    archive = fetch(EMOJIBASE, cache)
    tables = {language: _emojibase_table(archive, language) for language in EMOJIBASE_LANGUAGES}
    cldr = {language: _cldr_table(fetch(CLDR, cache), language) for language in CLDR_LANGUAGES}
    shortcodes = _shortcodes(archive)
    groups = read_json(archive, "package/meta/groups.json")
    kept = [entry for entry in tables["en"].values() if entry.get("group", COMPONENT_GROUP) != COMPONENT_GROUP]
    kept.sort(key=lambda entry: int(entry["order"]))
    return [_concept(entry, tables, cldr, shortcodes, groups) for entry in kept]


def strip_variation(hexcode: str) -> str:
    """Return a hexcode in lower case without variation selectors (``fe0f``), the form vendors disagree on least."""
    return "-".join(part for part in hexcode.lower().split("-") if part != "fe0f")


def _emojibase_table(archive: Path, language: str) -> dict[str, dict[str, Any]]:
    return {entry["hexcode"]: entry for entry in read_json(archive, f"package/{language}/data.json")}


def _cldr_table(archive: Path, language: str) -> dict[str, dict[str, list[str]]]:
    table = read_json(archive, f"package/annotations/{language}/annotations.json")["annotations"]["annotations"]
    return {character.replace("\ufe0f", ""): entry for character, entry in table.items()}


def _shortcodes(archive: Path) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for name in SHORTCODE_SETS:
        for hexcode, codes in read_json(archive, f"package/en/shortcodes/{name}.json").items():
            found.setdefault(hexcode, {}).update(dict.fromkeys([codes] if isinstance(codes, str) else codes))
    return {hexcode: tuple(codes) for hexcode, codes in found.items()}


def _concept(
    entry: dict[str, Any],
    tables: Mapping[str, Mapping[str, dict[str, Any]]],
    cldr: Mapping[str, Mapping[str, dict[str, list[str]]]],
    shortcodes: Mapping[str, tuple[str, ...]],
    groups: Mapping[str, Mapping[str, str]],
) -> Concept:
    hexcode = entry["hexcode"]
    names: dict[str, str] = {}
    keywords: dict[str, tuple[str, ...]] = {}
    for language, table in tables.items():
        if hexcode in table:
            names[language] = table[hexcode]["label"]
            keywords[language] = tuple(table[hexcode].get("tags", ()))
    for language, annotations in cldr.items():
        found = annotations.get(entry["emoji"].replace("\ufe0f", ""))
        if found is not None and "tts" in found:
            names[language] = found["tts"][0]
            keywords[language] = tuple(found.get("default", ()))
    return Concept(
        item_id=f"emoji-{strip_variation(hexcode)}",
        emoji=entry["emoji"],
        hexcode=strip_variation(hexcode),
        names=names,
        keywords=keywords,
        group=groups["groups"][str(entry["group"])],
        subgroup=groups["subgroups"][str(entry["subgroup"])],
        unicode_version=float(entry["version"]),
        shortcodes=shortcodes.get(hexcode, ()),
    )
