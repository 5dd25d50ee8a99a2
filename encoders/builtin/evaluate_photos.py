"""Measure the built-in model on a person's own photographs, named by what they show.

Pictures lie in folders named by what they show (``cat/IMG_1.jpg``), or a CSV file names each one (``path,name``, with
paths relative to the file).
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from rich.table import Table

from config.errors import Misconfigured
from encoders.alignment.evaluation import score_retrieval
from encoders.builtin.artifacts import load_image_tower, load_manifest, load_text_head
from encoders.builtin.image import preprocess
from encoders.builtin.text import UseBackbone
from encoders.progress import track

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
COLUMNS: Final = ("path", "name")
NAME_TO_PHOTO: Final = "name → photograph"
PHOTO_TO_NAME: Final = "photograph → name"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPhoto:
    """A picture's file and what it shows."""

    path: Path
    name: str


def evaluate_photos(source: Path, *, folder: Path | None = None) -> dict[str, Any]:
    """Measure how well names find photographs and photographs their names.

    Args:
        source: A folder of folders, or a CSV file.
        folder: Weights; those that ship with the package if None.

    Returns:
        A report ready for JSON: ``model``, ``photographs``, ``names``, ``scores`` by task, and ``skipped``, the files
        that are no readable picture with the reason.

    Raises:
        Misconfigured: the source is neither, holds no readable picture, or the model is missing.
    """
    photos = list(read_photos(source))
    tower = load_image_tower(folder)
    kept: list[NamedPhoto] = []
    vectors: list[NDArray[np.float32]] = []
    skipped: dict[str, str] = {}
    for photo in track(photos, "look at photographs"):
        try:
            pixels = preprocess(_open(photo.path))
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as exc:
            skipped[str(photo.path)] = str(exc)
            continue
        with torch.inference_mode():
            vectors.append(tower(torch.from_numpy(pixels)[None]).numpy()[0])
        kept.append(photo)
    if not kept:
        raise Misconfigured(f"no readable picture in {source}: {_first_reasons(skipped)}")
    return {
        "model": str(load_manifest(folder).model),
        "photographs": len(kept),
        "names": len({photo.name for photo in kept}),
        "scores": _score(kept, np.stack(vectors), folder),
        "skipped": skipped,
    }


def read_photos(source: Path) -> Iterator[NamedPhoto]:
    """Yield the photographs of a folder or CSV file, in a stable order.

    Raises:
        Misconfigured: it is neither, or a line of the CSV lacks a path or a name.
    """
    if source.is_dir():
        yield from _read_folder(source)
    elif source.is_file():
        yield from _read_csv(source)
    else:
        raise Misconfigured(f"{source} is neither a folder of folders of pictures nor a CSV file with path,name")


def photos_table(report: Mapping[str, Any]) -> Table:
    """Return a report of photographs as a table."""
    title = f"{report['model']}: {report['photographs']} photographs of {report['names']} things"
    table = Table(title=title, title_justify="left")
    table.add_column("task")
    for column in ("R@1", "R@5", "R@10", "median rank"):
        table.add_column(column, justify="right")
    for task, score in report["scores"].items():
        table.add_row(task, *(f"{score[f'recall_at_{k}']:.3f}" for k in (1, 5, 10)), f"{score['median_rank']:.1f}")
    return table


def _read_folder(source: Path) -> Iterator[NamedPhoto]:
    for path in sorted(source.rglob("*")):
        if path.suffix.lower() in PICTURES and path.parent != source:
            name = path.relative_to(source).parts[0].replace("_", " ").replace("-", " ").strip()
            yield NamedPhoto(path=path, name=name)


def _read_csv(source: Path) -> Iterator[NamedPhoto]:
    with source.open(newline="", encoding="utf-8-sig") as handle:
        rows = csv.DictReader(handle)
        missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
        if missing:
            raise Misconfigured(
                f"{source} has no column {' and no column '.join(missing)}: its first line is path,name"
            )
        for row in rows:
            path, name = (row["path"] or "").strip(), (row["name"] or "").strip()
            if not path or not name:
                raise Misconfigured(f"{source} line {rows.line_num}: needs a path and a name")
            yield NamedPhoto(path=source.parent / path, name=name)


def _open(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture)
        return np.asarray(_on_white(upright))


def _on_white(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    rgba = picture.convert("RGBA")
    canvas = Image.new("RGB", rgba.size, "white")
    canvas.paste(rgba, mask=rgba.getchannel("A"))
    return canvas


def _score(photos: list[NamedPhoto], pictures: NDArray[np.float32], folder: Path | None) -> dict[str, dict[str, Any]]:
    names = sorted({photo.name for photo in photos})
    number = {name: index for index, name in enumerate(names)}
    labels = np.array([number[photo.name] for photo in photos])
    with torch.inference_mode():
        texts = load_text_head(folder)(torch.from_numpy(UseBackbone().encode(names))).numpy()
    asked = np.arange(len(names))
    return {
        NAME_TO_PHOTO: asdict(score_retrieval(texts, pictures, asked, labels)),
        PHOTO_TO_NAME: asdict(score_retrieval(pictures, texts, labels, asked)),
    }


def _first_reasons(skipped: Mapping[str, str]) -> str:
    if not skipped:
        return "put pictures into folders named by what they show, such as cat/1.jpg"
    return "; ".join(list(skipped.values())[:3])
