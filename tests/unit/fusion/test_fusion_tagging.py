"""Labels from phrases: the discriminant against densities written out, and what tags are read off."""

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import Misconfigured
from fusion import tagging
from fusion.tagging import Discriminant, Tag

DIMS = 24


def units(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows of length 1."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def phrases(*more: str) -> dict[str, NDArray[np.float32]]:
    """Six phrases of each label around its direction: three labels and ``more``."""
    random = np.random.default_rng(0)
    return {
        label: units(random.normal(size=DIMS) * 2.0 + random.normal(size=(6, DIMS)))
        for label in ("cat", "dog", "sun", *more)
    }


def items(count: int = 40, seed: int = 1) -> NDArray[np.float32]:
    """Unit vectors of anything."""
    return units(np.random.default_rng(seed).normal(size=(count, DIMS)))


def log_density(vector: NDArray[np.float64], mean: NDArray[np.float64], covariance: NDArray[np.float64]) -> float:
    """Of a normal distribution, term by term."""
    away = vector - mean
    size = np.linalg.slogdet(2.0 * np.pi * covariance)[1]
    return float(-0.5 * (size + away @ np.linalg.inv(covariance) @ away))


def test_an_exclusive_set_is_a_posterior_of_normal_distributions() -> None:
    """Each label a Gaussian around its phrases' mean, all of one covariance; densities by the formula, item by item."""
    named = phrases()
    classes = [rows.astype(np.float64) for rows in named.values()]
    scatter = sum((rows - rows.mean(0)).T @ (rows - rows.mean(0)) for rows in classes)
    prior = np.eye(DIMS) * tagging.PRIOR_VARIANCE / DIMS
    seen = sum(map(len, classes)) - len(classes)
    covariance = (scatter + tagging.PRIOR_PHRASES * prior) / (seen + tagging.PRIOR_PHRASES)
    for vector, found in zip(items(), Discriminant.of(named, multi=False).confidences(items()), strict=True):
        densities = np.array([log_density(vector.astype(np.float64), rows.mean(0), covariance) for rows in classes])
        raised = np.exp((densities - densities.max()) / tagging.EXCLUSIVE_TEMPERATURE)
        assert found == pytest.approx(raised / raised.sum(), abs=1e-9)


def test_the_way_to_a_label_is_what_makes_it_hold() -> None:
    """At ``HALF_WAY`` from the set's middle to the label's mean it holds with one half, at the mean almost surely."""
    named = phrases()
    made = Discriminant.of(named, multi=True)
    mean = named["dog"].astype(np.float64).mean(0)
    on_the_way = np.stack([made.middle + share * (mean - made.middle) for share in (0.0, tagging.HALF_WAY, 1.0)])
    at_middle, half, at_mean = made.confidences(on_the_way)[:, 1]
    assert (at_middle, half, at_mean) == (pytest.approx(0.0, abs=0.01), pytest.approx(0.5), pytest.approx(1.0))


def test_several_labels_hold_only_where_several_may() -> None:
    """What lies between two of many labels has both of a ``multi`` set, and the nearer one of an exclusive set."""
    named = phrases("sea", "car", "hat", "ice")
    means = {label: rows.astype(np.float64).mean(0) for label, rows in named.items()}
    between = (0.55 * means["cat"] + 0.45 * means["dog"])[None, :]
    [both] = Discriminant.of(named, multi=True).tags(between, 0.5)
    [one] = Discriminant.of(named, multi=False).tags(between, 0.0)
    assert both is not None
    assert one is not None
    assert both.labels == ("cat", "dog")
    assert one.labels == ("cat",)


def test_labels_that_are_not_sure_enough_are_left_out() -> None:
    """No tag at all where none is; the confidence is that of the first label."""
    named = phrases()
    made = Discriminant.of(named, multi=True)
    mean = named["sun"].astype(np.float64).mean(0)
    rows = np.stack([made.middle, mean])
    assert made.tags(rows, 0.5) == [None, Tag(labels=("sun",), confidence=1.0)]
    [nothing_is_too_little, _] = made.tags(rows, 0.0)
    assert nothing_is_too_little is not None
    assert set(nothing_is_too_little.labels) == set(named)


def test_what_is_otherwise_draws_items_away_and_is_no_label() -> None:
    """Items like the phrases of ``otherwise`` lose their tags; items like a label keep theirs."""
    named = phrases()
    sun = named.pop("sun")
    for multi in (False, True):
        made = Discriminant.of(named, multi=multi, otherwise=sun)
        likely = made.confidences(np.stack([sun.mean(0), named["cat"].mean(0)]))
        assert likely.shape == (2, 2)
        assert likely[0].max() < 0.5 < likely[1, 0], multi


def test_one_phrase_a_label_is_enough() -> None:
    """A label is a direction already then, and each phrase is its own label."""
    named = {label: rows[:1] for label, rows in phrases().items()}
    for multi in (False, True):
        found = Discriminant.of(named, multi=multi).confidences(np.concatenate(list(named.values())))
        assert found.argmax(axis=1).tolist() == [0, 1, 2]


def test_directions_in_which_phrases_of_one_label_differ_count_little() -> None:
    """Two labels that differ in one coordinate, while their phrases are spread over another one."""
    spread = np.linspace(-3.0, 3.0, 9)
    rows = {
        label: units(np.stack([np.full(9, side), spread, np.ones(9)], axis=1))
        for label, side in (("left", -1.0), ("right", 1.0))
    }
    far_out = units(np.array([[0.4, 3.0, 1.0], [0.4, -3.0, 1.0]]))
    found = Discriminant.of(rows, multi=False)
    assert abs(found.directions[1]).max() < 0.1 * abs(found.directions[0]).max()
    assert (found.confidences(far_out)[:, 1] > 0.5).all()


def test_turning_the_space_changes_nothing() -> None:
    """No coordinate is special: labels and items turned together keep their confidences."""
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(DIMS, DIMS)))[0]
    for multi in (False, True):
        plain = Discriminant.of(phrases(), multi=multi).confidences(items())
        turned = {label: (rows @ turn).astype(np.float32) for label, rows in phrases().items()}
        assert Discriminant.of(turned, multi=multi).confidences(items() @ turn) == pytest.approx(plain, abs=1e-4)


def test_a_label_that_means_what_its_set_means_is_refused() -> None:
    """Nothing could be told of it; the message names it."""
    named = phrases()
    named["dog"] = named["cat"]
    del named["sun"]
    with pytest.raises(Misconfigured, match="label 'cat' cannot be told"):
        Discriminant.of(named, multi=True)
