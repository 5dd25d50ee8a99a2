"""Bytes and words that strangers wrote, made safe to print.

Nothing in them moves the cursor or turns text around, and what is a secret by its name is not shown.
"""

import re
from typing import Final

# C0 and C1 controls but line break and tab; line and paragraph separators; what changes the direction of writing.
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_ROW: Final = 16

_HIDDEN: Final = b"[hidden]"
_SECRET: Final = rb"[\w.-]*(?:authorization|cookie|credential|passw(?:or)?d|secret|signature|token|api[_-]?key)[\w.-]*"
_SECRETS: Final = (
    re.compile(rb"(?<=://)[^/\s\"'@]+(?=@)"),  # who reads an address, and the password
    re.compile(rb"(?i)(?<=[?&])((?:" + _SECRET + rb"|sig|key|auth)=)[^&\s\"'#]+"),  # a signed address
    re.compile(rb"(?i)(\"" + _SECRET + rb"\"\s*:\s*\")(?:[^\"\\]|\\.)*"),  # a field of JSON
)
_SECRET_NAME: Final = re.compile(_SECRET.decode(), re.IGNORECASE)


def without_secrets(data: bytes) -> bytes:
    """The bytes with passwords in addresses, signatures of addresses and fields named like a secret left out."""
    for pattern in _SECRETS:
        data = pattern.sub(lambda found: (found[1] if found.re.groups else b"") + _HIDDEN, data)
    return data


def header_value(name: str, value: bytes) -> str:
    """A header's value, readable; hidden where its name is that of a secret."""
    return _HIDDEN.decode() if _SECRET_NAME.search(name) else readable_bytes(without_secrets(value))


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
