"""Queries over the built-in corpus: parted by concept, ambiguous by one part, the same for the same seed."""

import numpy as np
import pytest

from config.vocabulary import Background, FusionStrategy, Modality, ModelRef
from fusion.attention_weights import shipped_weights
from fusion.learning.options import FusionOptions
from fusion.learning.train import train_fusion
from tests.unit.workers.relevance.tiny_emoji import COUNT, tiny_emoji
from workers.relevance.emoji_collection import EmojiCollection, projected
from workers.relevance.emoji_queries import FOLDS, GROUPS, PRESENT, EmojiQueries
from workers.relevance.fusion_evaluation import ATTENTION, best_single, measure_groups, summary
from workers.relevance.fusion_tables import fusion_tables

MODEL = ModelRef("tiny", "1")


@pytest.fixture(scope="module")
def collection() -> EmojiCollection:
    """The tiny corpus, its backgrounds estimated."""
    return EmojiCollection.of(tiny_emoji(), MODEL)


def test_folds_part_the_concepts(collection: EmojiCollection) -> None:
    """Every concept trains, chooses or measures, and none does two of it."""
    folds = [set(collection.queries.fold(name).tolist()) for name in FOLDS]

    assert set.union(*folds) == set(range(COUNT))
    assert sum(map(len, folds)) == COUNT


def test_queries_have_the_parts_of_their_group(collection: EmojiCollection) -> None:
    """Modalities and signs; something is wanted, and targets are of the fold."""
    drawn = collection.queries.draw("test", 5, seed=1)
    fold = set(collection.queries.fold("test").tolist())

    assert len(drawn) == 5 * len(GROUPS)
    for query in drawn:
        assert [(modality, np.sign(weight)) for modality, weight, _ in query.parts] == list(GROUPS[query.group])
        assert all(np.isfinite(vector).all() for _, _, vector in query.parts)
        assert fold & set(np.flatnonzero(query.gains).tolist())


def test_what_is_steered_away_from_is_not_wanted(collection: EmojiCollection) -> None:
    """A keyword without a kind: the wanted share the keyword, and none is of the kind that the negative part shows."""
    concepts = collection.vectors.concepts
    for query in collection.queries.draw("train", 10, seed=2):
        if query.group != "text - text":
            continue
        wanted = [concepts[place] for place in np.flatnonzero(query.gains)]
        away = np.argmax(collection.vectors.names["en"] @ query.parts[1][2])
        assert len({concept.keywords["en"] for concept in wanted}) == 1
        assert concepts[away].keywords["en"] == wanted[0].keywords["en"]
        assert all(concept.subgroup != concepts[away].subgroup for concept in wanted)


def test_the_same_seed_draws_the_same() -> None:
    """And another seed other queries."""
    one, same, other = (EmojiQueries(tiny_emoji()).draw("test", 3, seed) for seed in (1, 1, 2))

    for mine, yours in zip(one, same, strict=True):
        np.testing.assert_array_equal(mine.gains, yours.gains)
    assert any((mine.gains != yours.gains).any() for mine, yours in zip(one, other, strict=True))


def test_items_lack_modalities_but_never_all(collection: EmojiCollection) -> None:
    """About as many as is said."""
    present = collection.queries.present()

    assert present.any(axis=0).all()
    assert present.mean() == pytest.approx(np.mean(list(PRESENT.values())), abs=0.1)


def test_training_sees_the_items_of_its_own_fold(collection: EmojiCollection) -> None:
    """With all that they have; those that choose see everything, as it lacks modalities."""
    training, validation = collection.examples("train", 2, 0), collection.examples("validation", 2, 0)

    assert {len(example.gains) for example in training} == {len(collection.queries.fold("train"))}
    assert all(example.present.all() for example in training)
    assert {len(example.gains) for example in validation} == {COUNT}
    assert not all(example.present.all() for example in validation)
    assert [example.gains.sum() for example in training] == pytest.approx([1.0] * len(training))


def test_estimated_backgrounds_are_those_of_what_does_not_match(collection: EmojiCollection) -> None:
    """Every pair has one; a weaker model's are its own."""
    weaker = EmojiCollection.of(projected(tiny_emoji(), 6, seed=0), ModelRef("weak", "1"))

    assert set(collection.calibration) == {(query, item) for query in PRESENT for item in PRESENT}
    pair = (Modality.TEXT, Modality.TEXT)
    assert weaker.calibration[pair].std > collection.calibration[pair].std


def test_a_given_calibration_is_kept() -> None:
    """That of the built-in model, for the built-in model."""
    given = {(query, item): Background(mean=0.1, std=0.2) for query in PRESENT for item in PRESENT}

    assert EmojiCollection.of(tiny_emoji(), MODEL, given).calibration == given


class TestMeasuring:
    """The report, on the tiny corpus."""

    def test_singles_are_single(self, collection: EmojiCollection) -> None:
        """An item's modality alone ranks as a search in it alone does."""
        queries = [query for query in collection.queries.draw("test", 4, 3) if query.group == "text + image"]
        values = measure_groups(collection, queries, shipped_weights().unnamed())["text + image"]

        assert {"text part", "image part", "items' text", "text part → image"} <= values.keys()
        assert {strategy.value for strategy in FusionStrategy} <= values.keys()
        assert best_single(values) not in {strategy.value for strategy in FusionStrategy}
        assert all(len(one["ndcg_at_10"]) == 4 for one in values.values())

    def test_trained_weights_beat_the_mean_where_it_can_be_beaten(self, collection: EmojiCollection) -> None:
        """Also in small: attention leads by its interval's lower end, and the report says so."""
        options = FusionOptions(
            steps=120, every=40, hidden=8, batch=16, learning_rate=0.03, modalities_dropped=0.5, names_dropped=0
        )
        training, validation = collection.examples("train", 40, 1), collection.examples("validation", 15, 2)
        weights = train_fusion(training, validation, options, MODEL)
        report = summary(measure_groups(collection, collection.queries.draw("test", 30, 9), weights))

        assert report["gains"]["rrf"]["low"] > 0
        assert report["mean"][ATTENTION] > report["mean"]["weighted_mean"]
        whole = {"model": "tiny@1", "fusion_weights": "w", "queries_a_group": 30, **report, "other_models": {}}
        assert all(table.row_count or table.title.startswith("the same") for table in fusion_tables(whole))
