"""Photographs are read from folders and CSV files, and wrong sources are refused with the way out."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from config.errors import Misconfigured
from encoders.builtin.evaluate_photos import evaluate_photos, photos_table, read_photos


def save_picture(path: Path, colour: tuple[int, int, int]) -> None:
    """Write a small picture with a stripe, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((40, 60, 3), colour, np.uint8)
    pixels[:, 20:30] = 255 - pixels[:, 20:30]
    Image.fromarray(pixels).save(path)


def test_folders_name_their_pictures(tmp_path: Path) -> None:
    """A folder says what its pictures show, underscores and hyphens read as spaces; other files are no pictures."""
    save_picture(tmp_path / "coffee_cup" / "b.jpg", (90, 60, 30))
    save_picture(tmp_path / "coffee_cup" / "nested" / "a.PNG", (90, 60, 30))
    save_picture(tmp_path / "polar-bear" / "c.webp", (240, 240, 250))
    save_picture(tmp_path / "unsorted.jpg", (1, 2, 3))
    (tmp_path / "coffee_cup" / "notes.txt").write_text("not a picture")

    photos = [(photo.path.name, photo.name) for photo in read_photos(tmp_path)]

    assert photos == [("b.jpg", "coffee cup"), ("a.PNG", "coffee cup"), ("c.webp", "polar bear")]


def test_a_csv_names_pictures_beside_it(tmp_path: Path) -> None:
    """Paths are relative to the CSV, a byte order mark is no part of the first column, other columns do no harm."""
    table = tmp_path / "photos.csv"
    table.write_text("﻿path,name,who\npictures/1.jpg,cat,me\n", encoding="utf-8")

    (photo,) = read_photos(table)

    assert (photo.path, photo.name) == (tmp_path / "pictures" / "1.jpg", "cat")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,what\n1.jpg,cat\n", "no column path and no column name"),
        ("path,name\n1.jpg,\n", "line 2"),
        ("", "no column"),
    ],
)
def test_a_wrong_csv_is_refused(tmp_path: Path, content: str, message: str) -> None:
    """A CSV without its columns, or a line without a name, is refused and says where."""
    table = tmp_path / "photos.csv"
    table.write_text(content, encoding="utf-8")

    with pytest.raises(Misconfigured, match=message):
        list(read_photos(table))


def test_no_source_is_refused(tmp_path: Path) -> None:
    """A path that does not exist is refused with the two forms that are taken."""
    with pytest.raises(Misconfigured, match="neither a folder of folders"):
        list(read_photos(tmp_path / "nothing"))


def test_a_folder_without_a_readable_picture_is_refused(tmp_path: Path) -> None:
    """Broken files alone are no test set; the reason of the first is told."""
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "broken.jpg").write_bytes(b"no picture")

    with pytest.raises(Misconfigured, match="cannot identify"):
        evaluate_photos(tmp_path)


def test_photographs_are_scored_and_broken_ones_skipped(tmp_path: Path) -> None:
    """A report has both directions over the readable pictures, and names the file that was left out with its reason."""
    save_picture(tmp_path / "tomato" / "1.jpg", (200, 30, 20))
    save_picture(tmp_path / "tomato" / "2.jpg", (190, 40, 30))
    save_picture(tmp_path / "ocean" / "1.jpg", (10, 60, 180))
    (tmp_path / "ocean" / "broken.jpg").write_bytes(b"no picture")

    report = evaluate_photos(tmp_path)

    assert (report["photographs"], report["names"]) == (3, 2)
    assert [Path(path).name for path in report["skipped"]] == ["broken.jpg"]
    scores = report["scores"]
    assert {task: score["queries"] for task, score in scores.items()} == {
        "name → photograph": 2,
        "photograph → name": 3,
    }
    assert all(score["recall_at_10"] == 1.0 for score in scores.values())
    assert photos_table(report).row_count == 2
