"""What fusion learns from is what a query worker would see."""

import json
from dataclasses import replace

import numpy as np
import pytest

from config.settings import QuerySettings, Settings
from config.vocabulary import Background, ItemId, Modality, Similarity, Version
from encoders.base import DimensionWeights, EncoderSet
from encoders.registry import load_encoders
from fusion.index.memory_index import MemoryVectorIndex
from fusion.index.protocol import Item
from tests.unit.workers.relevance.logs import query_event
from workers.contracts.query import Query
from workers.relevance.features import FeatureReader
from workers.relevance.judged import Judged

PAIR = (Modality.TEXT, Modality.TEXT)
PLAIN, WEIGHTED = Background(mean=0.1, std=0.2), Background(mean=0.05, std=0.4)


@pytest.fixture
def encoders() -> EncoderSet:
    """The encoders of tests, with weights per dimension that drop the later half."""
    loaded = load_encoders(Settings.model_validate({"model": {"profile": "deterministic"}}).model)
    values = np.repeat([1.0, 0.0], loaded.dims // 2)
    learnt = DimensionWeights(values=values, calibration={PAIR: WEIGHTED})
    return replace(loaded, calibration={PAIR: PLAIN}, dimension_weights=learnt)


@pytest.mark.parametrize("similarity", [Similarity.COSINE, Similarity.WEIGHTED_COSINE])
async def test_deviations_are_of_the_similarity_that_is_asked_for(encoders: EncoderSet, similarity: Similarity) -> None:
    """Weighted cosines use the model's weights per dimension and the backgrounds measured with them."""
    index = MemoryVectorIndex(encoders.model, encoders.dims)
    rows = np.random.default_rng(2).standard_normal((6, encoders.dims)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    await index.write(
        [
            Item(item_id=ItemId(f"i{n}"), version=Version(1, n), vectors={Modality.TEXT: row})
            for n, row in enumerate(rows)
        ]
    )
    query = Query.model_validate_json(json.dumps(query_event("q", "cat")))
    judged = Judged(query=query, gains={ItemId("i0"): 1.0}, group="text")
    settings = Settings(query=QuerySettings(similarity=similarity))

    async with FeatureReader(settings, encoders, index) as reader:
        (example,), left_out = await reader.examples([judged])
        (part,), _ = await reader._parts.encode(query)

    asked, kept = part.vector.astype(np.float64), encoders.dims // 2
    if similarity is Similarity.WEIGHTED_COSINE:
        asked, rows, background = asked[:kept], rows[:, :kept], WEIGHTED
    else:
        background = PLAIN
    cosines = rows @ asked / np.linalg.norm(rows, axis=1) / np.linalg.norm(asked)
    expected = np.sort((cosines - background.mean) / background.std)
    place = example.modalities.index(Modality.TEXT)
    assert left_out == 0
    np.testing.assert_allclose(np.sort(example.deviations[0, place]), expected, atol=1e-5)
