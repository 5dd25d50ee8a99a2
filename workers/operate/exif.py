"""What a photograph's EXIF block tells: when and where it was taken. Nothing else is read; a broken block is none."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

_FORMAT: Final = "%Y:%m:%d %H:%M:%S"
_SMALLEST_YEAR: Final = 1826  # the first photograph; cameras with an unset clock write 0000


def read_exif(path: Path) -> tuple[datetime | None, tuple[float, float] | None]:
    """When the picture was taken, and where as (latitude, longitude) in degrees; None for what it does not tell.

    The time has a zone only when the camera wrote one.
    """
    with contextlib.suppress(Exception), Image.open(path) as picture:  # any damage here only loses the date
        block = picture.getexif()
        return _taken_at(block.get_ifd(IFD.Exif), block), _place(block.get_ifd(IFD.GPSInfo))
    return None, None


def _taken_at(details: Any, block: Any) -> datetime | None:
    text = details.get(Base.DateTimeOriginal) or block.get(Base.DateTime)
    try:
        taken = datetime.strptime(str(text).strip("\0 "), _FORMAT)
    except ValueError:
        return None
    if taken.year < _SMALLEST_YEAR:
        return None
    return taken.replace(tzinfo=_zone(details.get(Base.OffsetTimeOriginal)))


def _zone(text: Any) -> timezone | None:
    try:
        offset = datetime.strptime(str(text).strip("\0 "), "%z").utcoffset()
    except ValueError:
        return None
    return UTC if offset == timedelta(0) else timezone(offset or timedelta(0))


def _place(gps: Any) -> tuple[float, float] | None:
    latitude = _degrees(gps.get(GPS.GPSLatitude), gps.get(GPS.GPSLatitudeRef), negative="S")
    longitude = _degrees(gps.get(GPS.GPSLongitude), gps.get(GPS.GPSLongitudeRef), negative="W")
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    # (0, 0), in the sea off Africa, is what receivers without a fix write.
    return None if latitude == longitude == 0 else (latitude, longitude)


def _degrees(parts: Any, reference: Any, *, negative: str) -> float | None:
    try:
        degrees, minutes, seconds = (Fraction(part.numerator, part.denominator) for part in parts)
    except (TypeError, ValueError, AttributeError, ZeroDivisionError):
        return None
    value = round(float(degrees + minutes / 60 + seconds / 3600), 6)
    return -value if str(reference).strip("\0 ").upper() == negative else value
