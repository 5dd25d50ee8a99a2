"""A person's folder as events: stable identities, place and time, smaller pictures, nothing lost without a word."""

import base64
import io
import sys
import wave
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from encoders.media.heif import reads_heic
from tests.heic import heic
from workers.contracts.content import ContentUpsert
from workers.operate.folder import FolderPlan, find_files, folder_events, item_id_of
from workers.operate.media_files import MAX_SIDE_PX

SYDNEY = ((33, 51, 24.84), "S", (151, 12, 54.72), "E")


def plan_of(root: Path, **changes: Any) -> FolderPlan:
    """A plan for a folder."""
    values = {"root": root, "prefix": "photos", "by_reference": False, "max_event_bytes": 2**20}
    return FolderPlan(**(values | changes))


def photograph(path: Path, *, size: tuple[int, int] = (1600, 1200), date: str = "", place: Any = None) -> Path:
    """Save a JPEG with EXIF."""
    exif = Image.Exif()
    if date:
        exif.get_ifd(0x8769)[0x9003] = date
        exif.get_ifd(0x8769)[0x9011] = "+09:00"
    if place:
        gps = exif.get_ifd(0x8825)
        for tag, value in zip((2, 1, 4, 3), place, strict=True):
            gps[tag] = value if isinstance(value, str) else tuple(IFDRational(round(v * 100), 100) for v in value)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 30, 30)).save(path, "JPEG", exif=exif)
    return path


def events_of(plan: FolderPlan) -> tuple[dict[str, ContentUpsert], dict[str, str]]:
    """Events by item, and what was skipped by file name."""
    skipped: dict[str, str] = {}
    found = folder_events(plan, find_files(plan.root), on_skipped=lambda path, why: skipped.update({path.name: why}))
    return {event.item_id: event for event in found}, skipped


def sent_picture(event: ContentUpsert) -> Image.Image:
    """The picture inside an event."""
    assert event.modalities.image is not None
    assert event.modalities.image.data is not None
    return Image.open(io.BytesIO(base64.b64decode(event.modalities.image.data)))


def test_place_and_time_come_from_exif(tmp_path: Path) -> None:
    """Date with its zone, and degrees with their signs."""
    photograph(tmp_path / "trips" / "opera_house-1.jpg", date="2021:05:03 10:11:12", place=SYDNEY)
    events, _ = events_of(plan_of(tmp_path))
    event = events["photos/trips/opera_house-1.jpg"]
    assert event.attributes["taken_at"] == "2021-05-03T10:11:12+09:00"
    assert event.attributes["year"] == 2021
    assert event.attributes["name"] == "opera house 1"
    assert event.attributes["folder"] == "trips"
    assert event.modalities.location is not None
    assert event.modalities.location.latitude == pytest.approx(-33.8569, abs=1e-4)
    assert event.modalities.location.longitude == pytest.approx(151.2152, abs=1e-4)
    assert event.occurred_at is None, "an item is as new as its publication, not as its photograph"


@pytest.mark.parametrize("date", ["0000:00:00 00:00:00", "soon", "2021:13:40 00:00:00"])
def test_a_broken_date_is_no_date(tmp_path: Path, date: str) -> None:
    """Cameras without a clock write nonsense; the picture is published all the same."""
    photograph(tmp_path / "a.jpg", date=date, place=((0, 0, 0), "N", (0, 0, 0), "E"))
    events, skipped = events_of(plan_of(tmp_path))
    assert "taken_at" not in events["photos/a.jpg"].attributes
    assert events["photos/a.jpg"].modalities.location is None, "0, 0 is what a receiver without a fix writes"
    assert skipped == {}


def test_big_pictures_are_made_smaller_and_upright(tmp_path: Path) -> None:
    """The sent picture fits 512 pixels and stands upright; the file itself is not touched."""
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    Image.new("RGB", (1600, 800)).save(path, exif=exif)
    before = path.read_bytes()
    events, _ = events_of(plan_of(tmp_path))
    picture = sent_picture(events["photos/turned.jpg"])
    assert picture.size == (MAX_SIDE_PX // 2, MAX_SIDE_PX)
    assert not picture.getexif()
    assert path.read_bytes() == before


def test_small_pictures_are_sent_as_they_are(tmp_path: Path) -> None:
    """Nothing is encoded twice for no gain, and transparency stays."""
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(tmp_path / "small.png")
    Image.new("RGBA", (1000, 1000), (0, 0, 0, 0)).save(tmp_path / "large.png")
    events, _ = events_of(plan_of(tmp_path))
    assert sent_picture(events["photos/small.png"]).format == "PNG"
    assert sent_picture(events["photos/large.png"]).mode == "RGBA"


def test_unusable_files_are_told_and_passed_over(tmp_path: Path) -> None:
    """Damaged, empty, too large: each with its reason, and the rest is published."""
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "blank.txt").write_text(" \n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "long.wav").write_bytes(b"RIFF" + bytes(2**20))
    (tmp_path / "good.txt").write_text("a cat on a mat")
    (tmp_path / "program.exe").write_bytes(b"MZ")
    (tmp_path / ".hidden.jpg").write_bytes(b"")
    events, skipped = events_of(plan_of(tmp_path))
    assert list(events) == ["photos/good.txt"]
    assert set(skipped) == {"damaged.png", "empty.wav", "blank.txt", "latin.txt", "long.wav"}
    assert "--by-reference" in skipped["long.wav"]


def test_sounds_go_inline_or_by_reference(tmp_path: Path) -> None:
    """The bytes themselves, or an address that the workers read."""
    with wave.open(str(tmp_path / "a b.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    [inline] = events_of(plan_of(tmp_path))[0].values()
    assert inline.modalities.audio is not None
    assert base64.b64decode(inline.modalities.audio.data or "") == (tmp_path / "a b.wav").read_bytes()
    [referred] = events_of(plan_of(tmp_path, by_reference=True))[0].values()
    assert referred.modalities.audio is not None
    assert referred.modalities.audio.uri == (tmp_path / "a b.wav").as_uri()


def test_identities_are_stable_and_fit(tmp_path: Path) -> None:
    """The same file has the same identity; unusual names end in a hash and stay apart."""
    plan = plan_of(tmp_path)
    long = tmp_path / ("a" * 200) / ("b" * 200 + ".jpg")
    assert item_id_of(plan, tmp_path / "x" / "y.jpg") == "photos/x/y.jpg"
    assert len(item_id_of(plan, long)) == 256
    assert item_id_of(plan, long) == item_id_of(plan, long)
    assert item_id_of(plan, tmp_path / "a\nb.jpg") != item_id_of(plan, tmp_path / "a\tb.jpg")
    assert item_id_of(plan_of(tmp_path, prefix=""), tmp_path / "y.jpg") == "y.jpg"


def test_a_telephone_s_picture_is_sent_as_webp(tmp_path: Path) -> None:
    """HEIC is turned upright and sent in a format that every worker decodes."""
    pytest.importorskip("pi_heif", reason="the extra 'heic' is not installed")
    (tmp_path / "IMG_1.HEIC").write_bytes(heic([[(80, 90, 240), (40, 240, 110)]], turns=1))

    [event] = events_of(plan_of(tmp_path))[0].values()

    picture = sent_picture(event)
    assert (picture.format, picture.size) == ("WEBP", (32, 64))


def test_without_the_extra_a_telephone_s_picture_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what to install is said."""
    monkeypatch.setitem(sys.modules, "pi_heif", None)  # what an import of a package that is not there finds
    reads_heic.cache_clear()
    (tmp_path / "IMG_1.heic").write_bytes(heic([[(80, 90, 240)]]))
    try:
        events, skipped = events_of(plan_of(tmp_path))
    finally:
        reads_heic.cache_clear()

    assert not events
    assert "crosscurrent[heic]" in skipped["IMG_1.heic"]
