"""Strategies: what each makes of scores, by hand-made numbers and by properties that hold for all."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import RejectEvent
from config.vocabulary import FusionStrategy, MissingRule
from fusion.strategies import STRATEGIES, Scores, fuse

W, X, R, N = FusionStrategy.WEIGHTED_MEAN, FusionStrategy.MAX, FusionStrategy.RRF, FusionStrategy.NONE


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
        "missing": MissingRule.RENORMALISE,
        "rrf_k": 60.0,
        "rank_depth": 100,
    }
    return Scores(**{**known, **changes})


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

    def test_attention_is_refused_with_what_there_is(self) -> None:
        """It needs trained weights."""
        with pytest.raises(RejectEvent, match="weighted_mean") as caught:
            fuse(FusionStrategy.ATTENTION, scores([[[0.5]]]))

        assert caught.value.field == "fusion.strategy"


matrices = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6), st.integers(0, 2**32 - 1))


@given(matrices, st.sampled_from(sorted(STRATEGIES)), st.sampled_from(MissingRule))
def test_scores_stay_in_bounds_and_keep_their_items(shape: Any, strategy: FusionStrategy, missing: MissingRule) -> None:
    """In [0, 1] under every strategy, and an item's score moves with the item when candidates are reordered."""
    parts, modalities, items, seed = shape
    rng = np.random.default_rng(seed)
    raw = rng.random((parts, modalities, items))
    raw[:, rng.random((modalities, items)) < 0.3] = LACKS
    weights = {"part_weights": rng.uniform(-1, 1, parts), "modality_weights": rng.random(modalities) + 0.1}
    order = rng.permutation(items)

    fused = fuse(strategy, scores(raw, missing=missing, **weights))
    moved = fuse(strategy, scores(raw[:, :, order], missing=missing, **weights))

    assert ((fused >= 0) & (fused <= 1)).all()
    if strategy is not R or len(np.unique(raw[~np.isnan(raw)])) == (~np.isnan(raw)).sum():
        np.testing.assert_allclose(fused[order], moved)
