"""Replaying a log: nobody sees the future, baselines never show what was seen, and intervals are arithmetic."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from fusion.learning.baselines import Factors, ItemNeighbours, Popularity
from fusion.learning.generated_log import GeneratedShape, generate_log
from fusion.learning.interaction_log import make_log
from fusion.learning.item_vectors import vectors_of_log
from fusion.learning.replay import KNN, OURS, OURS_SEQUENCE, POPULARITY, Replayed, ReplayOptions, bounds, replay
from fusion.learning.replay_report import Bootstrap, gains_of, hits_of, report

SMALL = GeneratedShape(users=150, items=120, themes=8, dims=16)
FEW = ReplayOptions(queries=120, tuning_queries=20, refits=2)


class Repeats:
    """A sequence model that expects more of the last."""

    length = 5

    def next_direction(self, items: Sequence[NDArray[np.float32]], liked: Sequence[bool]) -> NDArray[np.float32]:
        """The last item's vector, long."""
        return 10 * items[-1]


async def test_ours_beats_popularity_where_there_is_taste_and_order() -> None:
    """On a small log, in one run with the baselines; with a sequence model there is one row more."""
    log, vectors = generate_log(2, SMALL)

    replayed = await replay(log, vectors, FEW, sequence=Repeats())

    hits = {name: float(hits_of(ranks).mean()) for name, ranks in replayed.ranks.items()}
    assert len(replayed.users) == 120
    assert hits[OURS] > hits[POPULARITY]
    assert OURS_SEQUENCE in hits
    assert "weighting" in replayed.chosen[KNN]


async def test_a_log_without_content_makes_its_own_vectors() -> None:
    """From its training part alone: an item first liked later has none."""
    log, _ = generate_log(2, SMALL)
    validation, _ = bounds(log, FEW)

    vectors = vectors_of_log(log, validation, dims=16)

    liked = {log.item_ids[item] for item in log.items[:validation][log.positives()[:validation]]}
    assert set(vectors) <= liked
    assert len(vectors) > 0.9 * len(liked)
    replayed = await replay(log, vectors, FEW)
    assert hits_of(replayed.ranks[OURS]).mean() > hits_of(replayed.ranks[POPULARITY]).mean()


async def test_nobody_is_asked_with_the_answer_in_hand() -> None:
    """Everybody likes an item once, the same at last: who learnt the like before being asked would have excluded it."""
    users = [f"u{user}" for user in range(60) for _ in range(3)]
    items = [name for user in range(60) for name in (f"a{user % 5}", f"b{user % 3}", "last")]
    log = make_log(users, items, [1.0] * 180, list(range(180)))
    vectors = {name: np.eye(9, dtype=np.float32)[place] for place, name in enumerate(log.item_ids)}

    replayed = await replay(log, vectors, ReplayOptions(queries=50, tuning_queries=5, refits=1))

    assert (replayed.ranks[POPULARITY] > 0).all()


@pytest.mark.parametrize("kind", ["popularity", "neighbours", "factors"])
def test_baselines_show_nothing_seen_and_no_more_than_asked(kind: str) -> None:
    """Ten at most, none of them seen, liked or not."""
    log, _ = generate_log(2, SMALL)
    made = {
        "popularity": Popularity,
        "neighbours": lambda: ItemNeighbours("bm25", 50),
        "factors": lambda: Factors(8, 0.1, 1.0),
    }
    baseline = made[kind]()
    baseline.fit(log.users, log.items, (len(log.user_ids), len(log.item_ids)))
    liked, seen = np.arange(10), np.arange(40)

    top = baseline.top(liked, seen, 10)

    assert 0 < len(top) <= 10
    assert not set(top.tolist()) & set(seen.tolist())


def test_gains_and_intervals() -> None:
    """By hand: rank 1 gives 1, rank 3 a half, none nothing; whole users are drawn."""
    ranks = np.array([1, 3, 0, 10])
    np.testing.assert_allclose(gains_of(ranks), [1.0, 0.5, 0.0, 1 / np.log2(11)])
    assert hits_of(ranks).tolist() == [1, 1, 0, 1]
    same = Bootstrap(np.array([1, 1, 2, 2])).interval(np.ones(4))
    assert same == {"mean": 1.0, "low": 1.0, "high": 1.0}
    apart = Bootstrap(np.repeat(np.arange(100), 5)).interval(np.repeat(np.arange(100) % 2, 5).astype(float))
    together = Bootstrap(np.arange(500)).interval(np.repeat(np.arange(100) % 2, 5).astype(float))
    assert apart["high"] - apart["low"] > 1.5 * (together["high"] - together["low"])


def test_the_report_compares_ours_with_every_baseline() -> None:
    """Means with intervals, paired differences, and the facts as given."""
    rng = np.random.default_rng(0)
    ranks = {name: rng.integers(0, 11, 200) for name in (OURS, POPULARITY, KNN)}
    cold = rng.random(200) < 0.1
    replayed = Replayed(
        ranks=ranks, users=rng.integers(0, 40, 200), cold_items=cold, cold_users=np.zeros(200, np.bool_), chosen={}
    )

    made = report(replayed, {"baselines": [POPULARITY, KNN], "seed": 2})

    row = made["recommenders"][OURS]
    assert row["hr@10"]["low"] <= row["hr@10"]["mean"] <= row["hr@10"]["high"]
    assert row["hr@10_cold_items"] == pytest.approx(hits_of(ranks[OURS])[cold].mean(), abs=1e-4)
    assert row["hr@10_cold_users"] is None
    expected = row["hr@10"]["mean"] - made["recommenders"][KNN]["hr@10"]["mean"]
    assert made["differences"][OURS][KNN]["hr@10"]["mean"] == pytest.approx(expected, abs=2e-4)
    assert made["seed"] == 2
