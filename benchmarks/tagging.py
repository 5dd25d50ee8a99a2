"""How right the shipped label sets are, and how honest their confidence: sentences, judged tweets and emoji pictures.

Run: ``.venv/bin/python benchmarks/tagging.py [--half measure] [--judged vaderSentiment-3.3.2.tar.gz] [--json]``

The sentences of ``tagging_sentences.tsv`` were written for this, forty in each of six languages, each with a topic (or
none) and a sentiment. One half chose phrases and the constants of ``fusion/tagging.py``; the other chose nothing.
``--judged`` adds texts that people rated (Hutto and Gilbert 2014), from a package that carries them
(``pip download --no-deps --no-binary :all: vaderSentiment==3.3.2``): 1,250 of each list helped to choose, 2,500 others
measure. A picture of the built-in corpus is right when the topic of its emoji's subgroup holds; other subgroups have no
topic.
"""

import argparse
import csv
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from config.settings import MediaSettings, ModelSettings
from config.tagging import LabelSet, TaggingSettings
from config.vocabulary import Modality
from encoders.base import Encoder, EncoderInput, TextInput
from encoders.builtin.corpus import Corpus
from encoders.media.image import decode_image
from encoders.registry import load_encoders
from fusion.tagging import Discriminant

SENTENCES = Path(__file__).with_name("tagging_sentences.tsv")
CHUNK = 64
BINS = 10
NONE = "none"
JUDGED = ("tweets", "amazonReviewSnippets", "movieReviewSnippets", "nytEditorialSnippets")
JUDGED_ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
# Judges rated from -4 to 4; nearer to 0 than this counts as neutral.
RATED_NEUTRAL = 0.5
SAMPLED = 2500

TOPIC_OF_SUBGROUP = {
    **dict.fromkeys(("food-fruit", "food-vegetable", "food-prepared", "food-asian", "food-sweet", "drink"), "food"),
    **{f"animal-{kind}": "animals" for kind in ("mammal", "bird", "marine", "bug", "reptile", "amphibian")},
    **dict.fromkeys(("cat-face", "monkey-face"), "animals"),
    **dict.fromkeys(("sport", "person-sport"), "sports"),
    **dict.fromkeys(("music", "musical-instrument"), "music"),
    **dict.fromkeys(("transport-ground", "transport-air", "transport-water", "hotel", "place-geographic"), "travel"),
    **dict.fromkeys(("computer", "phone"), "technology"),
    "medical": "health",
    "money": "business",
    "science": "science",
    "sky-weather": "weather",
}

Vectors = NDArray[np.float32]


def embed(encoder: Encoder, inputs: Sequence[EncoderInput]) -> Vectors:
    """Vectors (n, dims) of all inputs, in order."""
    blocks = [
        encoder.finish(encoder.forward([encoder.prepare(one) for one in inputs[start : start + CHUNK]]))
        for start in range(0, len(inputs), CHUNK)
    ]
    return np.concatenate(blocks)


def texts(encoder: Encoder, written: Sequence[str]) -> Vectors:
    """Vectors (n, dims) of texts."""
    return embed(encoder, [TextInput(text=text) for text in written])


def discriminant(encoder: Encoder, labels: LabelSet) -> Discriminant:
    """The set's directions, as a content worker makes them."""
    return Discriminant.of(
        {label: texts(encoder, phrases) for label, phrases in labels.labels.items()},
        multi=labels.multi,
        otherwise=texts(encoder, labels.otherwise) if labels.otherwise else None,
    )


def exclusive(made: Discriminant, vectors: Vectors, truth: Sequence[str]) -> dict[str, Any]:
    """Accuracy and macro-F1 of the surest label, and the calibration of its confidence.

    ``largest`` is the accuracy of whoever always says the commonest label. ``poles`` looks at what is the first or the
    last label: how often the right one of these two is the surer.
    """
    confidences = made.confidences(vectors)
    names, right = np.array(made.labels), np.array(truth)
    found = names[confidences.argmax(axis=1)]
    ends = confidences[:, [0, -1]].argmax(axis=1)
    polar = (right == names[0]) | (right == names[-1])
    f1 = []
    for name in names:
        both = np.sum((found == name) & (right == name))
        f1.append(2.0 * both / max(1, np.sum(found == name) + np.sum(right == name)))
    surest = confidences.max(axis=1)
    sure = surest >= 0.7
    return {
        "texts": len(right),
        "largest": float(max(np.mean(right == name) for name in names)),
        "accuracy": float(np.mean(found == right)),
        "macro_f1": float(np.mean(f1)),
        "poles": float(np.mean(names[[0, -1]][ends][polar] == right[polar])),
        "mean_confidence": float(surest.mean()),
        "ece": calibration_error(surest, found == right),
        "sure_share": float(sure.mean()),
        "sure_accuracy": float(np.mean((found == right)[sure])),
    }


def several(made: Discriminant, vectors: Vectors, truth: Sequence[str]) -> dict[str, Any]:
    """Precision, recall and macro-F1 of labels from 0.5, the surest label's accuracy, calibration of what is likely."""
    confidences = made.confidences(vectors)
    right = np.stack([np.array(truth) == label for label in made.labels], axis=1)
    held, some = confidences >= 0.5, right.any(axis=1)
    there = right.any(axis=0)  # a topic that no picture has says nothing
    f1 = 2.0 * (held & right).sum(axis=0) / np.maximum(1, held.sum(axis=0) + right.sum(axis=0))
    likely = confidences >= 0.1
    return {
        "items": len(right),
        "accuracy": float(right[some, confidences[some].argmax(axis=1)].mean()),
        "macro_f1": float(f1[there].mean()),
        "precision": float(right[held].mean()),
        "recall": float(held[right].mean()),
        "ece": calibration_error(confidences[likely], right[likely]),
        "tagged_without_topic": float(held[~some].any(axis=1).mean()),
    }


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten bins of equal width (Guo et al. 2017)."""
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [
        abs(confidence[places == place].mean() - right[places == place].mean()) * np.mean(places == place)
        for place in np.unique(places)
    ]
    return float(sum(gaps))


def sentences(half: str) -> list[dict[str, str]]:
    """The rows of a half, or of both with ``all``."""
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row for row in rows if half in {row["half"], "all"}]


def judged(archive: Path, name: str) -> tuple[list[str], list[str]]:
    """Texts of a judged list, and what their mean ratings say."""
    with tarfile.open(archive) as outer, tarfile.open(fileobj=io.BytesIO(member(outer, JUDGED_ARCHIVE))) as lists:
        lines = member(lists, f"hutto_ICWSM_2014/{name}_GroundTruth.txt").decode("utf-8", "replace").splitlines()
    rows = [line.split("	", 2) for line in lines if line.count("	") >= 2]
    read = [text.replace("&amp;", "&").strip() for _, _, text in rows]
    return read, [tone(float(rating)) for _, rating, _ in rows]


def member(archive: tarfile.TarFile, name: str) -> bytes:
    """One file of an archive."""
    handle = archive.extractfile(name)
    if handle is None:
        raise SystemExit(f"{name} is no file")
    return handle.read()


def tone(rating: float) -> str:
    """What a mean rating says."""
    if abs(rating) < RATED_NEUTRAL:
        return "neutral"
    return "positive" if rating > 0 else "negative"


def sampled(half: str, archive: Path) -> dict[str, tuple[list[str], list[str]]]:
    """Texts of every judged list: every second of a random sample chooses, what is in no sample measures."""
    random = np.random.default_rng(0)
    found = {}
    for name in JUDGED:
        read, said = judged(archive, name)
        places = random.permutation(len(read))
        wanted = {"choose": places[:SAMPLED:2], "measure": places[SAMPLED : 2 * SAMPLED], "all": places}[half]
        found[name] = ([read[at] for at in wanted], [said[at] for at in wanted])
    return found


def measure(half: str, archive: Path | None) -> dict[str, dict[str, Any]]:
    """Every table."""
    encoders = load_encoders(ModelSettings()).encoders
    text = encoders[Modality.TEXT]
    sets = TaggingSettings(presets=("sentiment", "topics")).label_sets()
    sentiment, topics = discriminant(text, sets["sentiment"]), discriminant(text, sets["topics"])
    rows = sentences(half)
    vectors = texts(text, [row["text"] for row in rows])
    spoken = np.array([row["language"] for row in rows])
    report: dict[str, dict[str, Any]] = {"sentiment": {}, "topics": {}}
    for language in ("all", *dict.fromkeys(spoken)):
        chosen = np.flatnonzero((spoken == language) | (language == "all"))
        for name, made, how, column in (
            ("sentiment", sentiment, exclusive, "sentiment"),
            ("topics", topics, several, "topic"),
        ):
            report[name][f"sentences, {language}"] = how(made, vectors[chosen], [rows[at][column] for at in chosen])
    words = {
        name: LabelSet(labels={label: (label,) for label in each.labels}, multi=each.multi)
        for name, each in sets.items()
    }
    report["sentiment"]["sentences, one word a label"] = exclusive(
        discriminant(text, words["sentiment"]), vectors, [row["sentiment"] for row in rows]
    )
    report["topics"]["sentences, one word a label"] = several(
        discriminant(text, words["topics"]), vectors, [row["topic"] for row in rows]
    )
    report["topics"] |= pictures(encoders, topics)
    for name, (read, said) in (sampled(half, archive) if archive else {}).items():
        vectors = texts(text, read)
        report["sentiment"][f"judged {name}"] = exclusive(sentiment, vectors, said)
        report.setdefault("topics of judged lists, share of texts", {})[name] = shares(topics, vectors)
    return report


def shares(made: Discriminant, vectors: Vectors) -> dict[str, Any]:
    """How many texts are tagged at all, and with what: film reviews should be about films."""
    held = made.confidences(vectors) >= 0.5
    return {"any": float(held.any(axis=1).mean()), **dict(zip(made.labels, held.mean(axis=0).tolist(), strict=True))}


def pictures(encoders: Mapping[Modality, Encoder], topics: Discriminant) -> dict[str, Any]:
    """The corpus by its pictures alone, and by pictures together with names."""
    corpus, media = Corpus(), MediaSettings()
    items = list(corpus.items.values())
    truth = [TOPIC_OF_SUBGROUP.get(str(item.attributes["subgroup"]), NONE) for item in items]
    seen = embed(encoders[Modality.IMAGE], [decode_image(corpus.media(one.item_id, "image"), media) for one in items])
    named = texts(encoders[Modality.TEXT], [item.name for item in items])
    return {
        "emoji pictures": several(topics, seen, truth),
        "emoji names": several(topics, named, truth),
        "emoji pictures and names": several(topics, (seen + named) / 2.0, truth),
    }


def show(report: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Print the tables."""
    for name, rows in report.items():
        columns = list(next(iter(rows.values())))
        table = Table(title=name, title_justify="left")
        table.add_column("measured on")
        for column in columns:
            table.add_column(column.replace("_", " "), justify="right")
        for what, numbers in rows.items():
            cells = [f"{value:,}" if isinstance(value, int) else f"{value:.3f}" for value in numbers.values()]
            table.add_row(what, *cells)
        Console(width=130).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("choose", "measure", "all"), default="measure", help="which sentences")
    parser.add_argument("--judged", type=Path, help="vaderSentiment-3.3.2.tar.gz, for texts that people rated")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the tables")
    wanted = parser.parse_args()
    report = measure(wanted.half, wanted.judged)
    if wanted.json:
        print(json.dumps(report, indent=2))
    else:
        show(report)


if __name__ == "__main__":
    main()
