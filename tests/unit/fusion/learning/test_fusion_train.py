"""Training: it learns what is planted, stops when it should, and refuses what nothing can be learned from."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from config.errors import Misconfigured
from config.vocabulary import Modality, ModelRef
from fusion.attention import Rows, rows_of, totals
from fusion.attention_weights import NAMED, FusionWeights
from fusion.calibration import calibrated
from fusion.learning.examples import Example, scores_of_examples
from fusion.learning.measures import ndcg, ranked_gains
from fusion.learning.options import FusionOptions
from fusion.learning.train import mean_ndcg, train_fusion
from fusion.learning.views import draw_candidates, hide_modalities, weaken
from tests.unit.fusion.learning.planted import MODALITIES, planted

MODEL = ModelRef("test", "1")
QUICK: dict[str, Any] = {"steps": 20, "every": 10, "hidden": 8, "batch": 16, "names_dropped": 0.0}


def trained(**options: Any) -> FusionWeights:
    """A short training."""
    return train_fusion(planted(200), planted(40, seed=1), FusionOptions(**{**QUICK, **options}), MODEL)


@pytest.fixture(scope="module")
def learned() -> FusionWeights:
    """A training long enough to learn what is planted."""
    return trained(steps=150, every=50, learning_rate=0.03)


def weighted_mean(examples: list[Example]) -> float:
    """What the mean of calibrated similarities reaches."""
    found = []
    for example in examples:
        values = calibrated(example.deviations[0].astype(np.float64)) * example.present
        found.append(ndcg(ranked_gains(values.sum(axis=0) / example.present.sum(axis=0), example.gains)))
    return float(np.mean(found))


def test_it_learns_which_modality_to_trust(learned: FusionWeights) -> None:
    """On queries never seen it beats the mean, which trusts all alike, by a clear margin."""
    unseen = planted(150, seed=2)

    assert mean_ndcg(learned, unseen) > weighted_mean(unseen) + 0.05


def test_serving_and_training_compute_the_same(learned: FusionWeights) -> None:
    """The forward pass in numpy is that in torch."""
    weights, examples = learned, planted(5, seed=3)
    rows = rows_of(scores_of_examples(examples), weights)
    tensors = Rows(**{name: torch.tensor(getattr(rows, name)) for name in Rows.__slots__})

    served = totals(np, weights.arrays, rows)
    taught = totals(torch, {name: torch.tensor(array) for name, array in weights.arrays.items()}, tensors)

    np.testing.assert_allclose(served, taught.numpy(), rtol=1e-9)


def test_the_same_seed_trains_the_same() -> None:
    """And another seed other weights."""
    one, same, other = (trained(steps=20, seed=seed).arrays["curve"] for seed in (0, 0, 1))

    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_it_stops_when_nothing_improves() -> None:
    """Long before its last step."""
    flat = [replace(example, deviations=np.zeros_like(example.deviations)) for example in planted(40)]

    weights = train_fusion(flat, flat, FusionOptions(**{**QUICK, "steps": 2000, "patience": 2}), MODEL)

    assert weights.facts["steps"] < 2000


def test_going_on_never_ends_below_the_start(learned: FusionWeights) -> None:
    """The weights given count as a candidate of their own."""
    start, validation = learned, planted(40, seed=1)

    after = train_fusion(
        planted(30, seed=4), validation, FusionOptions(**{**QUICK, "learning_rate": 0.5}), MODEL, start=start
    )

    assert after.facts["validation_ndcg_at_10"] >= after.facts["validation_ndcg_at_10_before"]


def test_what_was_never_shown_stays_without_a_name(learned: FusionWeights) -> None:
    """A place or a reading is then treated as any modality is."""
    weights = learned
    unseen = [place for place, modality in enumerate(Modality) if modality not in MODALITIES]

    for name in NAMED:
        assert not weights.arrays[name][unseen].any()
    assert weights.arrays["item"][list(Modality).index(Modality.TEXT)].any()


def test_a_score_of_a_half_lies_between_background_and_match(learned: FusionWeights) -> None:
    """Most candidates are below, most wanted ones above."""
    weights, unseen = learned, planted(60, seed=5)
    scores = [totals(np, weights.arrays, rows_of(scores_of_examples([one]), weights))[0] for one in unseen]

    above = [row[one.gains > 0] > weights.centre for row, one in zip(scores, unseen, strict=True)]
    below = [row[one.gains <= 0] < weights.centre for row, one in zip(scores, unseen, strict=True)]

    assert np.mean(np.concatenate(above)) > 0.5
    assert np.mean(np.concatenate(below)) > 0.8


@pytest.mark.parametrize(
    ("training", "validation", "told"),
    [([], planted(4), "0 queries to learn from"), (planted(4), planted(3), "3 to choose by")],
)
def test_too_few_queries_are_refused(training: Any, validation: Any, told: str) -> None:
    """A choice by three queries is a choice by chance."""
    with pytest.raises(Misconfigured, match=told):
        train_fusion(training, validation, FusionOptions(), MODEL)


@pytest.mark.parametrize("option", [{"steps": 0}, {"names_dropped": 1.5}, {"learning_rate": 0.0}])
def test_options_out_of_range_are_refused(option: Any) -> None:
    """With the option's name."""
    with pytest.raises(Misconfigured, match=next(iter(option))):
        FusionOptions(**option)


class TestViews:
    """What a step sees."""

    def test_every_item_keeps_something_it_has(self) -> None:
        """However much is hidden."""
        example = planted(1, items=500)[0]

        hidden = hide_modalities(example, 1.0, np.random.default_rng(0))

        assert hidden.present.any(axis=0).all()
        assert not (hidden.present & ~example.present).any()
        assert hidden.present.sum() < example.present.sum()

    def test_a_weaker_model_keeps_its_background(self) -> None:
        """Noise takes the place of what is lost: the spread stays, matches stand out less."""
        examples = planted(200, lacks=0.0)
        weaker = weaken(examples, np.random.default_rng(0))

        def spread_and_match(some: list[Example]) -> tuple[float, float]:
            texts = np.stack([one.deviations[0, 2] for one in some])
            wanted = np.stack([one.gains > 0 for one in some])
            return float(texts[~wanted].std()), float(texts[wanted].mean())

        before, after = spread_and_match(examples), spread_and_match(weaker)
        assert after[0] == pytest.approx(before[0], abs=0.05)
        assert 0.5 * before[1] < after[1] < 0.9 * before[1]

    def test_relevant_candidates_are_among_those_drawn(self) -> None:
        """And only so many others."""
        drawn = draw_candidates(planted(1)[0], FusionOptions(candidates=10), np.random.default_rng(0))

        assert drawn.gains.sum() == 1.0
        assert len(drawn.gains) == 11
