"""Line icons and unseen words: what is taught, what is measured, and that the two do not meet."""

import pytest
import torch

from encoders.builtin.corpus import Corpus
from encoders.builtin.training.contrast import name_loss
from encoders.builtin.training.line_icons import HELD_OUT_LINES, TRAINED_LINES, _other_pen, icon_words
from encoders.builtin.training.style import mix_styles
from encoders.builtin.training.unseen_words import UNSEEN_WORDS, seen_words


@pytest.mark.parametrize(
    ("slug", "words"),
    [
        ("calendar-event-filled", "calendar event"),
        ("arrow--down", "arrow down"),
        ("brand-github", None),
        ("logo-twitter", None),
        ("number-8", "number 8"),
        ("360", None),
        ("a-b", None),
        ("outline", None),
    ],
)
def test_a_slug_becomes_words(slug: str, words: str | None) -> None:
    """Words for a style are no part of a name; logos and bare figures are left out."""
    assert icon_words(slug) == words


def test_one_pen_is_enough() -> None:
    """A bold variant is left out, a word that merely ends so is not."""
    slugs = {"cat", "cat-bold", "ceiling-light"}
    assert _other_pen("cat-bold", slugs)
    assert not _other_pen("ceiling-light", slugs)


def test_the_measured_set_is_not_taught() -> None:
    """Neither it nor the set it grew out of."""
    assert HELD_OUT_LINES not in TRAINED_LINES
    assert "feather" not in TRAINED_LINES


def test_names_without_a_picture_are_told_from_those_with_one() -> None:
    """A picture on another name's place costs, whether that name has a picture in the step or not."""
    names = torch.eye(4)
    owners = torch.tensor([0, 1])
    scale = torch.tensor(10.0)
    right = name_loss(images=names[:2], names=names, owners=owners, scale=scale)
    swapped = name_loss(images=names[[1, 0]], names=names, owners=owners, scale=scale)
    strange = name_loss(images=names[[2, 3]], names=names, owners=owners, scale=scale)
    assert float(right) < 0.01
    assert float(swapped) > 5
    assert float(strange) > 2


def test_a_mixed_style_keeps_what_is_drawn_where() -> None:
    """Statistics move between the batch's, the pattern over places stays; kept pictures do not change at all."""
    torch.manual_seed(0)
    maps = torch.randn(64, 8, 4, 4) * torch.rand(64, 8, 1, 1) + torch.randn(64, 8, 1, 1)
    keep = torch.arange(64) < 8
    mixed = mix_styles(maps, keep)
    torch.testing.assert_close(mixed[:8], maps[:8], rtol=1e-4, atol=1e-4)
    moved = (mixed.mean(dim=(2, 3)) - maps.mean(dim=(2, 3))).abs().amax(dim=1) > 1e-3
    assert 8 < int(moved.sum()) < 56
    pattern, before = mixed.flatten(2), maps.flatten(2)
    correlation = torch.nn.functional.cosine_similarity(
        pattern - pattern.mean(2, keepdim=True), before - before.mean(2, keepdim=True), dim=2
    )
    assert float(correlation.min()) > 0.999


def test_unseen_words_are_two_hundred_with_right_answers() -> None:
    """Forty in each language, all different, each with emoji that the corpus holds, none of them a name in it."""
    assert len({(entry.word, entry.language) for entry in UNSEEN_WORDS}) == 200
    assert {sum(entry.language == code for entry in UNSEEN_WORDS) for code in ("en", "zh", "es", "de", "fr")} == {40}
    items = Corpus().items
    assert all(f"emoji-{code}" in items for entry in UNSEEN_WORDS for code in entry.hexcodes)
    names = [str(value) for item in items.values() for key, value in item.attributes.items() if key.startswith("name")]
    assert len(names) > 10_000
    assert seen_words(names) == []
    assert seen_words(["Motorcar", "cat face"]) == ["motorcar"]
