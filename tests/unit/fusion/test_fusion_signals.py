"""The blend of signals against arithmetic done by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.vocabulary import ItemId, RecommendSignal
from fusion.recommend_explore import Explore, is_explored, with_explored
from fusion.signals import SPREAD, Signal, blend, contributions, reasons
from tests.fusion_builders import unit

IDS = [ItemId(name) for name in "abc"]
FUSED = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])


def test_each_signal_is_told_against_its_strongest_and_shares_decide() -> None:
    """A tenth of a cosine below the strongest is worth 1/e; an item that is not named is worth nothing."""
    along = Signal(name=RecommendSignal.LONG, share=3.0, because="l {}", vector=np.array([2, 0], np.float32))
    named = Signal(name=RecommendSignal.TRENDS, share=1.0, because="t {}", scores={ItemId("b"): 4.0, ItemId("c"): 1.0})

    blended = blend([along, named], IDS, FUSED)

    expected = np.array([[1.0, math.exp(-0.2 / SPREAD), math.exp(-1.0 / SPREAD)], [0.0, 1.0, 0.25]])
    np.testing.assert_allclose(blended.values, expected, atol=1e-6)
    np.testing.assert_allclose(blended.total, 0.75 * expected[0] + 0.25 * expected[1], atol=1e-6)
    assert sum(contributions([along, named], blended, 1).values()) == pytest.approx(blended.total[1])
    assert reasons([along, named], blended, 1) == ("t 1.00", "l 0.14")
    assert reasons([along, named], blended, 2) == ("t 0.25",)


def test_a_signal_that_names_no_candidate_is_worth_nothing() -> None:
    """Rather than a division by zero."""
    along = Signal(name=RecommendSignal.LONG, share=1.0, because="", vector=np.array([1, 0], np.float32))
    named = Signal(name=RecommendSignal.TRENDS, share=1.0, because="", scores={ItemId("z"): 4.0})

    np.testing.assert_array_equal(blend([along, named], IDS, FUSED).values[1], np.zeros(3))
    assert blend([along], [], np.zeros((0, 2))).total.shape == (0,)


@given(share=st.floats(0, 1), ranks=st.integers(1, 200))
def test_explored_places_are_the_share_of_every_prefix(share: float, ranks: int) -> None:
    """Up to rounding down, whatever the share."""
    count = sum(is_explored(rank, share) for rank in range(1, ranks + 1))
    assert abs(count - ranks * share) <= 1 + 1e-6


@given(
    share=st.floats(0, 1),
    order=st.permutations(range(12)).map(np.array),
    seed=st.integers(0, 1000),
    shorter=st.integers(1, 11),
)
def test_a_shorter_list_is_the_start_of_a_longer_one(share: float, order: np.ndarray, seed: int, shorter: int) -> None:
    """Nothing is lost, nothing comes twice, and paging goes on where it ended."""
    fused = np.stack([unit(seed * 100 + place, 4) for place in range(12)]).astype(np.float64)
    explore = Explore(direction=unit(seed, 4), share=share, because="")

    whole, _ = with_explored(order, explore, fused)
    start, _ = with_explored(order[:shorter], explore, fused)

    assert sorted(whole.tolist()) == list(range(12))
    assert start.tolist() == whole[:shorter].tolist()
