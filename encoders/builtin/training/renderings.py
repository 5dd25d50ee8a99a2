"""Renderings of the concepts by every vendor, as pixels.

Vendors name their pictures by code points (``chars.json``), by emoji names of some Unicode version, or by country
codes. All three are tried in this order; a picture is used for at most one concept.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured
from encoders.builtin.training.emoji import Concept, strip_variation
from encoders.builtin.training.packages import DEFAULT_CACHE, fetch, read_json
from encoders.builtin.training.vendors import VENDORS, Vendor

SIZE_PX = 128
FLAG_GROUP = "flags"
REGIONAL_INDICATOR_A = 0x1F1E6
INK = "#1f1f1f"  # what single-colour sets call currentColor


def load_renderings(
    vendor: str, concepts: Sequence[Concept], cache: Path = DEFAULT_CACHE
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return which concepts ``vendor`` draws, and their pictures.

    Rendered once and kept in ``cache`` as ``.npy``.

    Returns:
        Indices into ``concepts``, ascending, of shape (n,), and RGBA pixels of shape (n, 128, 128, 4).

    Raises:
        Misconfigured: The vendor is unknown, its package cannot be fetched, or ``resvg-py`` is missing.
    """
    if vendor not in VENDORS:
        raise Misconfigured(f"no vendor {vendor!r}: choose among {', '.join(VENDORS)}")
    found = svg_bodies(VENDORS[vendor], concepts, cache)
    folder = cache / "renderings"
    store = folder / f"{vendor}-{VENDORS[vendor].package.version}-{len(found)}.npy"
    if not store.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = store.with_suffix(".partial.npy")
        np.save(partial, np.stack([render_svg(svg) for svg in found.values()]))
        partial.rename(store)
    return np.array(list(found), dtype=np.int64), np.load(store)


def svg_bodies(vendor: Vendor, concepts: Sequence[Concept], cache: Path = DEFAULT_CACHE) -> dict[int, str]:
    """Return a whole SVG document by concept index, for every concept that ``vendor`` draws."""
    archive = fetch(vendor.package, cache)
    icons = read_json(archive, "package/icons.json")
    chars = read_json(archive, "package/chars.json")
    matched = match_concepts(vendor, concepts, icons, chars)
    return {index: icon_document(icons, slug) for index, slug in sorted(matched.items())}


def match_concepts(
    vendor: Vendor, concepts: Sequence[Concept], icons: Mapping[str, Any], chars: Mapping[str, str]
) -> dict[int, str]:
    """Return the vendor's icon name by concept index."""
    slugs = [*icons["icons"], *icons.get("aliases", {})]
    if vendor.flags_only:
        known = {slug.removesuffix(vendor.suffix): slug for slug in slugs if slug.endswith(vendor.suffix)}
        candidates = [_country_codes(concept) for concept in concepts]
    else:
        known = {_squash(slug): slug for slug in reversed(slugs)}
        candidates = [_name_keys(concept) for concept in concepts]
    by_code = {strip_variation(code): slug for code, slug in chars.items()}
    matched = {i: by_code[concept.hexcode] for i, concept in enumerate(concepts) if concept.hexcode in by_code}
    taken = set(matched.values())
    for index, keys in enumerate(candidates):
        slug = next((known[key] for key in keys if key in known), None)
        if index not in matched and slug is not None and slug not in taken:
            matched[index] = slug
            taken.add(slug)
    return matched


def render_svg(document: str, size_px: int = SIZE_PX) -> NDArray[np.uint8]:
    """Return an SVG document as RGBA pixels of shape (size_px, size_px, 4), aspect kept, centred.

    Raises:
        Misconfigured: ``resvg-py`` is missing.
    """
    try:
        import resvg_py
    except ImportError as exc:
        raise Misconfigured("rendering needs resvg-py: pip install 'crosscurrent[train]'") from exc
    from io import BytesIO

    from PIL import Image

    png = bytes(resvg_py.svg_to_bytes(svg_string=document, width=size_px))
    with Image.open(BytesIO(png)) as picture:
        rgba = picture.convert("RGBA")
    rgba.thumbnail((size_px, size_px))
    canvas = Image.new("RGBA", (size_px, size_px))
    canvas.paste(rgba, ((size_px - rgba.width) // 2, (size_px - rgba.height) // 2))
    return np.asarray(canvas)


def icon_document(icons: Mapping[str, Any], slug: str) -> str:
    """Return one icon of an icon set's JSON as a whole SVG document."""
    icon = dict(icons["icons"].get(slug, {}))
    flipped = False
    while "body" not in icon:  # an alias: its parent's drawing, perhaps mirrored
        alias = icons["aliases"][slug]
        flipped ^= bool(alias.get("hFlip", False))
        slug = alias["parent"]
        icon = dict(icons["icons"].get(slug, {}))
    width = icon.get("width", icons.get("width", 16))
    height = icon.get("height", icons.get("height", 16))
    left, top = icon.get("left", 0), icon.get("top", 0)
    body = icon["body"].replace("currentColor", INK)
    if flipped:
        body = f'<g transform="translate({2 * left + width} 0) scale(-1 1)">{body}</g>'
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{width}" height="{height}" viewBox="{left} {top} {width} {height}">{body}</svg>'
    )


def _squash(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.lower().replace("&", "and")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", plain)


def _name_keys(concept: Concept) -> list[str]:
    label = concept.names["en"]
    names: list[str] = [label, *concept.shortcodes]
    if len(concept.emoji.replace("\ufe0f", "")) == 1:
        names.append(unicodedata.name(concept.emoji[0], label))
    if concept.group == FLAG_GROUP:
        country = label.removeprefix("flag: ")
        names += [f"flag for {country}", f"flag-for-flag-{country}", f"{country} flag", f"flag {country}"]
    return _unique(_squash(name) for name in names)


def _country_codes(concept: Concept) -> list[str]:
    points = [int(part, 16) for part in concept.hexcode.split("-")]
    if concept.group != FLAG_GROUP or len(points) != 2 or min(points) < REGIONAL_INDICATOR_A:
        return []
    return ["".join(chr(ord("a") + point - REGIONAL_INDICATOR_A) for point in points)]


def _unique(keys: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(key for key in keys if key))
