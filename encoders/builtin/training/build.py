"""``crosscurrent train builtin``: from packages to a weights folder, stage by stage.

Every stage keeps what it made in the cache, so an interrupted run continues where it was. The same seed, versions and
number of threads give the same weights.
"""

import logging
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from config.errors import Misconfigured
from encoders.builtin.artifacts import IMAGE_FILE, Manifest, load_manifest
from encoders.builtin.efficientnet import channels_last
from encoders.builtin.image import PHOTO_DIMS
from encoders.builtin.text import HalfHead
from encoders.builtin.training.activations import HUE_SUBGROUPS, PLAIN_VIEW, VendorMaps, vendor_maps
from encoders.builtin.training.backbone import Backbone, load_backbone, load_classes
from encoders.builtin.training.calibrate import calibrate, weigh
from encoders.builtin.training.card import write_card
from encoders.builtin.training.drawing_data import Drawings, HeldOut
from encoders.builtin.training.drawing_model import BATCH, DrawingModel, pooled_features
from encoders.builtin.training.emoji import LANGUAGES, Concept, load_concepts
from encoders.builtin.training.export import assemble_image_tower, assemble_text_head, continue_from, save_towers
from encoders.builtin.training.image_stage import ICONS, Lessons, measure, train_heads, train_tail
from encoders.builtin.training.line_icons import TRAINED_LINES, training_icons
from encoders.builtin.training.meanings import Teachers
from encoders.builtin.training.packages import DEFAULT_CACHE
from encoders.builtin.training.photo_stage import build_targets, photo_projection, train_photo_head
from encoders.builtin.training.place_stage import train_places
from encoders.builtin.training.sensor_stage import train_readings
from encoders.builtin.training.speech_stage import train_speech
from encoders.builtin.training.texts import TextTable, build_texts, concept_texts, encode_texts
from encoders.builtin.training.unseen_words import seen_words
from encoders.builtin.training.vendors import VENDORS, siblings

log = logging.getLogger(__name__)

HELD_OUT = ("twemoji", "openmoji", "emojione", "emojione-v1", "fxemoji")
TAIL_STEPS = 1150
HEAD_STEPS = 400
PHOTO_STEPS = 1500
VIEWS = 7  # the plain one and six augmented ones
LINE_VIEWS = (0, 1)
HEAD_VIEWS = 2
TEXT_BALANCE = 0.5
MEASURED_LANGUAGES = ("en", "zh", "es")
THREADS = 2

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What every stage needs.

    Attributes:
        cache: Packages, renderings and activations, shared by all runs.
        work: This run's checkpoints.
        seed: Source of all chance.
        held_out: Vendors to measure on.
        concepts: The emoji.
        texts: Their names and keywords.
        backbone: The pretrained image network.
        progress: Told in a line what is going on.
        start: Weights to continue from; None to start from the classifier's.
    """

    cache: Path
    work: Path
    seed: int
    held_out: tuple[str, ...]
    concepts: list[Concept]
    texts: TextTable
    backbone: Backbone
    progress: Progress
    start: Path | None = None

    @property
    def vendors(self) -> tuple[str, ...]:
        """Sets to train on."""
        return training_vendors(self.held_out)

    def maps(self, vendor: str, view: int) -> VendorMaps:
        """One vendor's pictures in one view, as the trunk sees them."""
        return vendor_maps(self.backbone.trunk, vendor, view, self.concepts, self.cache, seed=self.seed)

    def drawings(self, views: int) -> Drawings:
        """Every training vendor's pictures in memory: 14 KB each, 0.9 GB for seven views."""
        parts = []
        for view, vendor in product(range(views), self.vendors):
            self.progress(f"look at {vendor}, view {view + 1} of {views}")
            parts.append(self.maps(vendor, view))
        rows = np.concatenate([part.maps for part in parts])
        return Drawings(rows, np.concatenate([part.concepts for part in parts]))


def train_builtin(
    out: Path,
    cache: Path = DEFAULT_CACHE,
    seed: int = 0,
    *,
    holdout: tuple[str, ...] = HELD_OUT,
    steps: int = TAIL_STEPS,
    start: Path | None = None,
    progress: Progress = log.info,
) -> None:
    """Train the whole model and write its weights, manifest, card and notices.

    Args:
        out: Folder that gets the files.
        cache: Packages, renderings, activations and checkpoints.
        seed: Source of all chance.
        holdout: Vendors to measure on; every set by their artists stays out of the training.
        steps: Steps of the tail's training, the long part: 2 to 3 seconds each on two cores.
        start: Weights folder to continue from, such as an earlier version's; None to start from the classifier's.
        progress: Told in a line what is going on, several times a minute.

    Raises:
        Misconfigured: A vendor is unknown, none is left, or a package cannot be had.
    """
    training_vendors(holdout)
    torch.set_num_threads(THREADS)
    run = _start(cache, seed, holdout, start, progress)
    train_pictures(run, out, steps)
    progress("speech")
    train_speech(out, cache, seed, vendors=run.vendors)
    progress("places and readings")
    teachers = Teachers(out=out, concepts=run.concepts, vendors=run.vendors, cache=cache)
    train_places(teachers, seed)
    train_readings(teachers, seed)
    progress("calibration")
    calibrate(out, cache)
    weigh(out, cache)
    write_card(load_manifest(out), out)


def train_pictures(run: Run, out: Path, steps: int) -> None:
    """Train the image tower and the text head, and write both with a manifest that has no calibration yet."""
    held_out = _held_out(run)
    drawing = _train_drawing(run, held_out, steps)
    tower = assemble_image_tower(run.backbone, drawing, photo_projection(run.backbone))
    head = assemble_text_head(drawing.text, _train_photo(run), TEXT_BALANCE)
    save_towers(tower, head, _facts(run, steps, measure(drawing, held_out)), out)


def training_vendors(holdout: tuple[str, ...]) -> tuple[str, ...]:
    """Return the sets to train on: all but those by the held-out vendors' artists.

    Raises:
        Misconfigured: A vendor is unknown, or none is left.
    """
    unknown = [vendor for vendor in holdout if vendor not in VENDORS]
    if unknown:
        raise Misconfigured(f"no vendor {', '.join(unknown)}: choose among {', '.join(VENDORS)}")
    absent = {name for vendor in holdout for name in siblings(vendor)}
    left = tuple(name for name in VENDORS if name not in absent)
    if not any(not VENDORS[name].flags_only for name in left):
        raise Misconfigured("every artist is held out: leave some to train on")
    return left


def _start(cache: Path, seed: int, holdout: tuple[str, ...], start: Path | None, progress: Progress) -> Run:
    progress("names and keywords")
    concepts = load_concepts(cache)
    origin = "" if start is None else f"-from-{load_manifest(start).files[IMAGE_FILE][:12]}"
    work = cache / "runs" / f"{seed}-without-{'-'.join(sorted(holdout))}{origin}"
    work.mkdir(parents=True, exist_ok=True)
    return Run(
        cache=cache,
        work=work,
        seed=seed,
        held_out=holdout,
        concepts=concepts,
        texts=build_texts(concepts, cache),
        backbone=load_backbone(cache),
        progress=progress,
        start=start,
    )


def _held_out(run: Run) -> HeldOut:
    names = {
        language: encode_texts([concept.names[language] for concept in run.concepts], run.cache)
        for language in MEASURED_LANGUAGES
    }
    return HeldOut(vendors={vendor: run.maps(vendor, PLAIN_VIEW) for vendor in run.held_out}, names=names)


def _train_drawing(run: Run, held_out: HeldOut, steps: int) -> DrawingModel:
    torch.manual_seed(run.seed)
    model = DrawingModel(channels_last(deepcopy(run.backbone.tail)))
    if run.start is None:
        _start_heads(run, model)
    else:
        model.standardise(pooled_features(model.tail, run.drawings(1).rows))
        continue_from(run.start, model)
    return train_tail(
        model,
        _lessons(run),
        held_out,
        steps=steps,
        seed=run.seed,
        checkpoint=run.work / f"tail-{steps}.pt",
        progress=run.progress,
    )


def _lessons(run: Run) -> Lessons:
    icons = training_icons(run.backbone.trunk, LINE_VIEWS, run.cache, seed=run.seed, progress=run.progress)
    taught = [*concept_texts(run.concepts), *icons.names]
    taught += [name for told in load_classes(run.cache) for name in told.names]
    if seen := seen_words(taught):
        raise Misconfigured(f"unseen_words.py lists words that are taught: {', '.join(seen)}: replace them there")
    return Lessons(
        emoji=run.drawings(VIEWS),
        coloured=np.array([concept.subgroup in HUE_SUBGROUPS for concept in run.concepts]),
        texts=run.texts,
        icons=icons,
    )


def _start_heads(run: Run, model: DrawingModel) -> None:
    store = run.work / "heads.pt"
    if not store.exists():
        _train_heads(run, model)
        torch.save(model.state_dict(), store)
    model.load_state_dict(torch.load(store, weights_only=True))


def _train_heads(run: Run, model: DrawingModel) -> None:
    drawings = run.drawings(HEAD_VIEWS)
    features = pooled_features(model.tail, drawings.rows)
    model.standardise(features)
    pooled = Drawings(features, drawings.concepts)
    train_heads(model, pooled, run.texts, steps=HEAD_STEPS, seed=run.seed, progress=run.progress)


def _train_photo(run: Run) -> HalfHead:
    head = HalfHead(PHOTO_DIMS).eval()
    store = run.work / "photo.pt"
    if not store.exists():
        targets = build_targets(run.backbone, load_classes(run.cache), run.cache)
        trained = train_photo_head(targets, run.texts.features, steps=PHOTO_STEPS, seed=run.seed, progress=run.progress)
        torch.save(trained.state_dict(), store)
    head.load_state_dict(torch.load(store, weights_only=True))
    return head


def _facts(run: Run, steps: int, measured: dict[str, dict[str, float]]) -> dict[str, Any]:
    origin = {} if run.start is None else {"continued_from": _told(load_manifest(run.start))}
    return {
        **origin,
        "icons": ICONS,
        "seed": run.seed,
        "concepts": len(run.concepts),
        "languages": list(LANGUAGES),
        "trained_vendors": list(run.vendors),
        "trained_lines": list(TRAINED_LINES),
        "held_out_vendors": list(run.held_out),
        "tail_steps": steps,
        "batch": BATCH,
        "views": VIEWS,
        "drawing_half_recall_at_10": measured,
    }


def _told(earlier: Manifest) -> dict[str, Any]:
    return {"model": str(earlier.model), "steps": earlier.facts["tail_steps"]}
