"""Backgrounds from samples: matches left out, the prior met by counts, nothing made up."""

import numpy as np
import pytest

from config.vocabulary import Background, ItemId, Modality
from fusion.background import STAND_IN_PRIOR, estimate_background, estimate_table
from fusion.index.protocol import VectorSample

PRIOR = Background(mean=0.5, std=0.2)


def cone(seed: int, count: int, centre: float) -> np.ndarray:
    """Vectors (count, 64) around one common direction."""
    vectors = np.random.default_rng(seed).standard_normal((count, 64)) / 8
    vectors[:, 0] += centre
    return vectors.astype(np.float32)


def test_it_is_mean_and_deviation_of_what_does_not_match() -> None:
    """The exact moments of all cosines but each query's own, within what trimming takes."""
    vectors = cone(1, 200, 0.6)
    own = np.eye(200, dtype=np.bool_)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    others = (units @ units.T)[~own]

    found = estimate_background(vectors, vectors, own=own)

    assert found is not None
    assert found.mean == pytest.approx(others.mean(), abs=0.005)
    assert found.std == pytest.approx(others.std(), rel=0.07)


def test_near_duplicates_do_not_widen_it() -> None:
    """Every query stands in the index once more: one cosine of 1 in two hundred moves neither number much."""
    items = cone(1, 200, 0.3)
    queries = cone(2, 50, 0.3)
    doubled = items.copy()
    doubled[:50] = queries

    clean, met = estimate_background(queries, items), estimate_background(queries, doubled)

    assert clean is not None
    assert met is not None
    assert met.std == pytest.approx(clean.std, rel=0.05)
    assert met.mean == pytest.approx(clean.mean, abs=0.01)


@pytest.mark.parametrize(("prior_items", "share"), [(100.0, 0.5), (300.0, 0.25), (0.0, 1.0)])
def test_the_prior_counts_for_so_many_items(prior_items: float, share: float) -> None:
    """A hundred sampled items meet a prior of a hundred half-way, if as many queries ask."""
    queries, items = cone(1, 100, 0.0), cone(2, 150, 0.0)
    alone = estimate_background(queries, items)

    blended = estimate_background(queries, items, prior=PRIOR, prior_items=prior_items)

    assert alone is not None
    assert blended is not None
    assert blended.mean == pytest.approx(share * alone.mean + (1 - share) * 0.5)
    assert blended.std == pytest.approx(share * alone.std + (1 - share) * 0.2)


@pytest.mark.parametrize("prior", [PRIOR, None])
def test_too_little_leaves_the_prior(prior: Background | None) -> None:
    """Seven items or queries, none at all, or vectors that are all the same say nothing."""
    same = np.ones((20, 64), np.float32)

    assert estimate_background(cone(1, 50, 0.0), cone(2, 7, 0.0), prior=prior) is prior
    assert estimate_background(cone(1, 7, 0.0), cone(2, 50, 0.0), prior=prior) is prior
    assert estimate_background(np.zeros((0, 64), np.float32), cone(2, 50, 0.0), prior=prior) is prior
    assert estimate_background(same, same, prior=prior) is prior


def sample(vectors: np.ndarray, prefix: str = "i") -> VectorSample:
    """Items named by their row."""
    return VectorSample(item_ids=tuple(ItemId(f"{prefix}{row}") for row in range(len(vectors))), vectors=vectors)


class TestTables:
    """Every pair, from items that stand in and from what was asked."""

    def test_items_of_a_modality_stand_in_for_its_queries(self) -> None:
        """Both directions and both modalities themselves, each item's own cosines left out."""
        texts, pictures = cone(1, 200, 0.2), cone(2, 200, 0.9)

        table = estimate_table({Modality.TEXT: sample(texts), Modality.IMAGE: sample(pictures)}, {}, {})

        own = np.eye(200, dtype=np.bool_)
        assert table == {
            (query, item): estimate_background(one, other, own=own)
            for query, one in ((Modality.TEXT, texts), (Modality.IMAGE, pictures))
            for item, other in ((Modality.TEXT, texts), (Modality.IMAGE, pictures))
        }

    def test_vectors_of_one_item_are_a_match(self) -> None:
        """A picture that equals its own text changes nothing; another item's equal picture does."""
        texts, pictures = cone(1, 100, 0.0), cone(2, 100, 0.0)
        pictures[:30] = texts[:30]

        def spread(prefix: str) -> float:
            items = {Modality.TEXT: sample(texts), Modality.IMAGE: sample(pictures, prefix)}
            return estimate_table(items, {}, {})[Modality.TEXT, Modality.IMAGE].std

        assert spread("i") < spread("other-")

    def test_what_people_ask_with_counts_more_than_items_do(self) -> None:
        """Short questions lie elsewhere than the long texts that stand in for them."""
        texts, asked = cone(1, 500, 0.9), cone(2, 500, 0.0)
        prior = {(Modality.TEXT, Modality.TEXT): Background(mean=0.0, std=0.1)}
        items = {Modality.TEXT: sample(texts)}

        cautious = estimate_table(items, {}, prior)[Modality.TEXT, Modality.TEXT].mean
        informed = estimate_table(items, {Modality.TEXT: asked}, prior)[Modality.TEXT, Modality.TEXT].mean

        found, real = (
            estimate_background(texts, texts, own=np.eye(500, dtype=np.bool_)),
            estimate_background(asked, texts),
        )
        assert found is not None
        assert real is not None
        assert cautious == pytest.approx(found.mean * 500 / (500 + STAND_IN_PRIOR))
        assert informed == pytest.approx((real.mean * 500 + cautious * 100) / 600)

    def test_what_is_not_sampled_keeps_its_prior(self) -> None:
        """And a pair of which nothing is known stays unknown."""
        prior = {(Modality.AUDIO, Modality.AUDIO): PRIOR, (Modality.AUDIO, Modality.TEXT): PRIOR}

        table = estimate_table({Modality.TEXT: sample(cone(1, 50, 0.3))}, {}, prior)

        assert table.keys() == prior.keys() | {(Modality.TEXT, Modality.TEXT)}
        assert [table[pair] for pair in prior] == [PRIOR, PRIOR]
