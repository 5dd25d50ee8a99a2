"""A text's sentences: where each lies, and short neighbours joined where there would be too many.

Boundaries come from Wikimedia's ``sentencex`` (rules for some 300 languages, no data to load): abbreviations,
quotations and full-width stops. It needs a millisecond for 100,000 characters, also of texts made to be slow.
"""

from typing import Final

import sentencex

DEFAULT_LANGUAGE: Final = "en"
"""Rules for texts of no stated language: Chinese and Japanese stops are among them, and so are Latin abbreviations."""

Span = tuple[int, int]
"""Where a piece begins and ends in its text, in characters."""


def sentences(text: str, *, language: str | None = None, most: int) -> list[Span]:
    """Find a text's sentences, without the white space around them.

    Args:
        text: Any length, any language.
        language: BCP 47 tag, if known.
        most: Pieces wanted at most: while there are more, the shortest pairs of neighbours are joined.

    Returns:
        At least one span of a text with a visible character, in order; pieces without a letter or digit are left out
        where there are others.
    """
    rules = (language or DEFAULT_LANGUAGE).split("-")[0].lower()
    found: list[Span] = []
    at = 0
    for piece in sentencex.segment(rules, text):
        start, end = _trimmed(text, at, at + len(piece))
        at += len(piece)
        if start < end:
            found.append((start, end))
    spoken = [span for span in found if any(map(str.isalnum, text[slice(*span)]))]
    return join_shortest(spoken or [(found[0][0], found[-1][1])] if found else [], most)


def _trimmed(text: str, start: int, end: int) -> Span:
    inner = text[start:end]
    return end - len(inner.lstrip()), start + len(inner.rstrip())


def join_shortest(spans: list[Span], most: int) -> list[Span]:
    """Join neighbours until at most ``most`` are left; the pair that is shortest together goes first."""
    while len(spans) > most:
        surplus = len(spans) - most
        pairs = sorted(range(len(spans) - 1), key=lambda place: spans[place + 1][1] - spans[place][0])
        joined: set[int] = set()
        for place in pairs:  # a round joins no span twice, so at most half of them are gone after it
            if len(joined) < surplus and joined.isdisjoint((place - 1, place + 1)):
                joined.add(place)
        spans = [
            (start, spans[place + 1][1] if place in joined else end)
            for place, (start, end) in enumerate(spans)
            if place - 1 not in joined
        ]
    return spans
