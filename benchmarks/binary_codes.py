"""What sign codes cost and save: the built-in model's vectors as bits, by themselves and before exact scoring.

Run: ``.venv/bin/python benchmarks/binary_codes.py [--held-out] [--cache DIR] [--json]``

Codes are compared by Hamming distance: signs around 0, and signs around each modality's mean, which the shipped corpus
gives. Then as a first search whose best hundred are scored exactly, which is what a worker does with what Redis
proposes. Redis' vector sets are asked the same under each ``redis.quantisation``: how many of the exact ten they
propose among ten and among a hundred, and the bytes of a vector with its graph.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import redis
from numpy.typing import NDArray
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from config.settings import ModelSettings, RedisSettings, Settings
from config.vocabulary import ItemId, Modality, Version
from encoders.alignment.codes import hamming_similarity, to_codes
from encoders.alignment.sightings import Compare, Sightings, inner_product, judge_sightings, sight, thin
from encoders.base import EncoderSet
from encoders.builtin.training.packages import DEFAULT_CACHE
from encoders.registry import load_encoders
from fusion.index.layout import Keys
from fusion.index.protocol import Item, VectorSearch
from fusion.index.redis_index import RedisVectorIndex
from workers.operate.collection import from_corpus, from_unseen, sighted
from workers.operate.embedded import EmbeddedRedis
from workers.operate.measuring import encode, encode_questions

PAIRS = (
    (Modality.TEXT, Modality.IMAGE),
    (Modality.AUDIO, Modality.IMAGE),
    (Modality.IMAGE, Modality.TEXT),
    (Modality.TEXT, Modality.AUDIO),
)
RESCORED = 100
TOP = 10
CHUNK = 128
QUANTISATIONS = ("NOQUANT", "Q8", "BIN")

Vectors = NDArray[np.float32]
Sides = tuple[Mapping[Modality, Sightings], Mapping[Modality, Sightings]]


def load(cache: Path, *, held_out: bool) -> tuple[EncoderSet, Sides, dict[Modality, Vectors]]:
    """The encoders, who asks and what is searched, and each modality's mean over the shipped corpus."""
    settings = Settings(model=ModelSettings())
    encoders = load_encoders(settings.model)
    corpus = from_corpus()
    shipped = encode(corpus, encoders, settings, cache, whole_clips=True)
    means = {m: each.vectors.mean(axis=0) for m, each in sight(shipped.features).items()}
    collection = from_unseen(cache) if held_out else corpus
    read = encode(collection, encoders, settings, cache, whole_clips=True) if held_out else shipped
    both = sighted(collection, read.features, encode_questions(collection, encoders, settings, cache))
    return encoders, (both.queries, both.items), means


def hamming(queries: Vectors, items: Vectors) -> NDArray[np.floating]:
    """Share of equal signs."""
    return hamming_similarity(to_codes(queries), to_codes(items), queries.shape[1])


def rescored(queries: Vectors, items: Vectors, means: tuple[Vectors, Vectors]) -> NDArray[np.floating]:
    """Cosines of the hundred nearest codes; all others below them."""
    codes = hamming(queries - means[0], items - means[1])
    near = np.argpartition(-codes, RESCORED, axis=1)[:, :RESCORED]
    cosines = np.full(codes.shape, -2.0, np.float32)
    np.put_along_axis(cosines, near, np.take_along_axis(queries @ items.T, near, axis=1), axis=1)
    return cosines


def measure(sides: Sides, means: Mapping[Modality, Vectors], dims: int) -> dict[str, Any]:
    """Scores by pair and way."""
    report: dict[str, Any] = {}
    for query, item in PAIRS:
        asked, searched = thin(sides[0][query]), sides[1][item]
        centres = (means[query], means[item])
        around = [
            replace(one, vectors=one.vectors - mean) for one, mean in zip((asked, searched), centres, strict=True)
        ]

        def second(queries: Vectors, items: Vectors, means: tuple[Vectors, Vectors] = centres) -> NDArray[np.floating]:
            return rescored(queries, items, means)

        ways: dict[str, tuple[Sightings, Sightings, Compare, int]] = {
            "float32, cosine": (asked, searched, inner_product, 4 * dims),
            "signs, Hamming": (asked, searched, hamming, dims // 8),
            "signs around the mean, Hamming": (around[0], around[1], hamming, dims // 8),
            f"the same, best {RESCORED} scored exactly": (asked, searched, second, dims // 8),
        }
        for way, (left, right, compare, size) in ways.items():
            score = judge_sightings(left, right, compare).summary()
            if score is not None:
                report.setdefault(way, {"bytes": size})[f"{query}>{item}"] = asdict(score)
    return report


async def ask_redis(encoders: EncoderSet, sides: Sides, folder: Path) -> dict[str, Any]:
    """Share of the exact ten that each kind of vector set proposes, and its bytes a vector."""
    asked, searched = thin(sides[0][Modality.TEXT]).vectors, sides[1][Modality.IMAGE].vectors
    exact = np.argsort(-(asked @ searched.T), axis=1, kind="stable")[:, :TOP]
    report: dict[str, Any] = {}
    for kind in QUANTISATIONS:
        with EmbeddedRedis(folder / kind) as server:
            settings = RedisSettings.model_validate({"url": SecretStr(server.url), "quantisation": kind})
            index = RedisVectorIndex(settings, encoders.model, encoders.dims, (Modality.IMAGE,))
            await _fill(index, searched)
            found = [
                ids
                for start in range(0, len(asked), CHUNK)
                for ids in await _propose(index, asked[start : start + CHUNK])
            ]
            with redis.Redis.from_url(server.url) as client:
                key = Keys(settings.prefix, settings.shards, encoders.model).vectors(0, Modality.IMAGE)
                size = int(client.memory_usage(key, samples=0) or 0)  # type: ignore[arg-type]
            await index.close()
        report[kind] = {
            "among_10": _shared(found, exact, TOP),
            "among_100": _shared(found, exact, RESCORED),
            "bytes": round(size / len(searched)),
        }
    return report


async def _fill(index: RedisVectorIndex, vectors: Vectors) -> None:
    for start in range(0, len(vectors), CHUNK):
        rows = range(start, min(start + CHUNK, len(vectors)))
        await index.write(
            [Item(item_id=ItemId(str(n)), version=Version(1, n), vectors={Modality.IMAGE: vectors[n]}) for n in rows]
        )


async def _propose(index: RedisVectorIndex, vectors: Vectors) -> list[list[int]]:
    searches = [VectorSearch(target=Modality.IMAGE, vector=vector, count=RESCORED) for vector in vectors]
    report = await index.search(searches)
    return [[int(neighbour.item_id) for neighbour in neighbours] for neighbours in report.neighbours]


def _shared(found: list[list[int]], exact: NDArray[np.int64], count: int) -> float:
    pairs = zip(found, exact.tolist(), strict=True)
    return float(np.mean([len(set(proposed[:count]) & set(best)) / TOP for proposed, best in pairs]))


def show(report: Mapping[str, Any]) -> None:
    """Print both tables."""
    table = Table(title=f"{report['model']}, {report['title']}: recall@10 / nDCG@10", title_justify="left")
    table.add_column("vectors")
    table.add_column("bytes", justify="right")
    for query, item in PAIRS:
        table.add_column(f"{query} → {item}", justify="right")
    for way, one in report["codes"].items():
        scores = [one[f"{query}>{item}"] for query, item in PAIRS]
        table.add_row(way, f"{one['bytes']:,}", *(f"{s['recall_at_10']:.3f} / {s['ndcg_at_10']:.3f}" for s in scores))
    Console(width=140).print(table)
    table = Table(
        title="Redis vector sets, text → image: share of the exact ten that is proposed", title_justify="left"
    )
    for heading in ("redis.quantisation", "among 10", "among 100", "bytes a vector, with its graph"):
        table.add_column(heading, justify="right")
    for kind, one in report["redis"].items():
        table.add_row(kind, f"{one['among_10']:.3f}", f"{one['among_100']:.3f}", f"{one['bytes']:,}")
    Console(width=140).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held-out", action="store_true", help="on things never seen (needs the train extra)")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="folder for packages and vectors")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the tables")
    wanted = parser.parse_args()
    encoders, sides, means = load(wanted.cache, held_out=wanted.held_out)
    with tempfile.TemporaryDirectory() as folder:
        report = {
            "model": str(encoders.model),
            "title": "things never seen" if wanted.held_out else "the shipped corpus",
            "codes": measure(sides, means, encoders.dims),
            "redis": asyncio.run(ask_redis(encoders, sides, Path(folder))),
        }
    if wanted.json:
        print(json.dumps(report, indent=2))
    else:
        show(report)


if __name__ == "__main__":
    main()
