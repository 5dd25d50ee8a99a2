"""How often the served top 10 is the exact top 10: the built-in corpus, Redis against scoring every item.

Run: ``.venv/bin/python benchmarks/agreement.py [--queries 500] [--shards 1 2 4]``

Both sides see the same vectors and the same fusion. The oracle proposes every item to every query, so nothing that a
search may miss is missing there. A place agrees when both rankings have the same item at it.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import SecretStr
from rich.console import Console
from rich.progress import track

from config.settings import MediaSettings, ModelSettings, RedisSettings
from config.vocabulary import FusionStrategy, ItemId, Modality, Version
from encoders.base import EncoderInput, TextInput, Vector
from encoders.batching import DeviceBatcher
from encoders.builtin.corpus import Corpus
from encoders.media.audio import decode_audio
from encoders.media.image import decode_image
from encoders.registry import load_encoders
from fusion.answer import answer
from fusion.index.memory_index import MemoryVectorIndex
from fusion.index.protocol import Item, Neighbour, SearchReport, VectorIndex, VectorSearch
from fusion.index.redis_index import RedisVectorIndex
from fusion.request import QueryPart, Ranking, RankingRequest
from workers.operate.embedded import EmbeddedRedis

CHUNK = 64
LANGUAGES = ("name", "name_zh", "name_es", "name_de", "name_fr", "name_ja")
STRATEGIES = (FusionStrategy.WEIGHTED_MEAN, FusionStrategy.ATTENTION, FusionStrategy.MAX, FusionStrategy.RRF)


class EverythingIndex(MemoryVectorIndex):
    """Proposes every item to every search."""

    async def search(self, searches: Sequence[VectorSearch]) -> SearchReport:
        """All ids, in one list; ``answer`` scores them all."""
        ids = await self.scan_ids(1_000_000)
        return SearchReport(neighbours=[[Neighbour(item_id=item_id, cosine=0.0) for item_id in ids]])


async def embed(batcher: DeviceBatcher, inputs: Sequence[tuple[Modality, EncoderInput]], what: str) -> list[Vector]:
    """Encode all inputs, in order; any refusal ends the benchmark."""
    vectors: list[Vector] = []
    for start in track(range(0, len(inputs), CHUNK), description=what):
        for outcome in await batcher.encode_many(inputs[start : start + CHUNK]):
            if isinstance(outcome, Exception):
                raise outcome
            vectors.append(outcome)
    return vectors


def inputs_of(corpus: Corpus) -> list[tuple[Modality, EncoderInput]]:
    """Every item's text, picture and sound, decoded."""
    media = MediaSettings()
    found: list[tuple[Modality, EncoderInput]] = []
    for item in corpus.items.values():
        found.append((Modality.TEXT, TextInput(text=item.text, language="en")))
        found.append((Modality.IMAGE, decode_image(corpus.media(item.item_id, "image"), media)))
        found.append((Modality.AUDIO, decode_audio(corpus.media(item.item_id, "audio"), media)))
    return found


async def questions(corpus: Corpus, items: Sequence[Item], batcher: DeviceBatcher, count: int) -> list[RankingRequest]:
    """Names in six languages, pictures, spoken names and pairs of these, one part in eight negative."""
    rng = np.random.default_rng(0)
    everything = list(corpus.items.values())
    chosen = [everything[place] for place in rng.integers(len(everything), size=count)]
    names = [str(item.attributes.get(LANGUAGES[n % len(LANGUAGES)], item.name)) for n, item in enumerate(chosen)]
    texts = await embed(batcher, [(Modality.TEXT, TextInput(text=name)) for name in names], "questions")
    made = []
    for number, vector in enumerate(texts):
        parts = [QueryPart(modality=Modality.TEXT, vector=vector)]
        other = items[int(rng.integers(len(items)))]
        modality = (Modality.IMAGE, Modality.AUDIO)[number % 2]
        if number % 4 == 1:
            parts = [QueryPart(modality=modality, vector=other.vectors[modality])]
        elif number % 4 == 2:
            weight = -0.5 if number % 8 == 2 else 0.7
            parts.append(QueryPart(modality=modality, vector=other.vectors[modality], weight=weight))
        made.append(RankingRequest(parts=tuple(parts), strategy=STRATEGIES[number % len(STRATEGIES)]))
    return made


def agreeing(one: Ranking, other: Ranking) -> int:
    """Places of the first ranking at which the second has the same item."""
    return sum(a.item_id == b.item_id for a, b in zip(one.hits, other.hits, strict=False))


async def fill(index: VectorIndex, items: Sequence[Item], what: str) -> None:
    """Write all items."""
    for start in track(range(0, len(items), CHUNK), description=what):
        await index.write(items[start : start + CHUNK])


async def measure(queries: int, shard_counts: Sequence[int], folder: Path) -> None:
    """Build both sides, ask them the same, print the agreement for each number of shards."""
    encoders = load_encoders(ModelSettings())
    batcher = DeviceBatcher(encoders, ModelSettings())
    corpus = Corpus()
    vectors = await embed(batcher, inputs_of(corpus), "encoding")
    kinds = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)
    items = [
        Item(
            item_id=ItemId(item_id),
            version=Version(0, place),
            vectors=dict(zip(kinds, vectors[3 * place : 3 * place + 3], strict=True)),
        )
        for place, item_id in enumerate(corpus.items)
    ]
    asked = await questions(corpus, items, batcher, queries)
    oracle = EverythingIndex(encoders.model, encoders.dims, kinds)
    await fill(oracle, items, "oracle")
    truths = [await answer(one, oracle, encoders.calibration) for one in track(asked, description="oracle")]
    for shards in shard_counts:
        with EmbeddedRedis(folder) as server:
            settings = RedisSettings(url=SecretStr(server.url), shards=shards)
            index = RedisVectorIndex(settings, encoders.model, encoders.dims, kinds)
            await fill(index, items, f"{shards} shards")
            served = [await answer(one, index, encoders.calibration) for one in track(asked, description="asking")]
            await index.close()
        places = sum(len(truth.hits) for truth in truths)
        same = sum(map(agreeing, truths, served))
        whole = sum(agreeing(t, s) == len(t.hits) for t, s in zip(truths, served, strict=True))
        Console().print(
            f"{shards} shards: {same} of {places} places agree ({same / places:.2%}); "
            f"{whole} of {queries} rankings are equal; {len(items)} items"
        )
    await batcher.close()


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2, 4])
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(wanted.queries, wanted.shards, Path(folder)))


if __name__ == "__main__":
    main()
