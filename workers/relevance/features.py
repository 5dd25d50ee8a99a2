"""From judged queries, or clicks, to what fusion learns from: the similarities of what a search finds for them."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final, Self

import numpy as np

from config.errors import Misconfigured
from config.settings import Settings
from config.vocabulary import Calibration, FusionStrategy, ItemId, Modality, QueryKind
from encoders.base import EncoderSet
from encoders.batching import DeviceBatcher
from fusion.candidates import Candidates, assemble, found_ids, plan_searches
from fusion.index.protocol import VectorIndex
from fusion.learning.examples import Example
from fusion.request import RankingRequest
from fusion.scoring import backgrounds_of
from fusion.scoring_batch import Question, recipe_of, scores_of
from workers.relevance.judged import Judged
from workers.streams.fetch import MediaFetcher
from workers.streams.inputs import InputReader, StageError
from workers.streams.query_parts import PartEncoder
from workers.streams.query_request import backgrounds_known, ranking_request, searched

TOGETHER: Final = 32
FEWEST_OTHERS: Final = 1
"""A query whose every candidate is relevant teaches nothing."""


class FeatureReader:
    """Reads examples; use as ``async with``.

    Args:
        settings: Of queries and media.
        encoders: Of the index's model.
        index: Where items are; only read.
    """

    def __init__(self, settings: Settings, encoders: EncoderSet, index: VectorIndex) -> None:
        self._settings = settings
        self._encoders = encoders
        self._index = index
        self._modalities = sorted(index.modalities)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open what fetches and encodes."""
        batcher = DeviceBatcher(self._encoders, self._settings.model)
        self._stack.push_async_callback(batcher.close)
        fetcher = await self._stack.enter_async_context(MediaFetcher(self._settings.media))
        reader = InputReader(fetcher, self._settings.media, self._encoders.modalities)
        self._stack.callback(reader.close)
        self._parts = PartEncoder(batcher, reader)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it again."""
        await self._stack.aclose()

    async def examples(
        self, judged: Sequence[Judged], advance: Callable[[int], object] = lambda _: None
    ) -> tuple[list[Example], int]:
        """Read every query's example.

        Returns:
            The examples, and how many queries had nothing to learn from: none of their relevant items is indexed, or
            nothing else is.

        Raises:
            Misconfigured: A query cannot be encoded, or is no search.
        """
        found: list[Example] = []
        for one in judged:
            example = await self._example(one)
            found += [] if example is None else [example]
            advance(1)
        return found, len(judged) - len(found)

    async def _example(self, judged: Judged) -> Example | None:
        request = await self._request(judged)
        candidates = await self._candidates(request, list(judged.gains))
        gains = np.array([judged.gains.get(item_id, 0.0) for item_id in candidates.ids], np.float32)
        if not gains.any() or (gains <= 0).sum() < FEWEST_OTHERS:
            return None
        backgrounds = backgrounds_of(request, self._modalities, self._known(request), self._index.dims)
        question = Question(request, candidates, backgrounds)
        block = scores_of([question], recipe_of(request, self._modalities))
        return Example(
            group=judged.group,
            modalities=tuple(self._modalities),
            part_modalities=tuple(part.modality for part in request.parts),
            part_weights=np.array([part.weight for part in request.parts], np.float32),
            deviations=block.deviations[0].astype(np.float32),
            present=candidates.present,
            gains=gains,
        )

    async def _request(self, judged: Judged) -> RankingRequest:
        query = judged.query
        if query.kind is not QueryKind.SEARCH:
            raise Misconfigured(f"{query.query_id} is a {query.kind} query: fusion learns from searches with parts")
        try:
            parts, unused = await self._parts.encode(query)
        except StageError as exc:
            raise Misconfigured(f"{query.query_id}: {exc.error}") from exc
        if unused:
            raise Misconfigured(*[f"{query.query_id}: {each}" for each in unused])
        search_in, _ = searched(query, self._encoders.modalities, self._encoders.model)
        learnt = self._encoders.dimension_weights
        request = ranking_request(query, parts, search_in, self._settings.query, learnt=learnt)
        # Candidates are those of the weighted mean: which rule ranks them is what is to be learned.
        return replace(request, strategy=FusionStrategy.WEIGHTED_MEAN, weights={}, personalise=0.0)

    def _known(self, request: RankingRequest) -> Calibration:
        return backgrounds_known(request, self._encoders.calibration, self._encoders.dimension_weights)

    async def _candidates(self, request: RankingRequest, relevant: Sequence[ItemId]) -> Candidates:
        searched_in = sorted(request.search_in or self._modalities)
        backgrounds = backgrounds_of(request, searched_in, self._known(request), self._index.dims)
        report = await self._index.search(plan_searches(request, searched_in, backgrounds))
        items = await self._index.fetch(list({*found_ids(report, request), *relevant}))
        seen = {
            item_id: replace(item, vectors={each: row for each, row in item.vectors.items() if each in searched_in})
            for item_id, item in items.items()
            if not item.vectors.keys().isdisjoint(searched_in)
        }
        return assemble(seen, self._modalities, self._index.dims)


def shared_out(examples: Sequence[Example], *, together: bool) -> list[Example]:
    """Scale gains: to a sum of 1 a query, or, for clicks, to a mean sum of 1 that leaves queries their difference."""
    sums = np.array([float(example.gains.sum()) for example in examples])
    scales = np.full(len(sums), sums.mean()) if together else sums
    return [
        replace(example, gains=(example.gains / scale).astype(np.float32))
        for example, scale in zip(examples, scales, strict=True)
    ]


def held_back(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Part examples into those that teach and those that choose."""
    order = np.random.default_rng(seed).permutation(len(examples))
    count = max(1, round(share * len(examples)))
    chosen = set(order[:count].tolist())
    return (
        [example for place, example in enumerate(examples) if place not in chosen],
        [example for place, example in enumerate(examples) if place in chosen],
    )


def modalities_shown(examples: Sequence[Example]) -> list[Modality]:
    """Modalities that any candidate has, for the card."""
    shown = {
        modality
        for example in examples
        for modality, row in zip(example.modalities, example.present, strict=True)
        if row.any()
    }
    return sorted(shown)
