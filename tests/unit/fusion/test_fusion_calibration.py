"""Similarity and calibration: conventions, bounds, order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import Misconfigured
from config.vocabulary import Background, Modality, Similarity
from fusion.calibration import background_of, calibrate
from fusion.similarity import compare, unit_rows
from tests.fusion_builders import unit

TEXT, IMAGE = Modality.TEXT, Modality.IMAGE


class TestSimilarity:
    """Each in [0, 1], higher is nearer."""

    @pytest.mark.parametrize(
        ("similarity", "expected"),
        [(Similarity.COSINE, [1.0, 0.5, 0.0]), (Similarity.EUCLIDEAN, [1.0, 1.0 - np.sqrt(2.0) / 2.0, 0.0])],
    )
    def test_same_square_and_opposite(self, similarity: Similarity, expected: list[float]) -> None:
        """(1 + s) / 2 and 1 - d / 2, whatever the norms."""
        items = np.array([[2.0, 0.0], [0.0, 5.0], [-1.0, 0.0]])

        assert compare(np.array([[3.0, 0.0]]), items, similarity).similarities[0] == pytest.approx(expected)

    def test_a_dimension_without_weight_does_not_count(self) -> None:
        """Weighted cosine of vectors that differ only there is 1."""
        one, other = np.array([[1.0, 2.0, 7.0]]), np.array([[1.0, 2.0, -3.0]])

        weighted = compare(one, other, Similarity.WEIGHTED_COSINE, np.array([1.0, 1.0, 0.0]))

        assert weighted.similarities[0, 0] == pytest.approx(1.0)
        assert compare(one, other, Similarity.WEIGHTED_COSINE).cosines == compare(one, other, Similarity.COSINE).cosines

    @pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0, 0.0], [0.0, 0.0, 0.0], [np.nan, 1.0, 1.0]])
    def test_weights_that_do_not_fit_are_refused(self, weights: list[float]) -> None:
        """An operator's matter."""
        with pytest.raises(Misconfigured):
            compare(np.ones((1, 3)), np.ones((1, 3)), Similarity.WEIGHTED_COSINE, np.array(weights))

    def test_a_cosine_does_not_depend_on_its_neighbours(self) -> None:
        """The same pair gives the same number alone and among thousands: what ties and shards rely on."""
        items = np.array([unit(seed) for seed in range(3000)])
        together = compare(unit(1)[None], items, Similarity.COSINE).cosines[0]

        for start in (0, 1, 17, 1001):
            alone = compare(unit(1)[None], items[start : start + 3], Similarity.COSINE).cosines[0]
            np.testing.assert_array_equal(alone, together[start : start + 3])

    def test_rows_of_zeros_stay(self) -> None:
        """They stand for lacking modalities."""
        assert unit_rows(np.zeros((1, 2))).tolist() == [[0.0, 0.0]]


class TestCalibration:
    """Distances from the background, bounded and strictly monotone."""

    @given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-0.5, 0.5), st.floats(0.02, 0.5))
    def test_order_is_kept_within_a_pair(self, one: float, other: float, mean: float, std: float) -> None:
        """Two cosines that differ by more than rounding are calibrated to different values, in their order."""
        low, high = sorted((round(one, 6), round(other, 6)))
        a, b = calibrate(np.array([[low, high]]), [Background(mean=mean, std=std)])[0]

        assert 0 < a <= b < 1
        assert (a < b) == (low < high)

    def test_the_same_distance_from_any_background_is_the_same(self) -> None:
        """Cosines of pairs with different gaps become comparable."""
        cosines = np.array([[0.1 + 4 * 0.05], [0.6 + 4 * 0.02]])
        values = calibrate(cosines, [Background(mean=0.1, std=0.05), Background(mean=0.6, std=0.02)])

        assert values[0, 0] == pytest.approx(values[1, 0])
        assert values[0, 0] > 0.5

    def test_an_unknown_pair_is_independent_directions(self) -> None:
        """Mean 0, deviation 1 / sqrt(dims)."""
        assert background_of({}, TEXT, IMAGE, 256) == Background(mean=0.0, std=1 / 16)

    @pytest.mark.parametrize("std", [0.0, -1.0, float("nan")])
    def test_a_background_without_spread_is_refused(self, std: float) -> None:
        """It would divide by zero at each query."""
        with pytest.raises(Misconfigured, match="text against image"):
            background_of({(TEXT, IMAGE): Background(mean=0.0, std=std)}, TEXT, IMAGE, 4)
