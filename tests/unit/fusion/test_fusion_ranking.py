"""Lists: ties, paging, diversity, beams against all slates there are."""

from itertools import permutations

import numpy as np
import pytest

from config.vocabulary import RankingMethod
from fusion.ranking import beam, mmr, rank, top_k
from tests.fusion_builders import unit


def sameness_of(groups: list[int]) -> np.ndarray:
    """1 within a group, 0 between groups."""
    return (np.array(groups)[:, None] == np.array(groups)[None, :]).astype(np.float64)


def worth(slate: tuple[int, ...], scores: np.ndarray, sameness: np.ndarray, diversity: float) -> float:
    """What ``beam`` says a slate is worth, written plainly."""
    total = 0.0
    for place, item in enumerate(slate):
        likeness = np.mean([sameness[item, before] for before in slate[:place]]) if place else 0.0
        total += ((1 - diversity) * scores[item] - diversity * likeness) / np.log2(place + 2)
    return total


def test_equal_scores_keep_the_order_of_ids() -> None:
    """The earlier of equals comes first, at any length."""
    assert top_k(np.array([0.5, 0.9, 0.5, 0.9]), 3).tolist() == [1, 3, 0]


def test_mmr_takes_the_best_then_what_is_different() -> None:
    """Of two groups the second's best comes before the first's second."""
    scores = np.array([0.9, 0.89, 0.5])

    assert mmr(scores, sameness_of([0, 0, 1]), 3, 0.5).tolist() == [0, 2, 1]
    assert mmr(scores, sameness_of([0, 0, 1]), 3, 0.1).tolist() == [0, 1, 2]


def test_mmr_is_a_prefix_of_itself() -> None:
    """So pages follow each other."""
    scores, sameness = np.random.default_rng(0).random(30), np.abs(np.random.default_rng(1).random((30, 30)))

    assert mmr(scores, sameness, 20, 0.5)[:7].tolist() == mmr(scores, sameness, 7, 0.5).tolist()


@pytest.mark.parametrize("seed", range(20))
def test_a_wide_beam_finds_the_best_slate(seed: int) -> None:
    """Kept wide enough it is exhaustive; narrow, it is never worse than greedy."""
    rng = np.random.default_rng(seed)
    scores, half = rng.random(5), rng.random((5, 5))
    sameness = (half + half.T) / 2
    best = max(worth(slate, scores, sameness, 0.5) for slate in permutations(range(5), 3))

    wide = worth(tuple(beam(scores, sameness, 3, 0.5, 1000)), scores, sameness, 0.5)
    greedy = worth(tuple(beam(scores, sameness, 3, 0.5, 1)), scores, sameness, 0.5)

    assert wide == pytest.approx(best)
    assert greedy <= wide + 1e-12


@pytest.mark.parametrize("method", RankingMethod)
@pytest.mark.parametrize("wanted", [0, 1, 3, 99])
def test_lists_are_as_long_as_they_can_be_without_repeats(method: RankingMethod, wanted: int) -> None:
    """Asked for more than there is, all is ranked; asked for none, none."""
    vectors = np.array([unit(seed) for seed in range(8)], np.float64)
    places = rank(method, np.linspace(0, 1, 8), vectors, wanted=wanted, pool=5, diversity=0.4, beam_width=3)

    assert len(places) == len(set(places.tolist())) == min(wanted, max(5, wanted), 8)


@pytest.mark.parametrize("method", RankingMethod)
def test_nothing_is_ranked_to_nothing(method: RankingMethod) -> None:
    """No candidates, no places."""
    assert len(rank(method, np.zeros(0), np.zeros((0, 4)), wanted=5, pool=5, diversity=0.4, beam_width=3)) == 0


def test_without_diversity_every_method_is_top_k() -> None:
    """There is nothing to trade."""
    scores, vectors = np.random.default_rng(0).random(9), np.array([unit(seed) for seed in range(9)], np.float64)
    ranked = [
        rank(method, scores, vectors, wanted=9, pool=9, diversity=0.0, beam_width=3).tolist()
        for method in RankingMethod
    ]

    assert ranked[0] == ranked[1] == ranked[2]
