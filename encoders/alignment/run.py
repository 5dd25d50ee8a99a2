"""A training run: validate, stop early, log, and survive a kill at any moment."""

import hashlib
import json
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from config.errors import Misconfigured
from config.vocabulary import Modality, ModelRef
from encoders.alignment.dimension_weights import average_weights, learn_weights, weigh
from encoders.alignment.evaluate import align, backgrounds, mean_recall, score_pairs
from encoders.alignment.evaluation import mean_scores
from encoders.alignment.features import PairedFeatures
from encoders.alignment.heads import Head, save_head
from encoders.alignment.methods import make_fitter
from encoders.alignment.options import FitOptions
from encoders.alignment.record import RECORD, Alignment, load_record, save_record
from encoders.alignment.tracking import Tracker

CHECKPOINT = "checkpoint.pt"
FEWEST_VALIDATION = 8
MOST_VALIDATION = 2000

Tell = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run goes about it.

    Attributes:
        fit: The method and its settings.
        name: What the result is called, part of the space's identity.
        validation_share: Part of the items that is kept for validation, at most 2,000 of them.
        validate_every: Steps between two validations, each of which writes a checkpoint too.
        patience: Validations without improvement until it stops.
        checkpoint_every_s: Longest time between two checkpoints.
    """

    fit: FitOptions
    name: str
    validation_share: float = 0.1
    validate_every: int = 50
    patience: int = 8
    checkpoint_every_s: float = 10.0


@dataclass(slots=True)
class _Best:
    score: float = -1.0
    step: int = 0
    stale: int = 0
    heads: dict[str, Any] = field(default_factory=dict)


def train(
    features: PairedFeatures, base: ModelRef, options: RunOptions, folder: Path, tell: Tell = lambda *_: None
) -> Alignment:
    """Train heads and write them with record and card; go on from a checkpoint that lies in ``folder``.

    Args:
        features: Vectors of the paired items.
        base: Space of the encoders that made them.
        options: Method and course of the run.
        folder: Gets heads, record, card, ``metrics.jsonl``, TensorBoard logs and, until it is done, a checkpoint.
        tell: Called after each step with steps done, steps in all and the best validation score.

    Raises:
        Misconfigured: Too few items, or the folder holds another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark = fingerprint(features, base, options)
    if (folder / RECORD).exists():
        return _finished(folder, mark)
    run = _Run(features, base, options, folder, mark)
    run.resume()
    run.go_on(tell)
    alignment = run.write()
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return alignment


def split(features: PairedFeatures, share: float) -> tuple[PairedFeatures, PairedFeatures]:
    """Part the items by a hash of their ids, so that the same item is always on the same side.

    Raises:
        Misconfigured: There are too few items to keep eight for validation and eight for training.
    """
    order = np.argsort([zlib.crc32(item_id.encode()) for item_id in features.item_ids], kind="stable")
    count = min(MOST_VALIDATION, max(FEWEST_VALIDATION, round(share * len(order))))
    if len(order) < count + FEWEST_VALIDATION:
        raise Misconfigured(f"only {len(order)} usable items: give at least {2 * FEWEST_VALIDATION}, better hundreds")
    return features.take(np.sort(order[count:])), features.take(np.sort(order[:count]))


def fingerprint(features: PairedFeatures, base: ModelRef, options: RunOptions) -> str:
    """Return a hash of everything that decides the outcome."""
    digest = hashlib.sha256(json.dumps([str(base), asdict(options)], sort_keys=True, default=str).encode())
    digest.update("\n".join(features.item_ids).encode())
    for modality in features.modalities:
        digest.update(features.vectors[modality].tobytes())
    for modality in sorted(features.views):
        digest.update(features.views[modality].tobytes())
    return digest.hexdigest()[:16]


class _Run:
    def __init__(self, features: PairedFeatures, base: ModelRef, options: RunOptions, folder: Path, mark: str) -> None:
        self._features = features
        self._base = base
        self._options = options
        self._folder = folder
        self._mark = mark
        self._training, self._validation = split(features, options.validation_share)
        self._fitter = make_fitter(options.fit, self._training)
        self._best = _Best()

    def resume(self) -> None:
        path = self._folder / CHECKPOINT
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        if state["mark"] != self._mark:
            raise Misconfigured(
                f"{self._folder} holds an unfinished run with other options or items: say them as before to go on, "
                "or name another --out"
            )
        self._fitter.restore(state["fitter"])
        self._best = _Best(**state["best"])

    def go_on(self, tell: Tell) -> None:
        fitter, options = self._fitter, self._options
        saved = time.monotonic()
        if not fitter.steps_done and not options.fit.closed:
            self._validate()  # with few pairs nothing may be better than the closed form that training starts from
        with Tracker(self._folder, fitter.steps_done) as tracker:
            while fitter.steps_done < fitter.total_steps and self._best.stale < options.patience:
                scalars = fitter.step()
                due = fitter.steps_done % options.validate_every == 0 or fitter.steps_done == fitter.total_steps
                scalars |= self._validate() if due else {}
                tracker.log(fitter.steps_done, scalars)
                if due or time.monotonic() - saved > options.checkpoint_every_s:
                    tracker.flush()
                    self._save()
                    saved = time.monotonic()
                tell(fitter.steps_done, fitter.total_steps, self._best.score)

    def write(self) -> Alignment:
        fitter, options = self._fitter, self._options
        facts = {"run": self._mark, "steps": fitter.steps_done, "best_step": self._best.step}
        parts = [(self._training, self._validation)]
        heads = self._best_heads()
        return write_heads(
            heads, parts, self._base, name=options.name, options=options.fit, folder=self._folder, facts=facts
        )

    def _validate(self) -> dict[str, float]:
        heads = self._fitter.heads()
        scores = score_pairs(heads, self._validation, codes=self._options.fit.binary)
        score = mean_recall(scores)
        if score > self._best.score:
            weights = {m.value: head.state_dict() for m, head in heads.items()}
            self._best = _Best(score=score, step=self._fitter.steps_done, heads=weights)
        else:
            self._best.stale += 1
        recalls = {f"recall_at_10/{query}>{item}": each.recall_at_10 for (query, item), each in scores.items()}
        return {**recalls, "validation": score}

    def _best_heads(self) -> dict[Modality, Head]:
        heads = self._fitter.heads()
        for modality, head in heads.items():
            head.load_state_dict(self._best.heads[modality.value])
        return heads

    def _save(self) -> None:
        path = self._folder / CHECKPOINT
        partial = path.with_suffix(".partial")
        state = {"mark": self._mark, "fitter": self._fitter.state(), "best": asdict(self._best)}
        torch.save(state, partial)
        partial.replace(path)


def write_heads(
    heads: dict[Modality, Head],
    parts: Sequence[tuple[PairedFeatures, PairedFeatures]],
    base: ModelRef,
    *,
    name: str,
    options: FitOptions,
    folder: Path,
    facts: Mapping[str, Any] | None = None,
) -> Alignment:
    """Write heads with record, card and weights per dimension; of these too a site gives its own, never its vectors.

    Args:
        heads: What was learnt.
        parts: Items for training and for validation, by site; with several sites the first site's items stand for the
            background, and every site's validation items are scored by themselves and averaged.
        base: Space of the encoders.
        name: What the result is called.
        options: What it was learnt with.
        folder: Gets the files.
        facts: What else the record tells.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {m: _sha256(save_head(head, folder, m)) for m, head in heads.items()}
    training = [one for one, _ in parts]
    scored = [score_pairs(heads, validation) for _, validation in parts]
    scores = {pair: mean_scores([each[pair] for each in scored if pair in each]) for pair in scored[0]}
    aligned = [align(heads, one) for one in training]
    values = average_weights([(learn_weights(each), len(one)) for each, one in zip(aligned, training, strict=True)])
    ids = [item_id for part in parts for features in part for item_id in features.item_ids]
    alignment = Alignment(
        name=name,
        base=base,
        dims=next(iter(heads.values())).linear.out_features,
        sources={m: training[0].dims(m) for m in heads},
        files=files,
        calibration=backgrounds(aligned[0]),
        dimension_weights=None if values is None else weigh(aligned[0], values),
        facts={
            "data": hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:16],
            "items": len(ids),
            "sites": len(parts),
            "validation_items": sum(len(validation) for _, validation in parts),
            "steps": options.steps,
            "best_step": options.steps,
            "options": {key: value for key, value in asdict(options).items() if value is not None},
            "validation": {f"{query}>{item}": asdict(score) for (query, item), score in scores.items()},
            **_similarities(heads, [validation for _, validation in parts], values, codes=options.binary),
            "torch": torch.__version__,
            **(facts or {}),
        },
    )
    save_record(alignment, folder)
    return alignment


def _similarities(
    heads: Mapping[Modality, Head],
    validation: Sequence[PairedFeatures],
    weights: NDArray[np.float64] | None,
    *,
    codes: bool,
) -> dict[str, Any]:
    """Mean recall@10 by each similarity that the heads have; nothing where no items have two modalities."""
    ways: dict[str, dict[str, Any]] = {"cosine": {}}
    ways |= {"weighted_cosine": {"weights": weights}} if weights is not None else {}
    ways |= {"hamming": {"codes": True}} if codes else {}
    found = {
        name: [s for part in validation for s in score_pairs(heads, part, **how).values()] for name, how in ways.items()
    }
    if not found["cosine"]:
        return {}
    return {"similarity": {name: round(mean_scores(scores).recall_at_10, 4) for name, scores in found.items()}}


def _finished(folder: Path, mark: str) -> Alignment:
    alignment = load_record(folder)
    if alignment.facts.get("run") != mark:
        raise Misconfigured(f"{folder} holds the result of a run with other options or items: name another --out")
    return alignment


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
