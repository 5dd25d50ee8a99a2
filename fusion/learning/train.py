"""Train the network of attention fusion: a softmax over each query's candidates, stopped by held-back queries.

The loss is the cross-entropy between the candidates' gains and the softmax of their totals (ListNet's top one: Cao et
al. 2007), in which clicks may stand for gains once they are corrected for their place (``fusion.learning.propensity``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from config.errors import Misconfigured
from config.vocabulary import Modality, ModelRef
from fusion.attention import Rows, rows_of, totals
from fusion.attention_weights import NAMED, PLAIN, FusionWeights
from fusion.learning.examples import Example, scores_of_examples
from fusion.learning.measures import ndcg, ranked_gains
from fusion.learning.options import FusionOptions
from fusion.learning.views import draw_candidates, hide_modalities, weaken

if TYPE_CHECKING:
    import torch

Tell = Callable[[int, int, float], object]
"""Told of steps done, steps in all, and the best validation score so far."""

KNOTS: Final = (0.0, 1.5, 3.0, 4.5, 6.0, 8.0, 11.0)
WIDTHS: Final = (1.0, 1.0, 1.0, 1.0, 1.5, 2.0, 4.0)
"""Rises lie close where chance and match meet, and wide apart where everything is a match."""
WARM_UP: Final = 50
KEPT: Final = 0.99
"""Of the running mean at each step: it looks back some hundred steps."""
FIXED: Final = ("knots", "widths", "centre", "spread")
CHUNK: Final = 32
FEWEST: Final = 4
"""Validation queries below which a choice by them is a choice by chance."""


def train_fusion(
    training: Sequence[Example],
    validation: Sequence[Example],
    options: FusionOptions,
    model: ModelRef,
    *,
    start: FusionWeights | None = None,
    tell: Tell = lambda *_: None,
) -> FusionWeights:
    """Train weights, and return those that were best on the validation queries.

    Args:
        training: What is learned from.
        validation: What chooses the step, and where scores have their middle.
        options: How.
        model: Whose similarities the examples hold.
        start: Weights to go on from; new ones if None.
        tell: Told of progress.

    Raises:
        Misconfigured: There are too few examples, or they are not of the same modalities.
    """
    _check(training, validation)
    rng = np.random.default_rng(options.seed)
    arrays = _starting(training, options, rng) if start is None else dict(start.arrays)
    best = FusionWeights(name=options.name, model=model, arrays=arrays)
    before = mean_ndcg(best, validation)
    reached, stale, done = _chosen_by(best, validation, options), 0, 0
    for done, weights in _steps(best, training, options, rng):
        score = _chosen_by(weights, validation, options)
        reached, stale, best = (score, 0, weights) if score > reached else (reached, stale + 1, best)
        tell(done, options.steps, reached)
        if stale >= options.patience:
            break
    facts = {
        **asdict(options),
        "steps": done,
        "training_queries": len(training),
        "validation_queries": len(validation),
        "validation_ndcg_at_10_before": round(before, 4),
        "validation_ndcg_at_10": round(mean_ndcg(best, validation), 4),
        "validation_ndcg_at_10_without_names": round(mean_ndcg(best.unnamed(), validation), 4),
    }
    return replace(_centred(best, validation), facts=facts)


def mean_ndcg(weights: FusionWeights, examples: Sequence[Example]) -> float:
    """Mean nDCG@10 over groups, each the mean of its queries."""
    groups: dict[str, list[float]] = {}
    for example, row in zip(examples, _totals(weights, examples), strict=True):
        groups.setdefault(example.group, []).append(ndcg(ranked_gains(row, example.gains)))
    return float(np.mean([np.mean(scores) for scores in groups.values()]))


def _chosen_by(weights: FusionWeights, examples: Sequence[Example], options: FusionOptions) -> float:
    """With and without names, as often as training hides them."""
    named = mean_ndcg(weights, examples)
    if not options.names_dropped:
        return named
    return (1 - options.names_dropped) * named + options.names_dropped * mean_ndcg(weights.unnamed(), examples)


def _totals(weights: FusionWeights, examples: Sequence[Example]) -> list[NDArray[np.float64]]:
    found = []
    for start in range(0, len(examples), CHUNK):
        some = examples[start : start + CHUNK]
        block = totals(np, weights.arrays, rows_of(scores_of_examples(some), weights))
        found += [row[: len(example.gains)] for example, row in zip(some, block, strict=True)]
    return found


def _steps(start: FusionWeights, training: Sequence[Example], options: FusionOptions, rng: np.random.Generator) -> Any:
    """Yield the steps done and the weights then, every so many steps.

    Weights are the running mean over steps (Polyak, Juditsky 1992): steps stay long, and any moment is good to stop.
    """
    import torch

    w = {name: torch.tensor(array, dtype=torch.float32) for name, array in start.arrays.items()}
    mean = {name: tensor.clone() for name, tensor in w.items()}
    learned = [tensor.requires_grad_() for name, tensor in w.items() if name not in FIXED]
    optimiser = torch.optim.AdamW(learned, options.learning_rate, weight_decay=options.weight_decay)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimiser, 0.05, total_iters=WARM_UP)
    for step in range(1, options.steps + 1):
        chosen = [training[place] for place in rng.integers(len(training), size=options.batch)]
        loss = _loss(w, start, chosen, options, rng)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch types only part of itself
        optimiser.step()
        warm_up.step()
        with torch.no_grad():
            for name, tensor in w.items():
                mean[name].lerp_(tensor, max(1.0 - KEPT, 1.0 / step))
        if step % options.every == 0 or step == options.steps:
            yield step, replace(start, arrays={name: t.numpy().astype(np.float64) for name, t in mean.items()})


def _loss(
    w: Mapping[str, "torch.Tensor"],
    weights: FusionWeights,
    chosen: Sequence[Example],
    options: FusionOptions,
    rng: np.random.Generator,
) -> "torch.Tensor":
    import torch

    seen = [draw_candidates(example, options, rng) for example in chosen]
    seen = [hide_modalities(example, options.modalities_dropped, rng) for example in seen]
    if rng.random() < options.names_dropped:
        w = {name: torch.zeros_like(tensor) if name in NAMED else tensor for name, tensor in w.items()}
        seen = weaken(seen, rng) if rng.random() < options.weakened else seen
    rows = rows_of(scores_of_examples(seen), weights)
    tensors = Rows(**{name: torch.tensor(getattr(rows, name), dtype=torch.float32) for name in Rows.__slots__})
    gains = torch.zeros(tensors.belongs.shape[0], tensors.belongs.shape[2])
    real = torch.zeros_like(gains)
    for row, example in enumerate(seen):
        gains[row, : len(example.gains)] = torch.from_numpy(example.gains)
        real[row, : len(example.gains)] = 1.0
    found = torch.where(real > 0, totals(torch, w, tensors), -1e9)
    loss = -(gains * found.log_softmax(1)).sum(1).mean()
    across = -(gains * found.flatten().log_softmax(0).reshape(found.shape)).sum() / len(seen)
    return loss + options.across * across


def _starting(training: Sequence[Example], options: FusionOptions, rng: np.random.Generator) -> dict[str, Any]:
    """New arrays; what is known of a modality that the examples never show stays 0, as if it had no name."""
    hidden, knots = options.hidden, len(KNOTS)
    asked = {modality for example in training for modality in example.part_modalities}
    held = set(training[0].modalities)
    shown = {name: held if name in {"item", "has"} else asked for name in NAMED}
    arrays: dict[str, Any] = {
        name: 0.3 * rng.standard_normal((len(Modality), hidden)) * [[modality in shown[name]] for modality in Modality]
        for name in NAMED
    }
    return {
        **arrays,
        "plain": 0.3 * rng.standard_normal((PLAIN, hidden)) * [[1.0], [1.0], [1.0], [1.0], [0.0]],
        "curve": 0.1 * rng.standard_normal((hidden, knots)),
        "curve_ground": np.full(knots, -1.0),
        "offset": 0.3 * rng.standard_normal(hidden),
        "ground": np.zeros(hidden),
        "mix": np.zeros(()),
        "knots": np.array(KNOTS),
        "widths": np.array(WIDTHS),
        "centre": np.zeros(()),
        "spread": np.ones(()),
    }


def _centred(weights: FusionWeights, examples: Sequence[Example]) -> FusionWeights:
    """Put 0.5 halfway between a typical candidate and a typical relevant one."""
    found = _totals(weights, examples)
    common = np.median([np.median(row) for row in found])
    relevant = np.median([np.median(row[example.gains > 0]) for row, example in zip(found, examples, strict=True)])
    spread = max(float(relevant - common) / 2.0, 1e-3)
    middle = {"centre": np.array((relevant + common) / 2.0), "spread": np.array(spread)}
    return replace(weights, arrays={**weights.arrays, **middle})


def _check(training: Sequence[Example], validation: Sequence[Example]) -> None:
    if not training or len(validation) < FEWEST:
        counts = f"{len(training)} queries to learn from and {len(validation)} to choose by"
        raise Misconfigured(f"{counts}: fusion needs more judged queries or clicks, {FEWEST} to choose by at least")
    if len({example.modalities for example in (*training, *validation)}) > 1:
        raise Misconfigured("the queries were searched in different modalities: train on one index at a time")
