"""HEIC, the pictures that telephones take: read where the ``heic`` extra is installed, refused by its name elsewhere.

The extra is ``pi-heif``, which only decodes: libheif and libde265, both LGPL. Its sister ``pillow-heif`` brings x265
(GPL).
"""

from functools import lru_cache
from typing import Final

WAY_OUT: Final = "HEIC pictures need the extra 'heic': pip install 'crosscurrent[heic]', or send JPEG, PNG or WebP"

_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_GENERAL_BRANDS: Final = frozenset({b"mif1", b"msf1", b"mif2", b"miaf"})  # the brands after them say what is inside
_LONGEST_HEAD: Final = 256


def is_heic(data: bytes) -> bool:
    """Whether a file says that it is a HEIC picture, by the brands in its first box (ISO/IEC 23008-12)."""
    if data[4:8] != b"ftyp":
        return False
    length = min(int.from_bytes(data[:4], "big"), _LONGEST_HEAD)
    brands = [data[at : at + 4] for at in (8, *range(16, length, 4))]
    return brands[0] in _BRANDS or (brands[0] in _GENERAL_BRANDS and not _BRANDS.isdisjoint(brands))


@lru_cache(maxsize=1)
def reads_heic() -> bool:
    """Let Pillow read HEIC from now on; False where the extra is not installed."""
    try:
        import pi_heif
    except ImportError:
        return False
    pi_heif.register_heif_opener()
    return True
