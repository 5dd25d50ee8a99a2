"""One list of texts, pictures and sounds: does calibration rank it by meaning instead of by modality?

Run: ``.venv/bin/python benchmarks/mixed_modalities.py [--every 4] [--category flags] [--json]``

The built-in corpus with every modality of a concept as an item of its own. A text query is a concept's name; a picture
or sound asks with itself and is not counted as found. Relevant are the items of the concept. Compared: the raw cosine,
the calibration that ships, and what the query worker measures on this very list: before anything was asked, after some
hundred queries, and for a model that ships with no calibration. The samples are of other concepts than those that ask.
"""

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from config.settings import MediaSettings, ModelSettings
from config.vocabulary import Background, ItemId, Modality
from encoders.alignment.relevance import score_relevance
from encoders.base import EncoderInput, TextInput
from encoders.batching import DeviceBatcher
from encoders.builtin.corpus import Corpus, Item
from encoders.media.audio import decode_audio
from encoders.media.image import decode_image
from encoders.registry import load_encoders
from fusion.background import estimate_table
from fusion.calibration import background_of, calibrate
from fusion.index.calibration import QUERIES_KEPT
from fusion.index.protocol import VectorSample
from workers.streams.calibration import SAMPLE

MODALITIES = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)
CHUNK = 64
TOP = 10

Vectors = NDArray[np.float32]
Table2 = Mapping[tuple[Modality, Modality], Background]


async def embed(batcher: DeviceBatcher, inputs: Sequence[tuple[Modality, EncoderInput]], what: str) -> Vectors:
    """Encode all inputs in order; any refusal ends the benchmark."""
    vectors = []
    with Progress(console=Console(stderr=True)) as progress:
        for start in progress.track(range(0, len(inputs), CHUNK), description=what):
            for outcome in await batcher.encode_many(inputs[start : start + CHUNK]):
                if isinstance(outcome, Exception):
                    raise outcome
                vectors.append(outcome)
    return np.stack(vectors)


async def load(every: int, category: str | None = None) -> tuple[dict[Modality, Vectors], Vectors, Table2]:
    """Embed every so-many-th concept, of one category or all: items by modality, names, the shipped calibration."""
    encoders = load_encoders(ModelSettings())
    corpus, media = Corpus(), MediaSettings()
    concepts = [one for one in corpus.items.values() if category in (None, one.attributes["category"])][::every]

    def inputs(modality: Modality, item: Item) -> EncoderInput:
        if modality is Modality.TEXT:
            return TextInput(text=item.text, language="en")
        if modality is Modality.IMAGE:
            return decode_image(corpus.media(item.item_id, "image"), media)
        return decode_audio(corpus.media(item.item_id, "audio"), media)

    batcher = DeviceBatcher(encoders, ModelSettings())
    try:
        items = {
            modality: await embed(batcher, [(modality, inputs(modality, one)) for one in concepts], str(modality))
            for modality in MODALITIES
        }
        names = [(Modality.TEXT, TextInput(text=one.name, language="en")) for one in concepts]
        return items, await embed(batcher, names, "names"), encoders.calibration
    finally:
        await batcher.close()


def measured(items: Mapping[Modality, Vectors], asked: Mapping[Modality, Vectors], prior: Table2) -> Table2:
    """Backgrounds from the odd concepts, as the query worker measures them; the even ones ask."""
    rng = np.random.default_rng(1)
    odd = np.arange(1, len(items[Modality.TEXT]), 2)
    samples = {}
    for modality, vectors in items.items():
        chosen = rng.permutation(odd)[:SAMPLE]
        ids = tuple(ItemId(str(place)) for place in chosen)
        samples[modality] = VectorSample(item_ids=ids, vectors=vectors[chosen])
    recent = {modality: vectors[rng.permutation(odd)[:QUERIES_KEPT]] for modality, vectors in asked.items()}
    return estimate_table(samples, recent, prior)


def measure(
    items: Mapping[Modality, Vectors], queries: Mapping[Modality, Vectors], table: Table2 | None
) -> dict[str, Any]:
    """Scores by query modality over one list of all items; ``table`` None ranks by the raw cosine."""
    concepts, dims = items[Modality.TEXT].shape
    asking = np.arange(0, concepts, 2)
    report: dict[str, Any] = {}
    for modality in MODALITIES:
        blocks, gains, kinds = [], [], []
        for target in MODALITIES:
            cosines = (queries[modality][asking] @ items[target].T).astype(np.float64)
            if table is not None:
                cosines = calibrate(cosines[None], [background_of(table, modality, target, dims)])[0]
            relevant = np.eye(concepts)[asking]
            if target is modality and modality is not Modality.TEXT:  # asks with itself
                cosines, relevant = np.where(relevant > 0, cosines.min() - 1.0, cosines), np.zeros_like(relevant)
            blocks.append(cosines)
            gains.append(relevant)
            kinds += [target] * concepts
        values = np.concatenate(blocks, axis=1)
        top = np.argsort(-values, axis=1, kind="stable")[:, :TOP]
        shares = {str(m): float(np.mean(np.array(kinds)[top] == m)) for m in MODALITIES}
        report[str(modality)] = {**asdict(score_relevance(values, np.concatenate(gains, axis=1))), "share": shares}
    report["mean_ndcg_at_10"] = float(np.mean([report[str(m)]["ndcg_at_10"] for m in MODALITIES]))
    return report


def show(reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the table."""
    table = Table(title="texts, pictures and sounds in one list", title_justify="left")
    for name in ("ranked by", "query"):
        table.add_column(name)
    for name in ("nDCG@10", "mAP", "R@1", "R@10", "texts", "pictures", "sounds"):
        table.add_column(name, justify="right")
    for how, report in reports.items():
        for modality in MODALITIES:
            one = report[str(modality)]
            numbers = [one[key] for key in ("ndcg_at_10", "mean_average_precision", "recall_at_1", "recall_at_10")]
            shares = [f"{one['share'][str(m)]:.0%}" for m in MODALITIES]
            table.add_row(how, str(modality), *[f"{number:.3f}" for number in numbers], *shares)
        table.add_row(how, "mean", f"{report['mean_ndcg_at_10']:.3f}")
        table.add_section()
    Console(width=110).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=4, help="take every so-many-th concept; 1 for all")
    parser.add_argument("--category", help="take the concepts of one category: a collection of one kind of thing")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    wanted = parser.parse_args()
    items, names, shipped = asyncio.run(load(wanted.every, wanted.category))
    queries = {**items, Modality.TEXT: names}
    tables: dict[str, Table2 | None] = {
        "raw cosine": None,
        "shipped": shipped,
        "measured": measured(items, {}, shipped),
        "and asked": measured(items, queries, shipped),
        "no prior": measured(items, {}, {}),
    }
    reports = {how: measure(items, queries, table) for how, table in tables.items()}
    if wanted.json:
        print(json.dumps(reports, indent=2))
    else:
        show(reports)


if __name__ == "__main__":
    main()
