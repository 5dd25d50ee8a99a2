"""The drawing half: the tail and its projection, trained against the names of what is drawn.

The trunk is frozen and its maps are cached, so a step costs the last five blocks alone: about 1.5 s for 256 pictures
on two free cores. The learning rate is constant and falls in the last quarter, so that a run may be shortened.
"""

import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from encoders.builtin.training.checkpoint import resume, save_checkpoint
from encoders.builtin.training.contrast import alignment_loss, name_loss, recall_at
from encoders.builtin.training.drawing_data import Drawings, HeldOut, Queue
from encoders.builtin.training.drawing_model import BATCH, DrawingModel, embed_maps
from encoders.builtin.training.line_icons import LineIcons
from encoders.builtin.training.style import mix_styles
from encoders.builtin.training.texts import TextTable

TAIL_RATE = 2e-4
HEAD_RATE = 1e-3  # alone on frozen features
TUNED_HEAD_RATE = 5e-4  # beside the tail
WARM_UP_STEPS = 40
FALL_SHARE = 0.25
AVERAGE_DECAY = 0.99
CHECKPOINT_EVERY_STEPS = 50
MEASURE_EVERY_STEPS = 150
ICONS = 64  # line icons in a step, beside the batch of emoji
OTHER_NAMES = 512  # of icons that are not in the step, to tell them from
ICONS_WEIGHT = 0.3

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """What the tail learns from.

    Attributes:
        emoji: Maps by concept.
        coloured: Concepts whose colours are their meaning, bool of shape (concepts,).
        texts: Names and keywords of the concepts.
        icons: Line icons and their names.
    """

    emoji: Drawings
    coloured: NDArray[np.bool_]
    texts: TextTable
    icons: LineIcons


def train_heads(
    model: DrawingModel, features: Drawings, texts: TextTable, *, steps: int, seed: int, progress: Progress
) -> None:
    """Train projection and text head on frozen features: minutes, and the start for ``train_tail``."""
    rng = np.random.default_rng([seed, 1])
    torch.manual_seed(seed)
    parameters = [*model.projection.parameters(), *model.text.parameters(), model.log_scale]
    optimiser = torch.optim.AdamW(parameters, lr=HEAD_RATE, weight_decay=0.02)
    model.train()
    queue = Queue()
    for step in range(steps):
        _set_rates(optimiser, [HEAD_RATE], _rate(step, steps))
        rows, concepts = features.sample(BATCH, rng)
        loss = _loss(model, model.project(rows), concepts, texts=texts, queue=queue, rng=rng)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 100 == 0:
            progress(f"heads {step}/{steps} loss {loss.item():.3f}")


def train_tail(
    model: DrawingModel,
    data: Lessons,
    held_out: HeldOut,
    *,
    steps: int,
    seed: int,
    checkpoint: Path,
    progress: Progress,
) -> DrawingModel:
    """Tune the tail with its heads on emoji and line icons; returns the running average of the weights.

    Continues from ``checkpoint`` if it exists, and writes it every few minutes. A continued run differs from an
    uninterrupted one only in that its queue of earlier vectors starts empty.
    """
    averaged = deepcopy(model).eval().requires_grad_(False)
    optimiser = _tail_optimiser(model)
    first = resume(checkpoint, model, averaged, optimiser)
    model.train()
    queue = Queue()
    started = time.monotonic()
    for step in range(first, steps):
        rng = np.random.default_rng([seed, 2, step])  # by step, so that a resumed run draws what it would have drawn
        torch.manual_seed(seed * 1_000_003 + step)
        _set_rates(optimiser, [TAIL_RATE, TUNED_HEAD_RATE], _rate(step, steps))
        loss = _tail_loss(model, data, queue, rng)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        _average(averaged, model, min(AVERAGE_DECAY, (1 + step) / (10 + step)))
        if step % 10 == 0:
            pace = (time.monotonic() - started) / (step - first + 1)
            progress(f"tail {step}/{steps} loss {loss.item():.3f} scale {model.scale().item():.1f} {pace:.2f} s/step")
        if (step + 1) % CHECKPOINT_EVERY_STEPS == 0 or step + 1 == steps:
            save_checkpoint(checkpoint, model, averaged, optimiser, step=step + 1)
        if (step + 1) % MEASURE_EVERY_STEPS == 0 or step + 1 == steps:
            progress(f"tail {step + 1} held out: {measure(averaged, held_out)}")
    return averaged


@torch.inference_mode()
def measure(model: DrawingModel, held_out: HeldOut) -> dict[str, dict[str, float]]:
    """Return recall at 10 by vendor and direction, on artists the model has not seen."""
    model.eval()
    results: dict[str, dict[str, float]] = {}
    names = {
        language: model.text(torch.from_numpy(rows.astype(np.float32))) for language, rows in held_out.names.items()
    }
    for vendor, drawn in held_out.vendors.items():
        images = embed_maps(model, drawn.maps)
        picked = torch.from_numpy(drawn.concepts)
        scores = {f"{language}>image": recall_at(rows[picked], images)[10] for language, rows in names.items()}
        scores["image>en"] = recall_at(images, names["en"][picked])[10]
        results[vendor] = {key: round(value, 3) for key, value in scores.items()}
    return results


def _loss(
    model: DrawingModel,
    images: Tensor,
    concepts: NDArray[np.int64],
    *,
    texts: TextTable,
    queue: Queue,
    rng: np.random.Generator,
) -> Tensor:
    everything = np.arange(len(texts.starts) - 1)
    rows = texts.sample(everything, rng)
    encoded = model.text(torch.from_numpy(texts.features[rows].astype(np.float32)))
    owners = torch.from_numpy(concepts)
    loss = alignment_loss(
        images=images,
        concepts=owners,
        texts=encoded,
        text_rows=torch.from_numpy(rows),
        queue=queue.vectors,
        queue_concepts=queue.concepts,
        scale=model.scale(),
    )
    queue.push(images, owners)
    return loss


def _tail_loss(model: DrawingModel, data: Lessons, queue: Queue, rng: np.random.Generator) -> Tensor:
    emoji, concepts = data.emoji.sample(BATCH, rng)
    icons, owners = data.icons.drawings.sample(ICONS, rng)
    plain = torch.from_numpy(np.concatenate([data.coloured[concepts], np.zeros(ICONS, dtype=bool)]))
    images = model.images(mix_styles(torch.cat([emoji, icons]), plain))
    loss = _loss(model, images[:BATCH], concepts, texts=data.texts, queue=queue, rng=rng)
    others = rng.permutation(np.setdiff1d(np.arange(len(data.icons.features)), owners))[:OTHER_NAMES]
    features = data.icons.features[np.concatenate([owners, others])].astype(np.float32)
    return loss + ICONS_WEIGHT * name_loss(
        images=images[BATCH:],
        names=model.text(torch.from_numpy(features)),
        owners=torch.arange(ICONS),
        scale=model.scale(),
    )


def _tail_optimiser(model: DrawingModel) -> torch.optim.AdamW:
    heads = [*model.projection.parameters(), *model.text.parameters(), model.log_scale]
    return torch.optim.AdamW(
        [{"params": list(model.tail.parameters()), "lr": TAIL_RATE}, {"params": heads, "lr": TUNED_HEAD_RATE}],
        weight_decay=0.02,
    )


def _rate(step: int, steps: int) -> float:
    fall = max(1, int(steps * FALL_SHARE))
    return min(1.0, (step + 1) / WARM_UP_STEPS, max(0.02, (steps - step) / fall))


def _set_rates(optimiser: torch.optim.Optimizer, rates: Sequence[float], factor: float) -> None:
    for group, rate in zip(optimiser.param_groups, rates, strict=True):
        group["lr"] = rate * factor


@torch.no_grad()
def _average(averaged: nn.Module, model: nn.Module, decay: float) -> None:
    for kept, new in zip(averaged.parameters(), model.parameters(), strict=True):
        kept.lerp_(new, 1.0 - decay)
