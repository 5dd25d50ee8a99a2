"""Line icons with names: drawings in plain strokes, beyond what emoji show.

An icon's name is its slug in words, without the words for a style: "calendar-event-filled" and "calendar-event" are two
drawings of one thing. Logos are left out: a trademark is not what its name's words mean.
"""

import re
import zlib
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.builtin.efficientnet import Trunk
from encoders.builtin.training.activations import PLAIN_VIEW, compute_maps
from encoders.builtin.training.drawing_data import Drawings
from encoders.builtin.training.packages import DEFAULT_CACHE, Package, fetch, read_json
from encoders.builtin.training.renderings import icon_document, render_svg
from encoders.builtin.training.texts import encode_texts

STYLE_WORDS = frozenset({"outline", "filled", "fill", "solid", "alt", "variant"})
WEIGHTS = ("-thin", "-light", "-bold", "-duotone")  # the same drawing in other pens: one is enough
LOGO_WORDS = frozenset({"brand", "logo"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSet:
    """A set of line icons.

    Attributes:
        package: Where it comes from, with its licence.
        url: The artwork's home, for notices.
    """

    package: Package
    url: str


def _set(name: str, version: str, sha256: str, licence: str, url: str) -> LineSet:
    package = Package(registry="npm", name=f"@iconify-json/{name}", version=version, sha256=sha256, licence=licence)
    return LineSet(package=package, url=url)


LINE_SETS = {
    "tabler": _set(
        "tabler",
        "1.2.41",
        "3bf99af156d28d05568aff524a35ed1ba238df640a7835a5e02e1f8e439685f6",
        "MIT",
        "https://github.com/tabler/tabler-icons",
    ),
    "ph": _set(
        "ph",
        "1.2.2",
        "e3a582a047d9829fc7e8842c660d8065e598d1b68bb58cb68e75a1f1e5a614cc",
        "MIT",
        "https://github.com/phosphor-icons/core",
    ),
    "mdi": _set(
        "mdi",
        "1.2.3",
        "ddd817a7213f91de51147943915c0cda8c8b818a53c92b5c068cfa9883c6d7ac",
        "Apache-2.0",
        "https://github.com/Templarian/MaterialDesign",
    ),
    "iconoir": _set(
        "iconoir",
        "1.2.11",
        "8e5d3bfbd55aa8ef3878f0c2f248cf71fe99822172fd07990e32ab7fe7a68b1e",
        "MIT",
        "https://github.com/iconoir-icons/iconoir",
    ),
    "carbon": _set(
        "carbon",
        "1.2.29",
        "8e3059dc90933875439c29ff36ae4370767bc02d8beca6923b1f2bb856cf327a",
        "Apache-2.0",
        "https://github.com/carbon-design-system/carbon",
    ),
    "lucide": _set(
        "lucide",
        "1.2.137",
        "e74db8c3a55fff55bc82de21268c4bced9f65ff10aacc0d5f3a395b0e93243c3",
        "ISC",
        "https://github.com/lucide-icons/lucide",
    ),
}
HELD_OUT_LINES = "lucide"  # and feather, which it grew out of, is not used at all
TRAINED_LINES = tuple(name for name in LINE_SETS if name != HELD_OUT_LINES)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineIcons:
    """Icons as the trunk sees them, for training.

    Attributes:
        drawings: Maps by name.
        names: All different, in words.
        features: Their sentence features, float16 of shape (names, 512).
    """

    drawings: Drawings
    names: tuple[str, ...]
    features: NDArray[np.float16]


def icon_words(slug: str) -> str | None:
    """Return an icon's name in words; None for logos and for names of one letter or digits alone."""
    words = [word for word in re.split(r"[-\s]+", slug.lower()) if word]
    if LOGO_WORDS & set(words):
        return None
    plain = [word for word in words if word not in STYLE_WORDS]
    return " ".join(plain) if any(re.fullmatch(r"[^\W\d]{2,}", word) for word in plain) else None


def load_line_icons(name: str, cache: Path = DEFAULT_CACHE) -> tuple[list[str], NDArray[np.uint8]]:
    """Return the icons' names and pictures, RGBA of shape (n, 128, 128, 4), rendered once and kept in ``cache``.

    Raises:
        Misconfigured: The package cannot be fetched, or ``resvg-py`` is missing.
    """
    package = LINE_SETS[name].package
    icons = read_json(fetch(package, cache), "package/icons.json")
    slugs = [slug for slug in icons["icons"] if not _other_pen(slug, icons["icons"])]
    named = {slug: words for slug in slugs if (words := icon_words(slug))}
    store = cache / "renderings" / f"lines-{name}-{package.version}-{len(named)}.npy"
    if not store.exists():
        store.parent.mkdir(parents=True, exist_ok=True)
        partial = store.with_suffix(".partial.npy")
        np.save(partial, np.stack([render_svg(icon_document(icons, slug)) for slug in named]))
        partial.rename(store)
    return list(named.values()), np.load(store, mmap_mode="r")


def line_maps(trunk: Trunk, name: str, view: int, cache: Path, *, seed: int) -> tuple[list[str], NDArray[np.float16]]:
    """Return the icons' names and the trunk's maps of them in one view, float16 of shape (n, 112, 8, 8)."""
    words, pixels = load_line_icons(name, cache)
    suffix = "plain" if view == PLAIN_VIEW else f"{seed}-{view}"
    store = cache / "activations" / f"lines-{name}-{len(words)}-{suffix}.npy"
    rng = np.random.default_rng([seed, view, zlib.crc32(name.encode())])
    return words, compute_maps(trunk, store, pixels, view=view, rng=rng, keeps_hues=lambda _: False)


def training_icons(
    trunk: Trunk, views: Sequence[int], cache: Path, *, seed: int, progress: Callable[[str], None]
) -> LineIcons:
    """Return every training set's icons in the given views, one name for the same words in any set."""
    parts = []
    for name in TRAINED_LINES:
        progress(f"look at the line icons of {name}")
        parts += [line_maps(trunk, name, view, cache, seed=seed) for view in views]
    names = sorted(set(chain.from_iterable(words for words, _ in parts)))
    index = {words: row for row, words in enumerate(names)}
    owners = np.array([index[words] for part, _ in parts for words in part], dtype=np.int64)
    drawings = Drawings(np.concatenate([maps for _, maps in parts]), owners)
    return LineIcons(drawings=drawings, names=tuple(names), features=encode_texts(names, cache))


def _other_pen(slug: str, slugs: Container[str]) -> bool:
    return any(slug.endswith(weight) and slug.removesuffix(weight) in slugs for weight in WEIGHTS)
