"""The openly licensed artists whose renderings the model learns from or is tested on.

Apple's, Facebook's and Samsung's artwork is not openly licensed and never used, neither for training nor for tests.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from encoders.builtin.training.packages import Package


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """A set of renderings.

    Attributes:
        name: Short name, the icon set's prefix.
        artist: Who drew it. Sets by one artist resemble each other: they stay on the same side of a hold-out.
        package: Where it comes from, with its licence.
        flags_only: Whether the set's names are country codes instead of emoji names.
        suffix: Ending of the set's icon names, cut off before names are compared.
        url: The artwork's home, for notices.
    """

    name: str
    artist: str
    package: Package
    url: str
    flags_only: bool = False
    suffix: str = ""


def _icons(name: str, version: str, sha256: str, licence: str) -> Package:
    return Package(registry="npm", name=f"@iconify-json/{name}", version=version, sha256=sha256, licence=licence)


def _vendor(name: str, artist: str, version: str, sha256: str, *, licence: str, url: str) -> Vendor:
    return Vendor(name=name, artist=artist, url=url, package=_icons(name, version, sha256, licence))


def _flags(name: str, version: str, sha256: str, *, licence: str, url: str, suffix: str = "") -> Vendor:
    package = _icons(name, version, sha256, licence)
    return Vendor(name=name, artist=name, url=url, package=package, flags_only=True, suffix=suffix)


_ALL = (
    _vendor(
        "twemoji",
        "twitter",
        "1.2.5",
        "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
        licence="CC-BY-4.0",
        url="https://github.com/jdecked/twemoji",
    ),
    _vendor(
        "noto",
        "google",
        "1.2.9",
        "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
        licence="Apache-2.0",
        url="https://github.com/googlefonts/noto-emoji",
    ),
    _vendor(
        "noto-v1",
        "google",
        "1.2.5",
        "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37",
        licence="Apache-2.0",
        url="https://github.com/googlefonts/noto-emoji",
    ),
    _vendor(
        "fluent-emoji",
        "microsoft",
        "1.2.7",
        "8044210dbf11e016d4de85f15d01a243423bd832457e7e2491df1b751c0e272b",
        licence="MIT",
        url="https://github.com/microsoft/fluentui-emoji",
    ),
    _vendor(
        "fluent-emoji-flat",
        "microsoft",
        "1.2.6",
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
        licence="MIT",
        url="https://github.com/microsoft/fluentui-emoji",
    ),
    _vendor(
        "fluent-emoji-high-contrast",
        "microsoft",
        "1.2.6",
        "0b92d48c90d2200bd499e3cdd09a127ca6a8c8ddefd34c35eb5a1e4994012ae0",
        licence="MIT",
        url="https://github.com/microsoft/fluentui-emoji",
    ),
    _vendor(
        "emojione",
        "emojione",
        "1.2.3",
        "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e",
        licence="CC-BY-4.0",
        url="https://github.com/EmojiTwo/emojitwo",
    ),
    _vendor(
        "emojione-monotone",
        "emojione",
        "1.2.1",
        "40b90004bafb406b59266155ef9b7e1dd67bf2947fc8db8d07388776f4d0d04e",
        licence="CC-BY-4.0",
        url="https://github.com/EmojiTwo/emojitwo",
    ),
    _vendor(
        "emojione-v1",
        "emojione",
        "1.2.3",
        "6641d59d48a42823fdc2b84e7427e9f302944eb98d2c7d94d6e67c139e7b37b3",
        licence="CC-BY-SA-4.0",
        url="https://github.com/joypixels/emojione-legacy",
    ),
    _vendor(
        "fxemoji",
        "mozilla",
        "1.2.2",
        "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef",
        licence="Apache-2.0",
        url="https://github.com/mozilla/fxemoji",
    ),
    _vendor(
        "openmoji",
        "openmoji",
        "1.2.29",
        "03181e2c156cab35cf4a62f1f7886bd971d59212e75ac3f189d5a4cae3930fc5",
        licence="CC-BY-SA-4.0",
        url="https://github.com/hfg-gmuend/openmoji",
    ),
    _vendor(
        "streamline-emojis",
        "streamline",
        "1.2.4",
        "5dac87c876b322500989828c5823143e0100d78881627a2e4081a4b897cbfdbc",
        licence="CC-BY-4.0",
        url="https://github.com/webalys-hq/streamline-vectors",
    ),
    _flags(
        "circle-flags",
        "1.2.11",
        "ee9a03f6a6fdd79cc6325bdcb7bb93b83d331e60b16e226188f154a64b6bb4a9",
        licence="MIT",
        url="https://github.com/HatScripts/circle-flags",
    ),
    _flags(
        "flag",
        "1.2.12",
        "42246bc20f6154739a192172d71ffe477747ad38278f2e912ec43f4dcb5a15e0",
        licence="MIT",
        url="https://github.com/lipis/flag-icons",
        suffix="-4x3",
    ),
    _flags(
        "flagpack",
        "1.2.8",
        "165ea189ef6ee00b8c10d66c0a2702a6afe1d89d7feafdc3a02a459d65580483",
        licence="MIT",
        url="https://github.com/Yummygum/flagpack-core",
    ),
    _flags(
        "cif",
        "1.2.7",
        "804801450b77e3b2c9a2b716fb45b44ee2a97e702e21ac6bca6358d0f7eb13c8",
        licence="CC0-1.0",
        url="https://github.com/coreui/coreui-icons",
    ),
)
VENDORS = {vendor.name: vendor for vendor in _ALL}


def siblings(name: str) -> tuple[str, ...]:
    """Return every vendor by the artist of ``name``, itself included."""
    return tuple(vendor.name for vendor in _ALL if vendor.artist == VENDORS[name].artist)


MONOCHROME = ("emojione-monotone", "fluent-emoji-high-contrast")
"""Sets in one colour: pictures of another kind, measured when they are asked for by name."""


def colour_sets(names: Iterable[str]) -> tuple[str, ...]:
    """Return every set in colour by the artists of ``names``: an artist who was held out was so with all sets."""
    found = dict.fromkeys(sibling for name in names for sibling in siblings(name))
    return tuple(name for name in found if name not in MONOCHROME)
