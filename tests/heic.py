"""A HEIC file from first principles, so that no test needs an encoder: HEVC whose blocks are all stored, not coded.

ITU-T H.265 lets a block carry its samples as they are (``pcm_flag``). A picture of 32-pixel blocks then needs two kinds
of arithmetic-coded symbols, none of which ever leaves the likely side. The container is that of ISO/IEC 23008-12.
"""

import struct
from collections.abc import Sequence

BLOCK = 32
_LPS_RANGES = (240, 227, 216, 205, 195, 185, 175, 166, 158, 150)
"""Ranges of the unlikely symbol in the widest quarter, by state (H.265 table 9-52): one a block that a test may ask."""
_INTRA_STILL = "00" + "0" + "00011" + "0111" + "0" * 28 + "1001" + "0" * 43 + "0" + "00011110"
"""Profile, tier and level: main still picture, level 1."""

Colour = tuple[int, int, int]
"""Y, Cb, Cr."""


class Bits:
    """Bits in order, most significant first."""

    def __init__(self, text: str = "") -> None:
        self.text = text

    def fixed(self, value: int, width: int) -> "Bits":
        """Add so many bits."""
        self.text += format(value, f"0{width}b")
        return self

    def golomb(self, *values: int) -> "Bits":
        """Add unsigned exponential Golomb codes."""
        for value in values:
            digits = format(value + 1, "b")
            self.text += "0" * (len(digits) - 1) + digits
        return self

    def align(self) -> "Bits":
        """Add zeros to the next byte."""
        self.text += "0" * (-len(self.text) % 8)
        return self

    def data(self, *, stop: bool = True) -> bytes:
        """The bytes, after a stop bit unless there is one."""
        self.text += "1" if stop else ""
        self.align()
        return int(self.text, 2).to_bytes(len(self.text) // 8)


class Coder:
    """H.265's arithmetic coder (9.3), as far as likely symbols and ends need it."""

    def __init__(self, bits: Bits) -> None:
        self._bits = bits
        self._low, self._range, self._first, self._outstanding = 0, 510, True, 0

    def likely(self, state: int) -> None:
        """Code the likely symbol of a context; its range stays above 256, so nothing comes out."""
        self._range -= _LPS_RANGES[state]
        assert self._range >= 256

    def end(self, ends: bool) -> None:
        """Code whether something ends; if so, everything comes out, a stop bit last."""
        self._range -= 2
        if not ends:
            return
        self._low += self._range
        self._range = 2
        for _ in range(7):
            self._shift()
        self._put((self._low >> 9) & 1)
        self._bits.fixed((self._low >> 7) & 3 | 1, 2)

    def _shift(self) -> None:
        if self._low >= 512:
            self._low -= 512
            self._put(1)
        elif self._low < 256:
            self._put(0)
        else:
            self._low -= 256
            self._outstanding += 1
        self._low *= 2

    def _put(self, bit: int) -> None:
        self._bits.text += "" if self._first else str(bit)
        self._first = False
        self._bits.text += str(1 - bit) * self._outstanding
        self._outstanding = 0


def heic(rows: Sequence[Sequence[Colour]], *, turns: int = 0) -> bytes:
    """A HEIC picture of 32-pixel blocks, each of one colour.

    Args:
        rows: Colours of the blocks from the top left.
        turns: Quarter turns anticlockwise that a reader must make to show it upright.
    """
    width, height = BLOCK * len(rows[0]), BLOCK * len(rows)
    sets, slice_ = _units(rows)
    properties = [_box("hvcC", _configuration(sets)), _full_box("ispe", struct.pack(">II", width, height))]
    if turns:
        properties.append(_box("irot", bytes([turns])))
    picture = struct.pack(">I", len(slice_)) + slice_
    head = _box("ftyp", b"heic" + bytes(4) + b"mif1heic")
    meta = _meta(properties, 0, len(picture))
    meta = _meta(properties, len(head) + len(meta) + 8, len(picture))
    return head + meta + _box("mdat", picture)


def hevc(pictures: Sequence[Sequence[Sequence[Colour]]]) -> bytes:
    """The same pictures, of one size, as a bare stream: a clip."""
    stream = b""
    for rows in pictures:
        sets, slice_ = _units(rows)
        stream += b"".join(b"\0\0\0\1" + unit for unit in (*sets, slice_))
    return stream


def _units(rows: Sequence[Sequence[Colour]]) -> tuple[list[bytes], bytes]:
    width, height = BLOCK * len(rows[0]), BLOCK * len(rows)
    sets = [_unit(32, _video_set()), _unit(33, _sequence_set(width, height)), _unit(34, _picture_set())]
    return sets, _unit(20, _slice([block for row in rows for block in row]))


def _video_set() -> bytes:
    bits = Bits("0000" + "11" + "000000" + "000" + "1" + "1" * 16 + _INTRA_STILL + "1")
    return bits.golomb(0, 0, 0).fixed(0, 6).golomb(0).fixed(0, 2).data()


def _sequence_set(width: int, height: int) -> bytes:
    bits = Bits("0000" + "000" + "1" + _INTRA_STILL).golomb(0, 1, width, height).fixed(0, 1)
    bits.golomb(0, 0, 0).fixed(1, 1).golomb(0, 0, 0)
    bits.golomb(2, 0, 0, 3, 0, 0)  # blocks of 32, transforms of 4 to 32
    bits.fixed(0, 3).fixed(1, 1).fixed(7, 4).fixed(7, 4).golomb(2, 0).fixed(1, 1)  # stored blocks of 32, eight bits
    return bits.golomb(0).fixed(0, 5).data()


def _picture_set() -> bytes:
    bits = Bits().golomb(0, 0).fixed(0, 7).golomb(0, 0, 0).fixed(0, 3).golomb(0, 0).fixed(0, 7)
    return bits.fixed(1, 1).fixed(0, 1).fixed(1, 1).fixed(0, 2).golomb(0).fixed(0, 2).data()  # no deblocking


def _slice(blocks: Sequence[Colour]) -> bytes:
    bits = Bits("1" + "0").golomb(0, 2, 0).fixed(1, 1).align()
    coder = Coder(bits)
    for place, (luma, blue, red) in enumerate(blocks):
        coder.likely(place)  # one whole block
        coder.end(True)  # stored
        bits.align()
        bits.text += Bits("".join(format(one, "08b") * n for one, n in ((luma, 1024), (blue, 256), (red, 256)))).text
        coder = Coder(bits)
        coder.end(place == len(blocks) - 1)
    return bits.data(stop=False)


def _unit(kind: int, payload: bytes) -> bytes:
    """A NAL unit; three bytes that would look like a start code are kept apart."""
    kept, zeros = bytearray(), 0
    for byte in payload:
        if zeros >= 2 and byte <= 3:
            kept.append(3)
            zeros = 0
        kept.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes([kind << 1, 1]) + bytes(kept)


def _configuration(sets: Sequence[bytes]) -> bytes:
    profile = bytes([1, 3]) + bytes.fromhex("70000000") + bytes.fromhex("900000000000") + bytes([30])
    head = profile + bytes.fromhex("f000fcfdf8f80000") + bytes([0x0F, len(sets)])
    return head + b"".join(
        struct.pack(">BHH", 0x80 | kind, 1, len(each)) + each for kind, each in zip((32, 33, 34), sets, strict=True)
    )


def _meta(properties: Sequence[bytes], offset: int, size: int) -> bytes:
    handler = _full_box("hdlr", bytes(4) + b"pict" + bytes(13))
    primary = _full_box("pitm", struct.pack(">H", 1))
    place = _full_box("iloc", bytes([0x44, 0]) + struct.pack(">HHHHII", 1, 1, 0, 1, offset, size))
    entry = _full_box("infe", struct.pack(">HH", 1, 0) + b"hvc1\0", version=2)
    items = _full_box("iinf", struct.pack(">H", 1) + entry)
    links = bytes([len(properties)]) + bytes(0x80 | number for number in range(1, len(properties) + 1))
    of_item = _full_box("ipma", struct.pack(">IH", 1, 1) + links)
    shared = _box("iprp", _box("ipco", b"".join(properties)) + of_item)
    return _full_box("meta", handler + primary + place + items + shared)


def _box(kind: str, payload: bytes) -> bytes:
    return struct.pack(">I", 8 + len(payload)) + kind.encode() + payload


def _full_box(kind: str, payload: bytes, version: int = 0) -> bytes:
    return _box(kind, bytes([version, 0, 0, 0]) + payload)
