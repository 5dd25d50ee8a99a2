"""Renderings: whose picture belongs to which emoji, and how it is drawn."""

import numpy as np
import pytest

from config.errors import Misconfigured
from encoders.builtin.training import renderings
from encoders.builtin.training.emoji import Concept, strip_variation
from encoders.builtin.training.renderings import load_renderings, match_concepts, render_svg
from encoders.builtin.training.vendors import VENDORS, siblings

SQUARE = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><path fill="#f00" d="M0 0h5v10H0z"/></svg>'


def _concept(
    name: str, emoji: str, hexcode: str, *, group: str = "animals-nature", codes: tuple[str, ...] = ()
) -> Concept:
    return Concept(
        item_id=f"emoji-{hexcode}",
        emoji=emoji,
        hexcode=hexcode,
        names={"en": name},
        keywords={},
        group=group,
        subgroup="any",
        unicode_version=1.0,
        shortcodes=codes,
    )


CAT = _concept("cat face", "🐱", "1f431", codes=("cat",))
FLAG = _concept("flag: Chile", "🇨🇱", "1f1e8-1f1f1", group="flags")


def _icons(*slugs: str, **aliases: str) -> dict[str, object]:
    return {
        "icons": {slug: {"body": "<g/>"} for slug in slugs},
        "aliases": {alias: {"parent": parent} for alias, parent in aliases.items()},
        "width": 10,
        "height": 10,
    }


@pytest.mark.parametrize("slug", ["cat-face", "catface", "cat", "CAT_FACE"])
def test_pictures_are_found_by_name_or_shortcode(slug: str) -> None:
    """Vendors spell names in their own ways; case and separators do not matter."""
    assert match_concepts(VENDORS["fxemoji"], [CAT, FLAG], _icons(slug), {}) == {0: slug}


def test_code_points_win_over_names() -> None:
    """A vendor's own table of code points is believed first, variation selectors aside."""
    found = match_concepts(VENDORS["noto"], [CAT], _icons("cat", "kitten"), {"1f431-fe0f": "kitten"})
    assert found == {0: "kitten"}


def test_flags_are_found_by_country_code() -> None:
    """Flag sets name their pictures by country code, with a suffix for the shape."""
    assert match_concepts(VENDORS["flag"], [CAT, FLAG], _icons("cl-4x3", "cl-1x1", "ca-4x3"), {}) == {1: "cl-4x3"}


def test_a_picture_is_used_once() -> None:
    """Two concepts never share a picture: it would be a wrong answer for one of them."""
    twin = _concept("cat", "🐈", "1f408")
    assert match_concepts(VENDORS["fxemoji"], [CAT, twin], _icons("cat"), {}) == {0: "cat"}


def test_a_mirrored_alias_is_drawn_mirrored() -> None:
    """An alias takes its parent's drawing, turned around where it says so."""
    icons = {
        "icons": {"left": {"body": '<path fill="#f00" d="M0 0h5v10H0z"/>'}},
        "aliases": {"right": {"parent": "left", "hFlip": True}},
        "width": 10,
        "height": 10,
    }
    drawn = [render_svg(renderings.icon_document(icons, slug), 16)[..., 3] for slug in ("left", "right")]
    np.testing.assert_array_equal(drawn[0][:, ::-1], drawn[1])
    assert drawn[0][:, :8].min() == 255


def test_a_rendering_is_square_and_centred() -> None:
    """A wide drawing gets transparent bands above and below."""
    wide = SQUARE.replace('width="10"', 'width="20"')
    pixels = render_svg(wide, 64)
    assert pixels.shape == (64, 64, 4)
    assert pixels[:15, :, 3].max() == 0
    assert pixels[-15:, :, 3].max() == 0
    assert pixels[32, 5, 0] == 255


def test_an_unknown_vendor_is_refused() -> None:
    """The error lists the vendors there are."""
    with pytest.raises(Misconfigured, match="twemoji"):
        load_renderings("nobody", [])


def test_sets_by_one_artist_are_siblings() -> None:
    """Siblings stay on one side of a hold-out; licences and artists are recorded for all."""
    assert set(siblings("noto")) == {"noto", "noto-v1"}
    assert siblings("openmoji") == ("openmoji",)
    assert all(vendor.package.licence and vendor.url for vendor in VENDORS.values())


def test_variation_selectors_do_not_count() -> None:
    """Hexcodes are compared in lower case without selectors."""
    assert strip_variation("2764-FE0F-200D-1F525") == "2764-200d-1f525"
