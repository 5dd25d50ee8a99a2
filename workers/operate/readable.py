"""Bytes and words that strangers wrote, made safe to print: nothing in them moves the cursor or turns text around."""

import re
from typing import Final

# C0 and C1 controls but line break and tab; line and paragraph separators; what changes the direction of writing.
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_ROW: Final = 16


def readable(text: str, *, one_line: bool = False) -> str:
    r"""The text with control characters written as ``\x1b`` or ``\u202e``; line breaks and tabs too in one line."""
    safe = _CONTROL.sub(lambda found: _escaped(found[0]), text)
    return safe.replace("\n", r"\n").replace("\t", r"\t") if one_line else safe


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def readable_bytes(data: bytes) -> str:
    """UTF-8 as text, anything else as rows of 16 bytes: place, hexadecimal, and what is ASCII of it."""
    try:
        return readable(data.decode("utf-8"))
    except UnicodeDecodeError:
        return "\n".join(_row(data, at) for at in range(0, len(data), _ROW))


def _row(data: bytes, at: int) -> str:
    row = data[at : at + _ROW]
    shown = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
    return f"{at:08x}  {row.hex(' '):<{_ROW * 3 - 1}}  {shown}"
