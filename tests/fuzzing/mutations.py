"""Damage: to bytes, and to JSON that stays JSON. Everything follows from the generator that is passed in."""

import copy
import json
import random
from collections.abc import Sequence
from typing import Any, Final

_HEAD: Final = 256
_INTERESTING: Final = (b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\x00", b"\x00\x00\x00\x01")
_ODD: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 2**31, 2**53, -(2**63), 10**40, 1e-320, 1.7e308, 0.1, "", " ", "\x00", "\x1b[2J"),
    *("\u202e", "猫" * 50, "😀", "x" * 5000, [], {}, [[]], [None], {"": None}, "2026-05-01", "file:///etc/passwd"),
    *("http://127.0.0.1:9/x", "http://[::1]/", "data:,x", "../../..", "$(id)", "' or 1 == 1", "%s%n", "NaN"),
)
"""Values that somebody's code somewhere trips over."""
_RAW: Final = (b"NaN", b"Infinity", b"1e999", b"-0", b"\\ud800", b"\xed\xa0\x80", b"\xc0\x80", b"\xef\xbb\xbf", b"\x00")
"""What JSON does not admit, and some parsers do."""


def damaged(data: bytes, others: Sequence[bytes], dice: random.Random) -> bytes:
    """The bytes with one to eight damages: flips, cuts, doublings, odd numbers, stretches of another file."""
    found = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        _damage(found, others, dice)
    return bytes(found)


def _damage(found: bytearray, others: Sequence[bytes], dice: random.Random) -> None:
    # Half of it where headers are: what follows them is mostly samples.
    place = dice.randrange(min(len(found), _HEAD if dice.random() < 0.5 else len(found)) + 1)
    length = dice.choice((1, 2, 4, 8, 64, 1024))
    match dice.randrange(8):
        case 0 | 1 if place < len(found):
            found[place] ^= 1 << dice.randrange(8)
        case 2 if place < len(found):
            found[place] = dice.randrange(256)
        case 3:
            number = dice.choice(_INTERESTING)
            found[place : place + len(number)] = number
        case 4:
            del found[place : place + length]
        case 5:
            found[place:place] = found[place : place + length] or dice.randbytes(length)
        case 6 if dice.random() < 0.3:
            del found[place:]
        case _:
            other = dice.choice(others)
            start = dice.randrange(len(other) + 1)
            found[place : place + length] = other[start : start + length]


def damaged_json(event: bytes, others: Sequence[bytes], dice: random.Random) -> bytes:
    """The event with one to three fields changed, taken away, added or doubled, and sometimes what is no JSON in it."""
    try:
        value = json.loads(event)
    except ValueError:
        return damaged(event, others, dice)
    for _ in range(dice.choice((1, 1, 2, 3))):
        value = _changed(value, others, dice)
    written = bytearray(json.dumps(value, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass"))
    if dice.random() < 0.1:
        place = dice.randrange(len(written) + 1)
        written[place:place] = dice.choice(_RAW)
    if dice.random() < 0.02:
        depth = dice.choice((100, 5_000, 100_000))
        written = bytearray(b'{"a":' + b"[" * depth + written + b"]" * depth + b"}")
    return bytes(written)


def _changed(value: Any, others: Sequence[bytes], dice: random.Random) -> Any:
    value = copy.deepcopy(value)
    holders = [each for each in _walk(value) if each]
    if not holders:
        return dice.choice(_ODD)
    holder = dice.choice(holders)
    key = dice.choice(list(holder)) if isinstance(holder, dict) else dice.randrange(len(holder))
    match dice.randrange(6):
        case 0:
            del holder[key]
        case 1:
            holder[key] = [holder[key]] * dice.choice((1, 2, 300))
        case 2:
            holder[key] = _some_value(dice.choice(others), dice)
        case 3 if isinstance(holder, dict):
            holder[dice.choice(("x", "", "type", "uri", "data", key + " ", "\x00"))] = dice.choice(_ODD)
        case _:
            holder[key] = dice.choice(_ODD)
    return value


def _walk(value: Any) -> list[Any]:
    """Every list and mapping within."""
    if not isinstance(value, dict | list):
        return []
    inner = value.values() if isinstance(value, dict) else value
    return [value, *(each for one in inner for each in _walk(one))]


def _some_value(event: bytes, dice: random.Random) -> Any:
    try:
        holders = [each for each in _walk(json.loads(event)) if each]
    except ValueError:
        return dice.choice(_ODD)
    if not holders:
        return dice.choice(_ODD)
    holder = dice.choice(holders)
    return holder[dice.choice(list(holder))] if isinstance(holder, dict) else dice.choice(holder)
