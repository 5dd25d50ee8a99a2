"""Lists: ties, diversity, coverage, groups, near-duplicates; beams against all slates there are."""

from dataclasses import replace
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.coverage import Categories
from fusion.ranking import Aims, Pool, beam, decode, mmr, top_k


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


def test_lists_are_as_long_as_they_can_be_without_repeats() -> None:
    """Asked for more than there is, all is ranked; asked for none, or of none, nothing."""
    scores, sameness = np.linspace(0, 1, 8), sameness_of([0, 1, 2, 3, 0, 1, 2, 3])
    for count in (0, 1, 3, 99):
        for places in (mmr(scores, sameness, count, 0.4), beam(scores, sameness, count, 0.4, 3)):
            assert len(places) == len(set(places.tolist())) == min(count, 8)
    assert len(decode(Pool.of(np.zeros(0), np.zeros((0, 0))), 5, Aims(diversity=0.4, width=3))) == 0


def covering(scores: np.ndarray, serves: np.ndarray, asked: np.ndarray, **changes: Any) -> Pool:
    """A pool whose candidates serve categories."""
    return replace(Pool.of(scores, np.zeros((len(scores), len(scores)))), serves=serves, unserved=asked, **changes)


class TestCoverage:
    """What a hit adds to the probability that a category is served."""

    def test_an_unserved_category_comes_before_more_of_the_same(self) -> None:
        """Three animals and one food: the food moves up, and behind it the scores decide again."""
        scores = np.array([0.9, 0.85, 0.8, 0.5])
        serves = np.array([[0.9, 0], [0.85, 0], [0.8, 0], [0, 0.5]])

        listed = decode(covering(scores, serves, np.array([1.0, 1.0])), 4, Aims(coverage=0.5))

        assert listed.tolist() == [0, 3, 1, 2]

    def test_the_gain_is_that_of_xquad(self) -> None:
        """At each place (1 - c) · score + c · Σ asked · serves · Π (1 - serves of those before), by hand."""
        rng = np.random.default_rng(3)
        scores, serves, asked = rng.random(12), rng.random((12, 4)), rng.random(4)

        listed = decode(covering(scores, serves, asked), 12, Aims(coverage=0.6)).tolist()

        for place, item in enumerate(listed):
            left = asked * np.prod(1 - serves[listed[:place]], axis=0)
            worth = 0.4 * scores + 0.6 * serves @ left
            open_ = [each for each in range(12) if each not in listed[:place]]
            assert item == max(open_, key=lambda each: worth[each])

    @pytest.mark.parametrize("seed", range(8))
    def test_a_wide_beam_finds_the_best_of_all_three_at_once(self, seed: int) -> None:
        """Score, variety and coverage are one objective, discounted by place: exhaustive search finds no better."""
        rng = np.random.default_rng(seed)
        scores, half, serves, asked = rng.random(5), rng.random((5, 5)), rng.random((5, 3)), rng.random(3)
        pool = replace(covering(scores, serves, asked), sameness=(half + half.T) / 2)

        def worth(slate: tuple[int, ...]) -> float:
            total = 0.0
            for place, item in enumerate(slate):
                before = list(slate[:place])
                likeness = np.mean(pool.sameness[item, before]) if place else 0.0
                gain = asked * np.prod(1 - serves[before], axis=0) @ serves[item]
                total += (0.4 * scores[item] - 0.3 * likeness + 0.3 * gain) / np.log2(place + 2)
            return float(total)

        aims = Aims(diversity=0.3, coverage=0.3, nearest=False, width=1000)
        assert worth(tuple(decode(pool, 4, aims))) == pytest.approx(max(map(worth, permutations(range(5), 4))))

    @given(st.integers(0, 2**32 - 1))
    def test_coverage_is_monotone_and_submodular(self, seed: int) -> None:
        """Each hit adds something, the less the more came before, and never more than 1."""
        rng = np.random.default_rng(seed)
        of = [tuple(rng.choice(6, size=rng.integers(0, 4), replace=False).tolist()) for _ in range(9)]
        scores = rng.random(9)
        served = [Categories(of, scores.tolist(), hits) for hits in range(6)]
        gains = [float(categories.serves[-1] @ categories.unserved) for categories in served]

        assert all(0 <= later <= earlier + 1e-12 for earlier, later in pairwise(gains))
        assert gains[0] <= 1 + 1e-12

    def test_what_is_asked_for_follows_the_scores(self) -> None:
        """A category that matches better is asked for more, and the most that one item serves is 1."""
        of, scores = [("a",), ("a", "b"), ("c",), ()], [0.6, 0.2, 0.0, 0.8]
        at_first, after_one = Categories(of, scores), Categories(of, scores, hits=1)

        assert at_first.unserved == pytest.approx([0.8, 0.2, 0.0])
        assert at_first.serves == pytest.approx(np.array([[0.75, 0, 0], [0.25, 0.25, 0], [0, 0, 0], [0, 0, 0]]))
        assert after_one.unserved == pytest.approx([0.8 * 0.25, 0.2, 0.0])
        assert after_one.serves.tolist() == at_first.serves[1:].tolist()


class TestClosing:
    """Groups that are full, and near-duplicates."""

    @pytest.mark.parametrize("width", [1, 5])
    def test_a_full_group_is_closed(self, width: int) -> None:
        """Two of each; what is in no group is always open."""
        pool = replace(
            Pool.of(np.linspace(1, 0.1, 10), np.zeros((10, 10))),
            groups=np.array([0, 0, 0, 0, 1, 1, 1, -1, -1, -1]),
            room=np.array([2, 1]),
        )

        assert decode(pool, 10, Aims(width=width)).tolist() == [0, 1, 4, 7, 8, 9]

    @pytest.mark.parametrize("width", [1, 5])
    def test_a_near_duplicate_is_closed_by_who_stands_for_it(self, width: int) -> None:
        """The better one stays."""
        duplicates = np.zeros((4, 4), np.bool_)
        duplicates[0, 2] = duplicates[2, 0] = True
        pool = replace(Pool.of(np.array([0.9, 0.8, 0.7, 0.6]), np.zeros((4, 4))), duplicates=duplicates)

        assert decode(pool, 4, Aims(width=width)).tolist() == [0, 1, 3]

    def test_a_slate_that_can_go_on_beats_one_that_cannot(self) -> None:
        """A beam prefers a full page to a better beginning of a short one."""
        duplicates = np.ones((3, 3), np.bool_)
        duplicates[1, 2] = duplicates[2, 1] = False
        pool = replace(Pool.of(np.array([1.0, 0.9, 0.8]), np.zeros((3, 3))), duplicates=duplicates)

        assert sorted(decode(pool, 2, Aims(width=3, nearest=False)).tolist()) == [1, 2]
