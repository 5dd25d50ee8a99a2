"""Strategies: what each makes of scores, by hand-made numbers and by properties that hold for all."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.vocabulary import FusionStrategy, MissingRule, Modality
from fusion.scores import Constants, Scores
from fusion.strategies import STRATEGIES, fuse, shares

W, X, R, N = FusionStrategy.WEIGHTED_MEAN, FusionStrategy.MAX, FusionStrategy.RRF, FusionStrategy.NONE
D = FusionStrategy.DBSF


def scores(calibrated: Any, **changes: Any) -> Scores:
    """Scores of shape (parts, modalities, items); NaN marks a modality that an item lacks."""
    raw = np.array(calibrated, np.float64)
    present = ~np.isnan(raw[0])
    filled = np.nan_to_num(raw)
    known: dict[str, Any] = {
        "similarities": filled,
        "calibrated": filled,
        "present": present,
        "part_weights": np.ones(len(raw)),
        "modality_weights": np.ones(raw.shape[1]),
        "part_modalities": np.zeros(len(raw), np.intp),
        "modalities": tuple(Modality)[: raw.shape[1]],
    }
    constants = {name: changes.pop(name) for name in [*changes] if name in Constants.__slots__}
    known["deviations"] = changes.get("deviations", filled)
    return Scores(**{**known, **changes}, constants=Constants(**{"rank_depth": 100, **constants}))


LACKS = float("nan")


class TestWeightedMean:
    """The mean by weight, over what is there."""

    def test_weights_of_modalities_and_parts_multiply(self) -> None:
        """(2·1·0.8 + 2·3·0.2 + 1·1·0.4 + 1·3·1.0) / (2 + 6 + 1 + 3)."""
        given_scores = scores(
            [[[0.8], [0.2]], [[0.4], [1.0]]], part_weights=np.array([2.0, 1.0]), modality_weights=np.array([1.0, 3.0])
        )

        assert fuse(W, given_scores) == pytest.approx([(1.6 + 1.2 + 0.4 + 3.0) / 12])

    def test_a_lacking_modality_is_left_out(self) -> None:
        """Renormalised, the item is judged by what it has."""
        assert fuse(W, scores([[[0.8, 0.8], [0.2, LACKS]]])) == pytest.approx([0.5, 0.8])

    def test_or_counts_as_no_match(self) -> None:
        """Penalised, it counts 0."""
        penalised = scores([[[0.8, 0.8], [0.2, LACKS]]], missing=MissingRule.PENALISE)

        assert fuse(W, penalised) == pytest.approx([0.5, 0.4])

    def test_a_negative_part_steers_away(self) -> None:
        """Of two items alike under the positive part, the one unlike the negative part comes first."""
        away = scores([[[0.9, 0.9]], [[0.8, 0.1]]], part_weights=np.array([1.0, -0.5]))

        assert fuse(W, away) == pytest.approx([(0.9 + 0.5 * 0.2) / 1.5, (0.9 + 0.5 * 0.9) / 1.5])


class TestOthers:
    """Max, reciprocal rank, none."""

    def test_max_takes_the_best_modality(self) -> None:
        """One strong modality is enough; lighter ones are scaled down."""
        given_scores = scores([[[0.9, 0.5], [0.1, 0.8]]], modality_weights=np.array([1.0, 0.5]))

        assert fuse(X, given_scores) == pytest.approx([0.9, 0.5])

    def test_reciprocal_rank_votes_by_place(self) -> None:
        """First and second of three under k = 1: 2/2 and 2/3; scaled so that first everywhere gives 1."""
        votes = fuse(R, scores([[[0.9, 0.8, 0.1], [0.9, 0.2, 0.3]]], rrf_k=1.0))

        assert votes == pytest.approx([1.0, (2 / 3 + 2 / 4) / 2, (2 / 4 + 2 / 3) / 2])

    def test_ranks_beyond_the_depth_do_not_vote(self) -> None:
        """What a search would not have found may not count either."""
        assert fuse(R, scores([[[0.9, 0.8, 0.1]]], rank_depth=2))[2] == 0.0

    def test_what_a_negative_part_ranks_high_loses(self) -> None:
        """Also under reciprocal rank."""
        first, second = fuse(R, scores([[[0.9, 0.8]], [[0.9, 0.1]]], part_weights=np.array([0.5, -1.0]), rrf_k=1.0))

        assert second > first

    def test_none_is_the_best_raw_similarity(self) -> None:
        """Neither calibrated nor weighted: the baseline."""
        raw = np.array([[[0.6, 0.7], [0.9, 0.1]]])

        assert fuse(N, scores([[[0.1, 0.2], [0.3, 0.4]]], similarities=raw)) == pytest.approx([0.9, 0.7])

    def test_a_list_is_measured_by_its_own_spread(self) -> None:
        """Two standard deviations above the mean of three, of six in all, is 5 / 6; so it is on any other scale."""
        raw = np.array([[[0.2, 0.3, 0.4]]])
        low, middle, high = fuse(D, scores(raw, similarities=raw))

        assert (low, middle, high) == pytest.approx((1 / 3, 1 / 2, 2 / 3))
        assert fuse(D, scores(raw, similarities=raw / 10 + 0.5)) == pytest.approx([1 / 3, 1 / 2, 2 / 3])
        assert fuse(D, scores(raw, similarities=raw, dbsf_deviations=1.0)) == pytest.approx([0.0, 0.5, 1.0])

    def test_a_flat_list_says_nothing(self) -> None:
        """Where all are alike, all get 0.5."""
        assert fuse(D, scores([[[0.4, 0.4]]])) == pytest.approx([0.5, 0.5])

    def test_only_the_head_of_a_list_measures_it(self) -> None:
        """What lies beyond the depth moves neither mean nor spread."""
        near = fuse(D, scores([[[0.9, 0.8, 0.1, 0.1]]], rank_depth=2))
        far = fuse(D, scores([[[0.9, 0.8, 0.5, 0.0]]], rank_depth=2))

        assert near[:2] == pytest.approx(far[:2])


matrices = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6), st.integers(0, 2**32 - 1))
strategies = st.sampled_from(sorted(STRATEGIES))


def drawn(shape: tuple[int, int, int, int], **changes: Any) -> Scores:
    """Scores that a seed decides: weights of both signs, some modalities lacking, every item with one at least."""
    parts, modalities, items, seed = shape
    rng = np.random.default_rng(seed)
    raw = rng.random((parts, modalities, items))
    lacks = rng.random((modalities, items)) < 0.3
    lacks[rng.integers(modalities, size=items), np.arange(items)] = False
    raw[:, lacks] = LACKS
    known: dict[str, Any] = {
        "part_weights": rng.uniform(0.1, 1, parts) * rng.choice([1.0, -1.0], parts),
        "modality_weights": rng.random(modalities) + 0.1,
        "part_modalities": rng.integers(len(Modality), size=parts),
        "deviations": 12.0 * np.nan_to_num(raw) * ~lacks - 2.0 * ~lacks,
    }
    return scores(raw, **{**known, **changes})


def picked(given_scores: Scores, **places: Any) -> Scores:
    """Some of the parts, modalities or candidates, in some order."""
    parts, modalities, items = (places.get(name, slice(None)) for name in ("parts", "modalities", "items"))
    changes: dict[str, Any] = {
        name: getattr(given_scores, name)[parts][:, modalities][:, :, items]
        for name in ("similarities", "deviations", "calibrated")
    }
    return replace(
        given_scores,
        **changes,
        present=given_scores.present[modalities][:, items],
        part_weights=given_scores.part_weights[parts],
        part_modalities=given_scores.part_modalities[parts],
        modality_weights=given_scores.modality_weights[modalities],
        modalities=tuple(np.array(given_scores.modalities)[modalities]),
    )


@given(matrices, strategies, st.sampled_from(MissingRule))
def test_scores_stay_in_bounds_and_keep_their_items(shape: Any, strategy: FusionStrategy, missing: MissingRule) -> None:
    """In [0, 1] under every strategy, and an item's score moves with the item when candidates are reordered."""
    given_scores = drawn(shape, missing=missing)
    order = np.random.default_rng(shape[3]).permutation(shape[2])

    fused = fuse(strategy, given_scores)

    assert ((fused >= 0) & (fused <= 1)).all()
    np.testing.assert_allclose(fused[order], fuse(strategy, picked(given_scores, items=order)), atol=1e-9)


@given(matrices, strategies, st.sampled_from(MissingRule))
def test_the_order_of_parts_does_not_matter(shape: Any, strategy: FusionStrategy, missing: MissingRule) -> None:
    """Nor that of modalities."""
    given_scores = drawn(shape, missing=missing)
    rng = np.random.default_rng(shape[3])
    mixed = picked(given_scores, parts=rng.permutation(shape[0]), modalities=rng.permutation(shape[1]))

    np.testing.assert_allclose(fuse(strategy, mixed), fuse(strategy, given_scores), atol=1e-9)


@given(matrices, strategies, st.sampled_from(MissingRule))
def test_a_lacking_modality_never_zeroes(shape: Any, strategy: FusionStrategy, missing: MissingRule) -> None:
    """Whatever an item lacks, what it has under parts that count towards it still gives it a score above 0."""
    given_scores = drawn(shape, missing=missing)
    given_scores = replace(given_scores, part_weights=np.abs(given_scores.part_weights))
    calibrated = np.where(given_scores.present, np.maximum(given_scores.calibrated, 0.01), 0.0)
    given_scores = replace(given_scores, calibrated=calibrated, similarities=calibrated)
    # Fusion by the spread of a list gives the last of a list 0 on purpose: it has that modality, and answers worst.
    if strategy is not D:
        assert (fuse(strategy, given_scores) > 0).all()


@given(matrices, strategies)
def test_ties_are_stable(shape: Any, strategy: FusionStrategy) -> None:
    """Items that are alike in everything get the same score; lists part them by id alone."""
    given_scores = drawn(shape)
    if strategy is R:
        given_scores = replace(given_scores, part_weights=np.abs(given_scores.part_weights))
    twice = picked(given_scores, items=np.concatenate([np.arange(shape[2]), np.arange(shape[2])]))

    fused = fuse(strategy, twice)

    if strategy is R:
        assert (fused[: shape[2]] >= fused[shape[2] :]).all()
    else:
        np.testing.assert_array_equal(fused[: shape[2]], fused[shape[2] :])


@given(matrices, strategies)
def test_negative_parts_lower_what_they_name(shape: Any, strategy: FusionStrategy) -> None:
    """Of two items that differ only in how a negative part likes them, the liked one never scores higher."""
    given_scores = drawn((shape[0] + 1, shape[1], 1, shape[3]))
    twin = picked(given_scores, items=np.array([0, 0]))
    weights = np.abs(twin.part_weights)
    weights[-1] *= -1
    likes = np.array([0.0, 0.5])
    calibrated, deviations = twin.calibrated.copy(), twin.deviations.copy()
    calibrated[-1] = np.where(twin.present, np.clip(calibrated[-1] * 0.5 + likes, 0, 1), 0.0)
    deviations[-1] = np.where(twin.present, deviations[-1] + 4 * likes, 0.0)
    twin = replace(twin, part_weights=weights, calibrated=calibrated, deviations=deviations, similarities=calibrated)

    unlike, alike = fuse(strategy, twin)

    assert alike <= unlike
    if strategy in {W, FusionStrategy.ATTENTION, R}:
        assert alike < unlike


@given(st.integers(1, 12), st.integers(0, 2**32 - 1), strategies, st.sampled_from(MissingRule))
def test_one_part_and_one_modality_is_the_plain_list(
    items: int, seed: int, strategy: FusionStrategy, missing: MissingRule
) -> None:
    """Every strategy then ranks by similarity alone."""
    values = np.random.default_rng(seed).permutation(np.linspace(0.05, 0.95, items))[None, None]
    single = scores(values, deviations=12 * values - 2, missing=missing)

    order = np.argsort(-fuse(strategy, single), kind="stable")

    np.testing.assert_array_equal(order, np.argsort(-values[0, 0], kind="stable"))


@given(matrices, strategies, st.sampled_from(MissingRule))
def test_shares_sum_to_1(shape: Any, strategy: FusionStrategy, missing: MissingRule) -> None:
    """What a score leans on, and nothing leans on what an item lacks, unless lacking counts."""
    given_scores = drawn(shape, missing=missing)

    found = shares(strategy, given_scores)

    np.testing.assert_allclose(found.sum(axis=(0, 1)), 1.0)
    if missing is MissingRule.RENORMALISE:
        assert not found[:, ~given_scores.present].any()


@given(st.lists(matrices, min_size=2, max_size=4), strategies, st.sampled_from(MissingRule))
def test_a_batch_gives_what_each_query_gives_alone(shapes: Any, strategy: FusionStrategy, missing: MissingRule) -> None:
    """Padding with parts, modalities and candidates that are not there changes nothing."""
    alone = [drawn(shape, missing=missing) for shape in shapes]
    parts, items = max(shape[0] for shape in shapes), max(shape[2] for shape in shapes)
    rows = max(shape[1] for shape in shapes)

    def filled(array: Any, *shape: int) -> Any:
        out = np.zeros(shape, array.dtype)
        out[tuple(map(slice, array.shape))] = array
        return out

    block = replace(
        alone[0],
        **{
            name: np.stack([filled(getattr(each, name), parts, rows, items) for each in alone])
            for name in ("similarities", "deviations", "calibrated")
        },
        present=np.stack([filled(each.present, rows, items) for each in alone]),
        part_weights=np.stack([filled(each.part_weights, parts) for each in alone]),
        part_modalities=np.stack([filled(each.part_modalities, parts) for each in alone]),
        modality_weights=np.stack([filled(each.modality_weights, rows) for each in alone]),
        modalities=tuple(Modality)[:rows],
    )

    together = fuse(strategy, block)

    for row, each in zip(together, alone, strict=True):
        np.testing.assert_allclose(row[: each.present.shape[-1]], fuse(strategy, each), atol=1e-9)
