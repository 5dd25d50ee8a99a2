"""What of a text a language model can read: checked before anything is spent on it."""

import re
import unicodedata
from typing import Final

from config.errors import Reason, RejectEvent

_REGIONAL_INDICATOR_A: Final = 0x1F1E6
_FLAG: Final = re.compile("[\U0001f1e6-\U0001f1ff]{2}")
_SKIN_TONES: Final = re.compile("[\U0001f3fb-\U0001f3ff]")


def require_readable(text: str) -> str:
    """Return the text in composed form (NFC), white space collapsed.

    Raises:
        RejectEvent: If nothing but white space, control and format characters is in it.
    """
    composed = " ".join(unicodedata.normalize("NFC", text).split())
    if all(unicodedata.category(character)[0] in "CZ" for character in composed):
        raise RejectEvent(Reason.INVALID_EVENT, "the text is empty: it has no letter, digit or sign; leave it out")
    return composed


def spell_pictographs(text: str) -> str:
    """Write emoji and other pictographs as their Unicode names: ``I ♥ 🐱`` becomes ``I black heart suit cat face``.

    Language models trained before or without emoji know one and the same "unknown" for all of them.
    """
    if text.isascii():
        return text
    text = _FLAG.sub(lambda flag: f" flag {_letters(flag.group())} ", _SKIN_TONES.sub("", text))
    spelt = "".join(_spell(character) for character in text)
    return " ".join(spelt.split())


def _spell(character: str) -> str:
    if character in "\u200d\ufe0e\ufe0f":  # joiner and variation selectors: how to draw, not what
        return " "
    if unicodedata.category(character) != "So":
        return character
    return f" {unicodedata.name(character, character).lower()} "


def _letters(flag: str) -> str:
    return "".join(chr(ord("A") + ord(letter) - _REGIONAL_INDICATOR_A) for letter in flag)
