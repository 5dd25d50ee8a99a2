"""What do summaries show, and what do they cost?

Run: ``.venv/bin/python benchmarks/summaries.py [--trials 200] [--articles 64] [--seed 7]``

Shown: six groups of emoji (subgroups of the Unicode chart) are drawn, four items of each, and six pieces are asked
for. A good summary has one of each group. It is held against chance, against the most central pieces, and, where texts,
pictures and spoken names are asked for together, against a summary of each modality by itself.

Cost: texts and sounds are encoded with and without segments, and the processor time and the bytes are taken.
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np

from config.settings import ContentSettings, MediaSettings, ModelSettings
from config.vocabulary import ItemId, Modality, Version
from encoders.base import AudioInput, EncoderInput, EncoderSet, TextInput
from encoders.builtin.corpus import Corpus
from encoders.media.audio import decode_audio
from encoders.media.image import decode_image
from encoders.registry import load_encoders
from fusion.index.protocol import Item, Segment
from fusion.index.segment_layout import pack_segments, quantised
from fusion.segment_table import KINDS, SegmentTable
from fusion.summary import SummaryRequest, summarise
from workers.streams.inputs import Input
from workers.streams.segments import plan

MEDIA = MediaSettings()
GROUPS = 6
ITEMS_EACH = 4
RATE_HZ = 16_000
SENTENCES = (
    "The harbour of the small town wakes before the sun.",
    "Fishing boats come back with nets full of mackerel and squid.",
    "In the bakery behind the market the ovens have been hot since two in the morning.",
    "Children on their way to school buy warm rolls with sugar.",
    "Violins and cellos tune while the audience looks for its seats.",
    "The pianist plays a slow sonata, and nobody coughs.",
)


def encode(encoders: EncoderSet, modality: Modality, inputs: Sequence[EncoderInput]) -> np.ndarray:
    """Vectors (n, dims), in batches of 64."""
    encoder = encoders.encoders[modality]
    rows = [
        encoder.finish(encoder.forward([encoder.prepare(each) for each in inputs[start : start + 64]]))
        for start in range(0, len(inputs), 64)
    ]
    return np.concatenate(rows)


def corpus_items(encoders: EncoderSet) -> dict[str, list[Item]]:
    """The corpus by subgroup; each item has a passage, a picture and a sound."""
    corpus = Corpus()
    kept = list(corpus.items.values())
    inputs: dict[Modality, list[EncoderInput]] = {
        Modality.TEXT: [TextInput(text=item.text) for item in kept],
        Modality.IMAGE: [decode_image(corpus.media(item.item_id, "image"), MEDIA) for item in kept],
        Modality.AUDIO: [decode_audio(corpus.media(item.item_id, "audio"), MEDIA) for item in kept],
    }
    vectors = {modality: encode(encoders, modality, values) for modality, values in inputs.items()}
    groups: dict[str, list[Item]] = {}
    for place, item in enumerate(kept):
        made = Item(
            item_id=ItemId(item.item_id),
            version=Version(1, 0),
            vectors={modality: rows[place] for modality, rows in vectors.items()},
            segments=tuple(Segment(modality=kind, source=kind) for kind in KINDS),
        )
        groups.setdefault(str(item.attributes["subgroup"]), []).append(made)
    return groups


def only(item: Item, *kinds: Modality) -> Item:
    """The item with segments of these modalities alone."""
    segments = tuple(segment for segment in item.segments if segment.modality in kinds)
    return Item(item_id=item.item_id, version=item.version, vectors=item.vectors, segments=segments)


def shown_by_each(items: Sequence[Item], encoders: EncoderSet, rng: np.random.Generator) -> dict[str, list[ItemId]]:
    """The items whose pieces each way of choosing shows."""
    found = {"6 at random": [items[place].item_id for place in rng.permutation(len(items))[:GROUPS].tolist()]}
    none = {"passages": 0, "frames": 0, "sounds": 0}
    for kind, budget in zip(KINDS, none, strict=True):
        alone = [only(item, kind) for item in items]
        summary = summarise(alone, SummaryRequest(**{**none, budget: GROUPS}), encoders.calibration)  # type: ignore[arg-type]
        found[f"6 {budget}, summary"] = [each.item_id for each in summary.shown]
        table = SegmentTable.joined([SegmentTable.of(item, 1.0 / len(alone)) for item in alone])
        central = np.argsort(-table.likeness(encoders.calibration).sum(axis=0), kind="stable")[:GROUPS]
        found[f"6 {budget}, most central"] = [table.items[place].item_id for place in central.tolist()]
    two = SummaryRequest(passages=2, frames=2, sounds=2)
    found["2 of each, one objective"] = [each.item_id for each in summarise(items, two, encoders.calibration).shown]
    apart = [summarise([only(item, kind) for item in items], two, encoders.calibration) for kind in KINDS]
    found["2 of each, each by itself"] = [each.item_id for one in apart for each in one.shown]
    return found


def measure_choice(encoders: EncoderSet, trials: int, seed: int) -> None:
    """Print the share of groups that are shown, with 95 % intervals."""
    groups, rng = corpus_items(encoders), np.random.default_rng(seed)
    names = sorted(name for name, items in groups.items() if len(items) >= ITEMS_EACH)
    shares: dict[str, list[float]] = {}
    for _ in range(trials):
        drawn = {
            groups[name][place].item_id: (name, groups[name][place])
            for name in rng.choice(names, GROUPS, replace=False).tolist()
            for place in rng.permutation(len(groups[name]))[:ITEMS_EACH].tolist()
        }
        for what, shown in shown_by_each([item for _, item in drawn.values()], encoders, rng).items():
            shares.setdefault(what, []).append(len({drawn[each][0] for each in shown}) / GROUPS)
    for what, found in sorted(shares.items()):
        half = 1.96 * np.std(found) / np.sqrt(len(found))
        print(f"{what:28} {np.mean(found):.3f} ± {half:.3f} of six groups shown")


def measure_cost(encoders: EncoderSet, articles: int) -> None:
    """Print processor time and bytes of items with and without segments."""
    rng = np.random.default_rng(1)
    inputs: dict[str, list[EncoderInput]] = {
        "article of 12 sentences": [TextInput(text=" ".join(rng.choice(SENTENCES, 12))) for _ in range(articles)],
        "text of one sentence": [TextInput(text=SENTENCES[place % 6]) for place in range(articles)],
        "sound of 24 s": [
            AudioInput(samples=rng.uniform(-0.3, 0.3, 24 * RATE_HZ).astype(np.float32), sample_rate_hz=RATE_HZ)
            for _ in range(max(1, articles // 8))
        ],
    }
    for what, values in inputs.items():
        modality = Modality.AUDIO if "sound" in what else Modality.TEXT
        encode(encoders, modality, values[:1])  # the first one pays for what is loaded late
        spent_ms = {}
        for on in (False, True):
            started = time.process_time()
            read = [[Input(modality=modality, value=value, field="", source=modality)] for value in values]
            plans = [plan(each, each, ContentSettings(segments=on)) for each in read]
            wanted = [[*(made.value for made in each.inputs), *(value for _, value in each.further)] for each in plans]
            rows = iter(encode(encoders, modality, [value for each in wanted for value in each]))
            kept = [each.segments([next(rows) for _ in own]) for each, own in zip(plans, wanted, strict=True)]
            spent_ms[on] = (time.process_time() - started) / len(values) * 1000
        size = np.mean([len(pack_segments(segments)) for segments in kept])
        print(f"{what:24} {spent_ms[False]:.1f} ms; with segments {spent_ms[True]:.1f} ms and {size:.0f} bytes more")


def measure_time(encoders: EncoderSet) -> None:
    """Print the processor time of a summary, by the number of segments."""
    rng = np.random.default_rng(2)
    kinds = [Modality.TEXT] * 32 + [Modality.IMAGE] * 8 + [Modality.AUDIO] * 8
    for count in (1, 10, 100):
        items = []
        for number in range(count):
            rows = rng.standard_normal((len(kinds), encoders.dims)).astype(np.float32)
            segments = [
                Segment(modality=kind, source=kind, codes=quantised(row)) for kind, row in zip(kinds, rows, strict=True)
            ]
            item = Item(
                item_id=ItemId(f"i{number:03}"),
                version=Version(1, 0),
                vectors=dict.fromkeys(KINDS, rows[0]),
                segments=tuple(segments),
            )
            items.append(item)
        started = time.process_time()
        summarise(items, SummaryRequest(), encoders.calibration)
        spent_ms = (time.process_time() - started) * 1000
        print(f"summary of {count * len(kinds):5} segments in {count:3} items: {spent_ms:.0f} ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--articles", type=int, default=64)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    encoders = load_encoders(ModelSettings())
    measure_cost(encoders, asked.articles)
    measure_time(encoders)
    measure_choice(encoders, asked.trials, asked.seed)


if __name__ == "__main__":
    main()
